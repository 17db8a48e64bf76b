#include "bench/load/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>

#include "bench/load/archives.h"

namespace postern::load {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLineOctets = 72;
constexpr std::array<std::string_view, 32> kWords = {
    "the",  "of",    "meeting", "and",  "invoice",  "to",     "please", "report",
    "a",    "in",    "account", "is",   "we",       "monday", "you",    "order",
    "that", "for",   "number",  "with", "attached", "on",     "thank",  "letter",
    "be",   "price", "this",    "from", "regards",  "at",     "have",   "delivery"};

std::expected<std::string, std::string> read_file(const fs::path& path) {
  std::error_code trouble;
  const std::uintmax_t size = fs::file_size(path, trouble);
  if (trouble) return std::unexpected(fmt::format("{}: {}", path.string(), trouble.message()));
  if (size > Corpus::kOctetsMax)
    return std::unexpected(fmt::format("{}: larger than {} octets", path.string(), Corpus::kOctetsMax));
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  std::string octets(static_cast<std::size_t>(size), '\0');
  file.read(octets.data(), static_cast<std::streamsize>(octets.size()));
  octets.resize(static_cast<std::size_t>(file.gcount()));
  return octets;
}

std::string in_words(const fs::path& path, std::string_view form, const ArchiveError& error) {
  return fmt::format("{}: not {}: octet {}: expected {}", path.string(), form, error.position, error.rule);
}

/// Adds what a file holds.
std::expected<void, std::string> add_file(const fs::path& path, Corpus& corpus) {
  auto octets = read_file(path);
  if (!octets) return std::unexpected(std::move(octets.error()));
  if (looks_like_tar(*octets)) {
    const auto members = tar_members(*octets);
    if (!members) return std::unexpected(in_words(path, "a whole tar archive", members.error()));
    for (const std::string_view member : *members) {
      if (!looks_like_mbox(member)) {
        corpus.add(member);
        continue;
      }
      const auto messages = mbox_messages(member);
      if (!messages) return std::unexpected(in_words(path, "an mbox", messages.error()));
      for (const std::string& message : *messages) corpus.add(message);
    }
  } else if (looks_like_mbox(*octets)) {
    const auto messages = mbox_messages(*octets);
    if (!messages) return std::unexpected(in_words(path, "an mbox", messages.error()));
    for (const std::string& message : *messages) corpus.add(message);
  } else if (octets->size() > Corpus::kMessageOctetsMax) {
    return std::unexpected(
        fmt::format("{}: a message of more than {} octets", path.string(), Corpus::kMessageOctetsMax));
  } else if (!octets->empty()) {
    corpus.add(*octets);
  }
  if (corpus.octets() > Corpus::kOctetsMax)
    return std::unexpected(
        fmt::format("{}: more than {} octets of messages", path.string(), Corpus::kOctetsMax));
  return {};
}

/// Regular files below a folder, sorted; of a Maildir only what new and cur hold. Links are not followed.
std::expected<std::vector<fs::path>, std::string> files_below(const fs::path& folder) {
  std::vector<fs::path> roots;
  std::error_code trouble;
  if (fs::is_directory(folder / "new", trouble) && fs::is_directory(folder / "cur", trouble)) {
    roots = {folder / "new", folder / "cur"};
  } else {
    roots = {folder};
  }
  std::vector<fs::path> files;
  for (const fs::path& root : roots) {
    trouble.clear();
    fs::recursive_directory_iterator entry(root, trouble);
    for (; !trouble && entry != fs::recursive_directory_iterator(); entry.increment(trouble)) {
      std::error_code ignored;  // a file that has gone meanwhile is no file
      if (fs::is_regular_file(entry->symlink_status(ignored))) files.push_back(entry->path());
    }
    if (trouble) return std::unexpected(fmt::format("{}: {}", root.string(), trouble.message()));
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::string data_form(std::string_view message) {
  std::string wire;
  wire.reserve(message.size() + message.size() / 32 + 8);
  for (std::size_t at = 0; at < message.size();) {
    if (message[at] == '.') wire += '.';  // RFC 5321 §4.5.2
    const std::size_t end = std::min(message.find_first_of("\r\n", at), message.size());
    wire.append(message.substr(at, end - at));
    wire += "\r\n";
    at = end + (message.substr(end, 2) == "\r\n" ? 2 : 1);
  }
  wire += ".\r\n";
  return wire;
}

std::string generated_message(std::size_t octets) {
  std::string message = fmt::format(
      "From: Load Generator <load@client.example>\r\n"
      "To: Reader <reader@test.example>\r\n"
      "Subject: A message of {} octets\r\n"
      "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
      "Message-ID: <size.{}@client.example>\r\n"
      "MIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=us-ascii\r\n"
      "Content-Transfer-Encoding: 7bit\r\n"
      "\r\n",
      octets, octets);
  const std::size_t wanted = std::max(octets, Corpus::kGeneratedOctetsMin);
  std::mt19937_64 choice(octets);
  std::string line;
  while (message.size() + kLineOctets + 4 < wanted) {
    line.clear();
    while (line.size() + 12 < kLineOctets) {
      line += kWords[choice() % kWords.size()];
      line += ' ';
    }
    line.back() = '.';
    line += "\r\n";
    message += line;
  }
  const std::size_t rest = wanted - message.size();  // at least 4, at most two lines
  if (rest > kLineOctets + 2) {
    message.append(kLineOctets - 2, 'x');
    message += "\r\n";
  }
  message.append(wanted - message.size() - 2, 'x');
  message += "\r\n";
  return message;
}

void Corpus::add(std::string_view message) {
  wires_.push_back(data_form(message));
  octets_ += wires_.back().size();
}

Corpus Corpus::generated(std::span<const std::size_t> sizes) {
  Corpus corpus;
  for (const std::size_t size : sizes) corpus.add(generated_message(size));
  return corpus;
}

std::expected<Corpus, std::string> Corpus::load(const std::string& path) {
  Corpus corpus;
  std::error_code trouble;
  const fs::file_status status = fs::status(path, trouble);
  if (!fs::exists(status)) return std::unexpected(fmt::format("{}: no such file or folder", path));
  std::vector<fs::path> files = {path};
  if (fs::is_directory(status)) {
    auto found = files_below(path);
    if (!found) return std::unexpected(std::move(found.error()));
    files = std::move(*found);
  }
  for (const fs::path& file : files) {
    auto added = add_file(file, corpus);
    if (!added) return std::unexpected(std::move(added.error()));
  }
  if (corpus.empty()) return std::unexpected(fmt::format("{}: no message in it", path));
  return corpus;
}

}  // namespace postern::load
