#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace postern::load {

/// What is wrong with an archive, and where.
struct ArchiveError {
  std::uint64_t position = 0;  ///< octet of the archive
  std::string_view rule;       ///< "checksum of the header", "end of the archive inside a member", …
};

/// The regular files of a tar archive (POSIX ustar; GNU's and pax's extra headers are passed over, because names do
/// not matter here). Views into `archive`. Links, folders and devices are left out. Linear, and no size that a header
/// claims is believed beyond the archive's own.
std::expected<std::vector<std::string_view>, ArchiveError> tar_members(std::string_view archive);

/// True for the first block of a tar archive: its checksum is right.
bool looks_like_tar(std::string_view octets);

/// The messages of an mbox: each begins with a line "From …" at the start of the file or after an empty line; one
/// level of ">" is taken off lines that begin with ">" and then "From " (mboxrd). Whatever stands before the first such
/// line is no mbox: an error.
std::expected<std::vector<std::string>, ArchiveError> mbox_messages(std::string_view mbox);

/// True when the file begins as an mbox does.
bool looks_like_mbox(std::string_view octets);

}  // namespace postern::load
