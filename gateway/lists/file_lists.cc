#include "gateway/lists/file_lists.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "filters/envelope.h"
#include "filters/idn.h"

namespace postern::lists {
namespace {

constexpr std::string_view kNullPath = "<>";
constexpr unsigned kAddressRank = 1000, kDomainRank = 999;  // above any length of a name

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
}

std::string ascii(std::string_view domain) {
  return filters::ascii_domain(domain).value_or(std::string(domain));
}

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
  return line;
}

/// Of names: nothing in it that could not stand in one.
bool is_plausible(std::string_view entry) {
  if (entry == kNullPath) return true;
  if (entry == "@." || entry.ends_with('@') || entry.starts_with("@@")) return false;
  return std::ranges::none_of(entry, [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '<' || c == '>';
  });
}

class File {
 public:
  explicit File(const std::string& path) : handle_(std::fopen(path.c_str(), "re")) {}
  ~File() {
    if (handle_ != nullptr) (void)std::fclose(handle_);  // read only: nothing can be lost
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool is_open() const { return handle_ != nullptr; }
  /// 0 at the end, or when reading failed.
  std::size_t read(char* to, std::size_t room) { return std::fread(to, 1, room, handle_); }
  bool failed() const { return std::ferror(handle_) != 0; }

 private:
  std::FILE* handle_;
};

}  // namespace

std::string key_of(std::string_view entry) {
  if (entry.empty() || entry == kNullPath) return std::string(kNullPath);
  std::string key;
  if (entry.find('@') == std::string_view::npos) return key.append("@@").append(ascii(entry));
  if (entry.starts_with("@.")) return key.append("@.").append(ascii(entry.substr(2)));
  append_lower(key, filters::local_part_of(entry));
  return key.append(1, '@').append(ascii(filters::domain_of(entry)));
}

unsigned rank_of(std::string_view entry) {
  if (const auto network = filters::Network::parse(entry)) return network->bits();
  if (entry.starts_with("@.")) return static_cast<unsigned>(std::min<std::size_t>(entry.size() - 2, 900));
  return entry.starts_with('@') ? kDomainRank : kAddressRank;
}

class FileLists::Reading {
 public:
  explicit Reading(FileLists& to) : to_(to) {}

  /// `take`: false when the line is no entry.
  template <typename Take>
  std::expected<void, std::string> each_line(const std::string& path, Take take) {
    std::error_code error;
    if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error))
      return std::unexpected(path + ": is no file");  // a pipe would make us wait
    File file(path);
    if (!file.is_open()) return std::unexpected(fmt::format("{}: {}", path, std::strerror(errno)));
    std::string line;
    std::uint64_t number = 0;
    bool too_long = false;
    const auto end_line = [&] {
      ++number;
      const std::string_view entry = trimmed(line);
      if (too_long || (!entry.empty() && !take(entry)))
        note_bad(path, number, too_long ? "too long a line" : "no entry");
      if (!too_long && !entry.empty()) ++entries_;
      line.clear();
      too_long = false;
    };
    std::array<char, 65536> piece;
    while (const std::size_t count = file.read(piece.data(), piece.size())) {
      std::string_view rest(piece.data(), count);
      for (std::size_t newline = rest.find('\n'); newline != std::string_view::npos;
           newline = rest.find('\n')) {
        too_long |= !append(line, rest.substr(0, newline));
        end_line();
        if (entries_ > kEntriesMax)
          return std::unexpected(fmt::format("{}:{}: more than {} entries", path, number, kEntriesMax));
        rest.remove_prefix(newline + 1);
      }
      too_long |= !append(line, rest);
    }
    if (file.failed()) return std::unexpected(fmt::format("{}: cannot be read to its end", path));
    if (!line.empty() || too_long) end_line();
    return {};
  }

  std::expected<void, std::string> read(const config::LocalList& from, One& list) {
    for (const std::string& path : from.client_files) {
      auto done = each_line(path, [&list](std::string_view entry) {
        const auto network = filters::Network::parse(entry);
        if (network) list.clients.add(*network);
        return network.has_value();
      });
      if (!done) return done;
    }
    for (auto [paths, names] :
         {std::pair(&from.sender_files, &list.senders), std::pair(&from.recipient_files, &list.recipients)}) {
      for (const std::string& path : *paths) {
        auto done = each_line(path, [&names](std::string_view entry) {
          if (!is_plausible(entry)) return false;
          names->add(key_of(entry));
          return true;
        });
        if (!done) return done;
      }
    }
    list.clients.seal();
    list.senders.seal();
    list.recipients.seal();
    return {};
  }

 private:
  static bool append(std::string& line, std::string_view text) {
    if (line.size() + text.size() > kLineOctetsMax) return false;
    line.append(text);
    return true;
  }

  void note_bad(const std::string& path, std::uint64_t line, std::string_view why) {
    if (to_.bad_lines_++ == 0) to_.first_bad_line_ = fmt::format("{}:{}: {}", path, line, why);
  }

  FileLists& to_;
  std::size_t entries_ = 0;
};

std::expected<std::shared_ptr<const FileLists>, std::string> FileLists::read(const config::LocalList& allow,
                                                                             const config::LocalList& block) {
  auto lists = std::make_shared<FileLists>();
  Reading reading(*lists);
  for (const auto& [from, kind] :
       {std::pair(&allow, filters::ListKind::allow), std::pair(&block, filters::ListKind::block)}) {
    auto done = reading.read(*from, lists->lists_[static_cast<std::size_t>(kind)]);
    if (!done) return std::unexpected(std::move(done.error()));
  }
  return lists;
}

namespace {

/// The entry of a set of names that holds an address, as the manifest would spell it; "" when none does.
std::string find_name(const FingerprintSet& names, std::string_view address) {
  if (names.empty()) return {};
  const std::string key =
      key_of(address.find('@') == std::string_view::npos && !address.empty() ? std::string(address) + "@"
                                                                             : std::string(address));
  if (names.contains(key)) return key;
  const std::size_t at = key.rfind('@');
  if (at == std::string::npos || at + 1 == key.size()) return {};
  const std::string domain = key.substr(at + 1);
  if (names.contains("@" + domain) || names.contains("@@" + domain)) return "@" + domain;
  for (std::size_t dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
    const std::string parent = domain.substr(dot + 1);
    if (names.contains("@." + parent) || names.contains("@@" + parent)) return "@." + parent;
  }
  return {};
}

}  // namespace

std::optional<FileLists::Match> FileLists::find(const filters::Question& question) const {
  std::optional<Match> best;
  const auto ip =
      question.kind == filters::QuestionKind::client_list ? filters::Ip::parse(question.name) : std::nullopt;
  for (const auto kind : {filters::ListKind::allow, filters::ListKind::block}) {
    const One& list = lists_[static_cast<std::size_t>(kind)];
    std::string entry;
    if (ip) {
      if (const auto bits = list.clients.find(*ip))
        entry = fmt::format("{}/{}", ip->masked(*bits).text(), *bits);
    } else if (question.kind == filters::QuestionKind::sender_list) {
      entry = find_name(list.senders, question.name);
    } else if (question.kind == filters::QuestionKind::recipient_list) {
      entry = find_name(list.recipients, question.name);
    }
    if (!entry.empty() && (!best || rank_of(entry) > rank_of(best->entry)))
      best = Match{.kind = kind, .entry = std::move(entry)};
  }
  return best;
}

std::size_t FileLists::entries() const {
  std::size_t sum = 0;
  for (const One& list : lists_) sum += list.clients.size() + list.senders.size() + list.recipients.size();
  return sum;
}

std::size_t FileLists::octets() const {
  std::size_t sum = 0;
  for (const One& list : lists_)
    sum += list.clients.octets() + list.senders.octets() + list.recipients.octets();
  return sum;
}

std::vector<FileStamp> stamps(const config::LocalList& allow, const config::LocalList& block) {
  std::vector<FileStamp> found;
  for (const config::LocalList* list : {&allow, &block})
    for (const auto* paths : {&list->client_files, &list->sender_files, &list->recipient_files})
      for (const std::string& path : *paths) {
        struct stat status{};
        FileStamp& stamp = found.emplace_back();
        if (::stat(path.c_str(), &status) != 0) continue;
        stamp = {.seconds = status.st_mtim.tv_sec,
                 .nanoseconds = status.st_mtim.tv_nsec,
                 .octets = static_cast<std::uint64_t>(status.st_size),
                 .inode = status.st_ino};
      }
  return found;
}

}  // namespace postern::lists
