#include "gateway/pipeline/recipient_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "gateway/config/values.h"
#include "gateway/smtp/address.h"

namespace postern::pipeline {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// The line without comment and blanks around.
std::string_view content(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  for (std::size_t at = line.find('#'); at != line.npos; at = line.find('#', at + 1)) {
    if (at != 0 && kBlanks.find(line[at - 1]) == kBlanks.npos) continue;  // part of a local part
    line = line.substr(0, at);
    break;
  }
  const std::size_t first = line.find_first_not_of(kBlanks);
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::expected<RecipientList, std::string> RecipientList::parse(std::string_view text, std::string_view file,
                                                               std::string_view domain) {
  RecipientList list;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view entry = content(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (entry.empty()) continue;
    const bool whole = entry.find('@') != entry.npos;
    const auto mailbox =
        smtp::parse_mailbox(whole ? std::string(entry) : fmt::format("{}@{}", entry, domain), true);
    if (!mailbox)
      return std::unexpected(fmt::format("{}:{}: {} is neither an address nor a local part: expected {}",
                                         file, number, config::shown(entry), mailbox.error().rule));
    if (config::ascii_domain(mailbox->domain) != domain) continue;
    list.locals_.insert(lower(mailbox->local));
  }
  return list;
}

std::expected<RecipientList, std::string> RecipientList::load(const std::filesystem::path& file,
                                                              std::string_view domain) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) return std::unexpected(fmt::format("{}: {}", file.string(), error.message()));
  if (size > kFileOctetsMax)
    return std::unexpected(
        fmt::format("{}: {} octets, at most {} are read", file.string(), size, kFileOctetsMax));
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return std::unexpected(fmt::format("{}: cannot be read", file.string()));
  return parse(text.view(), file.string(), domain);
}

}  // namespace postern::pipeline
