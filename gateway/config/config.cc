#include "gateway/config/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <expected>

#include "gateway/config/checks.h"
#include "gateway/config/places.h"
#include "gateway/config/reader.h"
#include "gateway/config/schema.h"

namespace postern::config {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) (void)::close(fd_);  // read only: nothing can be lost
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// The manifest's text, or why there is none. Pipes are read too: `config check /dev/stdin`.
std::expected<std::string, std::string> content(const std::filesystem::path& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (descriptor.get() < 0) return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
  struct stat status{};
  if (fstat(descriptor.get(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return std::unexpected("cannot be read: it is a folder");
  }
  std::string text;
  for (;;) {
    constexpr std::size_t kPiece = 1U << 18;
    const std::size_t before = text.size();
    text.resize(before + kPiece);
    const ssize_t count = ::read(descriptor.get(), text.data() + before, kPiece);
    if (count < 0 && errno != EINTR)
      return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) return text;
    if (text.size() > kManifestOctetsMax) {
      return std::unexpected(fmt::format("is larger than {} octets", kManifestOctetsMax));
    }
  }
}

std::string without_controls(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::filesystem::path absolute_path(const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(file, error);
  return error ? file : path.lexically_normal();
}

}  // namespace

std::string_view to_string(Service service) {
  switch (service) {
    case Service::mx:
      return "mx";
    case Service::submission:
      return "submission";
    case Service::submissions:
      return "submissions";
    case Service::lmtp:
      return "lmtp";
  }
  return "mx";
}

std::string Problem::text() const {
  std::string out = file.string();
  if (line > 0) fmt::format_to(std::back_inserter(out), ":{}", line);
  if (!key.empty()) out.append(": ").append(key);
  return without_controls(out.append(": ").append(what));
}

Loaded load(const std::filesystem::path& file) {
  auto text = content(file);
  if (text) return parse(*text, file);
  Loaded loaded{.config = with_defaults(), .problems = {}, .warnings = {}, .given = {}};
  loaded.config.file = absolute_path(file);
  loaded.problems.push_back({.file = file, .line = 0, .key = {}, .what = std::move(text.error())});
  return loaded;
}

Loaded parse(std::string_view text, const std::filesystem::path& file) {
  Loaded loaded{.config = with_defaults(), .problems = {}, .warnings = {}, .given = {}};
  loaded.config.file = absolute_path(file);
  Report report(loaded, file);
  if (text.size() > kManifestOctetsMax) {
    report.problem(0, {}, fmt::format("is larger than {} octets", kManifestOctetsMax));
    return loaded;
  }
  Places places;
  if (read(text, loaded.config.file.parent_path(), loaded.config, places, report)) {
    check(loaded.config, places, report);
    loaded.given = places.all_keys();
  }
  report.finish();
  return loaded;
}

}  // namespace postern::config
