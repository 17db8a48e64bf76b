#include "gateway/classifier/mails.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace postern::classifier {
namespace {

namespace fs = std::filesystem;

std::expected<std::string, MailError> read_whole(const fs::path& file, std::uint64_t octets_max) {
  const auto failed = [&file](int error) {
    return std::unexpected(fmt::format("{}: {}", file.string(), std::generic_category().message(error)));
  };
  std::FILE* const stream = std::fopen(file.c_str(), "rbe");
  if (stream == nullptr) return failed(errno);
  std::string octets;
  constexpr std::size_t kPiece = 1U << 16;
  for (std::size_t got = kPiece; got == kPiece && octets.size() <= octets_max;) {
    const std::size_t before = octets.size();
    octets.resize(before + kPiece);
    got = std::fread(octets.data() + before, 1, kPiece, stream);
    octets.resize(before + got);
  }
  const int error = std::ferror(stream) != 0 ? errno : 0;
  (void)std::fclose(stream);
  if (error != 0) return failed(error);
  if (octets.size() > octets_max)
    return std::unexpected(fmt::format("{}: is longer than {} octets", file.string(), octets_max));
  return octets;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "From a@b.example  Thu Aug 22 12:36:23 2002": a time and a year tell it from a sentence that begins with "From".
bool is_separator(std::string_view line) {
  if (!line.starts_with("From ")) return false;
  bool time = false, year = false;
  for (std::size_t i = 5; i + 4 <= line.size(); ++i) {
    if (i + 5 <= line.size() && is_digit(line[i]) && is_digit(line[i + 1]) && line[i + 2] == ':' &&
        is_digit(line[i + 3]) && is_digit(line[i + 4]))
      time = true;
    if (line[i - 1] == ' ' && std::ranges::all_of(line.substr(i, 4), is_digit) &&
        (i + 4 == line.size() || line[i + 4] == ' ' || line[i + 4] == '\r'))
      year = true;
  }
  return time && year;
}

std::string_view line_at(std::string_view text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  return text.substr(at, end == text.npos ? text.npos : end - at);
}

std::string_view without_from_line(std::string_view message) {
  if (!is_separator(line_at(message, 0))) return message;
  const std::size_t end = message.find('\n');
  return end == message.npos ? std::string_view() : message.substr(end + 1);
}

std::expected<std::vector<fs::path>, MailError> listing(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!at->path().filename().string().starts_with('.')) found.push_back(at->path());
  if (error) return std::unexpected(fmt::format("{}: {}", folder.string(), error.message()));
  std::ranges::sort(found);
  return found;
}

class Visitor {
 public:
  explicit Visitor(const std::function<bool(const std::string&, std::string_view)>& take) : take_(take) {}

  std::expected<void, MailError> visit(const fs::path& path, unsigned depth) {
    constexpr unsigned kDepthMax = 32;
    std::error_code error;
    if (!fs::is_directory(path, error)) return file(path);
    if (depth == kDepthMax)
      return std::unexpected(fmt::format("{}: folders are nested too deep", path.string()));
    // A Maildir: what is in tmp has not been delivered.
    const bool maildir = fs::is_directory(path / "cur", error) && fs::is_directory(path / "new", error);
    auto entries = listing(path);
    if (!entries) return std::unexpected(std::move(entries.error()));
    for (const fs::path& entry : *entries) {
      if (maildir && entry.filename() != "cur" && entry.filename() != "new") continue;
      auto done = visit(entry, depth + 1);
      if (!done || stopped_) return done;
    }
    return {};
  }

 private:
  std::expected<void, MailError> file(const fs::path& path) {
    const auto text = read_whole(path, kMboxOctetsMax);
    if (!text) return std::unexpected(text.error());
    const auto messages = split_mbox(*text);
    for (std::size_t i = 0; i < messages.size() && !stopped_; ++i) {
      std::string name = path.string();
      if (messages.size() > 1) name += fmt::format("#{}", i + 1);
      if (messages[i].size() > kMailOctetsMax)
        return std::unexpected(fmt::format("{}: is longer than {} octets", name, kMailOctetsMax));
      stopped_ = !take_(name, messages[i]);
    }
    return {};
  }

  const std::function<bool(const std::string&, std::string_view)>& take_;
  bool stopped_ = false;
};

}  // namespace

std::expected<std::string, MailError> read_mail(const fs::path& file) {
  auto text = read_whole(file, kMailOctetsMax);
  if (!text) return text;
  const std::size_t line = text->size() - without_from_line(*text).size();
  text->erase(0, line);
  if (text->empty()) return std::unexpected(file.string() + ": is empty");
  return text;
}

std::vector<std::string_view> split_mbox(std::string_view text) {
  std::vector<std::string_view> messages;
  if (text.empty()) return messages;
  if (!is_separator(line_at(text, 0))) return {text};
  std::size_t begin = 0;
  for (std::size_t at = text.find("\nFrom "); at != text.npos; at = text.find("\nFrom ", at + 1)) {
    const bool after_empty = at > 0 && (text[at - 1] == '\n' || (at > 1 && text.substr(at - 2, 2) == "\n\r"));
    if (!after_empty || !is_separator(line_at(text, at + 1))) continue;
    messages.push_back(without_from_line(text.substr(begin, at + 1 - begin)));
    begin = at + 1;
  }
  messages.push_back(without_from_line(text.substr(begin)));
  std::erase_if(messages, [](std::string_view message) { return message.empty(); });
  return messages;
}

std::expected<void, MailError> for_each_mail(
    const fs::path& path,
    const std::function<bool(const std::string& name, std::string_view message)>& take) {
  return Visitor(take).visit(path, 0);
}

}  // namespace postern::classifier
