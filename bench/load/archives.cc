#include "bench/load/archives.h"

#include <algorithm>
#include <optional>

namespace postern::load {
namespace {

// The ustar header, POSIX.1-2017 pax(1), "ustar Interchange Format".
constexpr std::size_t kBlock = 512;
constexpr std::size_t kSizeAt = 124, kSizeOctets = 12;
constexpr std::size_t kChecksumAt = 148, kChecksumOctets = 8;
constexpr std::size_t kTypeAt = 156;

/// Octal digits, possibly after spaces, ended by a space or NUL; or GNU's base-256 form, whose first octet has the
/// high bit. Nothing for anything else and for what 63 bits cannot hold.
std::optional<std::uint64_t> tar_number(std::string_view field) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(field[i]); };
  std::uint64_t value = 0;
  if ((octet(0) & 0x80U) != 0) {
    value = octet(0) & 0x7fU;
    for (std::size_t i = 1; i < field.size(); ++i) {
      if ((value >> 55U) != 0) return std::nullopt;
      value = (value << 8U) | octet(i);
    }
    return value;
  }
  std::size_t at = 0;
  while (at < field.size() && field[at] == ' ') ++at;
  const std::size_t first = at;
  for (; at < field.size() && field[at] >= '0' && field[at] <= '7'; ++at)
    value = value * 8 + static_cast<std::uint64_t>(field[at] - '0');  // 12 digits are 36 bits
  if (at == first || (at < field.size() && field[at] != ' ' && field[at] != '\0')) return std::nullopt;
  return value;
}

bool checksum_is_right(std::string_view header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kChecksumAt && i < kChecksumAt + kChecksumOctets;  // counts as spaces
    sum += own ? std::uint64_t{' '} : static_cast<unsigned char>(header[i]);
  }
  return tar_number(header.substr(kChecksumAt, kChecksumOctets)) == sum;
}

bool starts_message(std::string_view line) {
  return line.starts_with("From ");
}

}  // namespace

bool looks_like_tar(std::string_view octets) {
  return octets.size() >= kBlock && checksum_is_right(octets.substr(0, kBlock));
}

std::expected<std::vector<std::string_view>, ArchiveError> tar_members(std::string_view archive) {
  std::vector<std::string_view> members;
  for (std::size_t at = 0; at < archive.size();) {
    if (archive.size() - at < kBlock) return std::unexpected(ArchiveError{at, "a whole header block"});
    const std::string_view header = archive.substr(at, kBlock);
    if (std::ranges::all_of(header, [](char c) { return c == '\0'; })) return members;  // the end mark
    if (!checksum_is_right(header))
      return std::unexpected(ArchiveError{at + kChecksumAt, "checksum of the header"});
    const auto size = tar_number(header.substr(kSizeAt, kSizeOctets));
    if (!size) return std::unexpected(ArchiveError{at + kSizeAt, "size in the header"});
    const char type = header[kTypeAt];
    // Links and devices have no content, whatever size they claim: '1' to '6'.
    const bool has_content = type < '1' || type > '6';
    at += kBlock;
    if (!has_content) continue;
    if (*size > archive.size() - at)
      return std::unexpected(ArchiveError{at, "end of the archive inside a member"});
    const auto octets = static_cast<std::size_t>(*size);
    if ((type == '0' || type == '\0' || type == '7') && octets > 0)
      members.push_back(archive.substr(at, octets));
    at += std::min(archive.size() - at, (octets + kBlock - 1) / kBlock * kBlock);
  }
  return members;  // cut off after a member's end: nothing is missing
}

bool looks_like_mbox(std::string_view octets) {
  return starts_message(octets);
}

std::expected<std::vector<std::string>, ArchiveError> mbox_messages(std::string_view mbox) {
  std::vector<std::string> messages;
  if (!looks_like_mbox(mbox)) return std::unexpected(ArchiveError{0, "a line that begins with \"From \""});
  bool after_empty = true;
  for (std::size_t at = 0; at < mbox.size();) {
    const std::size_t feed = mbox.find('\n', at);
    const std::size_t end = feed == std::string_view::npos ? mbox.size() : feed + 1;
    const std::string_view line = mbox.substr(at, end - at);
    at = end;
    const bool empty = line == "\n" || line == "\r\n";
    if (after_empty && starts_message(line)) {
      // The empty line in front of a "From " line belongs to the mbox, not to the message.
      if (!messages.empty()) {
        std::string& previous = messages.back();
        if (previous.ends_with("\r\n")) {
          previous.resize(previous.size() - 2);
        } else if (previous.ends_with('\n')) {
          previous.pop_back();
        }
      }
      messages.emplace_back();
    } else {
      const std::size_t quotes = std::min(line.find_first_not_of('>'), line.size());
      const bool quoted = quotes > 0 && starts_message(line.substr(quotes));
      messages.back().append(quoted ? line.substr(1) : line);
    }
    after_empty = empty;
  }
  std::erase_if(messages, [](const std::string& message) { return message.empty(); });
  return messages;
}

}  // namespace postern::load
