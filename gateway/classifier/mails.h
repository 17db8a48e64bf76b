#pragma once

#include <expected>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::classifier {

/// A file cannot be read; a sentence that names it.
using MailError = std::string;

inline constexpr std::size_t kMailOctetsMax = 64U << 20;
inline constexpr std::uint64_t kMboxOctetsMax = 4ULL << 30;

/// One message of one file, without the line "From …" that mailboxes put in front of it.
std::expected<std::string, MailError> read_mail(const std::filesystem::path& file);

/// The messages in an mbox: they begin with a line "From ADDRESS … TIME … YEAR" at the start or after an empty line. A text that does not
/// begin so is one message. Views into the text.
std::vector<std::string_view> split_mbox(std::string_view text);

/// Calls `take` with every message under a path: of a file (a message or an mbox), of a Maildir (new and cur), of a folder and the folders
/// in it, in the order of their names. Hidden files are passed over. `name` says which it is. Ends early when `take` says false.
std::expected<void, MailError> for_each_mail(
    const std::filesystem::path& path,
    const std::function<bool(const std::string& name, std::string_view message)>& take);

}  // namespace postern::classifier
