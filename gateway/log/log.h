#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::log {

enum class Level : std::uint8_t { debug, info, warning, error };
std::string_view to_string(Level level);

/// One log event under construction: a JSON object on one line with ts, level and event first. Values are
/// escaped; octets that are not UTF-8 become U+FFFD. Strings longer than kValueOctetsMax are cut with "…".
/// Move it into Logger::write().
class Line {
 public:
  static constexpr std::size_t kValueOctetsMax = 2048;
  Line(Level level, std::string_view event);
  Line&& field(std::string_view key, std::string_view value) &&;
  Line&& field(std::string_view key, const char* value) && {
    return std::move(*this).field(key, std::string_view(value));
  }
  Line&& field(std::string_view key, const std::string& value) && {
    return std::move(*this).field(key, std::string_view(value));
  }
  Line&& field(std::string_view key, std::int64_t value) &&;
  Line&& field(std::string_view key, std::uint64_t value) &&;
  Line&& field(std::string_view key, int value) && {
    return std::move(*this).field(key, static_cast<std::int64_t>(value));
  }
  Line&& field(std::string_view key, unsigned value) && {
    return std::move(*this).field(key, static_cast<std::uint64_t>(value));
  }
  Line&& field(std::string_view key, double value) &&;
  Line&& field(std::string_view key, bool value) &&;
  Line&& field(std::string_view key, const std::vector<std::string>& values) &&;
  /// A JSON text as it is.
  Line&& raw(std::string_view key, std::string_view json) &&;

 private:
  friend class Logger;
  void key(std::string_view name);
  std::string text_;
  Level level_;
};

/// Where lines go: standard error or a file (reopened by reopen(), for logrotate). Lines are handed to a
/// writer thread through a bounded buffer; when the disk or pipe cannot follow, lines are dropped and
/// counted, never waited for. Thread-safe.
class Logger {
 public:
  struct Options {
    std::string file;           ///< empty: standard error
    Level level = Level::info;  ///< below it, lines vanish
    std::size_t buffer_octets_max = 8U << 20;
    std::chrono::milliseconds flush_interval{50};  ///< lines of level warning and above are written at once
  };
  /// Null and a sentence in `error` when the file cannot be opened.
  static std::unique_ptr<Logger> open(const Options& options, std::string* error);
  ~Logger();  ///< writes what is left

  void write(Line&& line);
  bool enabled(Level level) const;
  void reopen();
  /// Waits until everything written so far is out (before _exit, in tests).
  void flush();
  std::uint64_t dropped() const;

 private:
  class Impl;
  explicit Logger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The text as a JSON string, quotes included; the same escaping as Line.
std::string quoted(std::string_view text);

}  // namespace postern::log
