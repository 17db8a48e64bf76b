#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::storage {

/// Modified UTF-7 (RFC 3501 §5.1.3), which Maildir++ readers expect in directory names. `text` is UTF-8;
/// characters for which `escape` answers true are written in base64 although they are printable ASCII.
std::string modified_utf7(std::string_view text, bool (*escape)(char32_t));

/// The directory of a folder below the Maildir: ".Lists.cxx" for "Lists.cxx". A '.' stays a separator of the
/// hierarchy; '/' and control characters are encoded, so no name leads anywhere else. A name too long for a
/// directory ends in a digest of it all.
std::string maildir_folder_name(std::string_view folder);

/// "FRS" and the like, in ASCII order as the Maildir convention wants it.
std::string maildir_flags(std::uint32_t flags);

}  // namespace postern::storage
