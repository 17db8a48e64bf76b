#pragma once

#include <string>
#include <string_view>

namespace postern::log {

/// The file descriptor behind the logger: standard error or a file. Used by the writer thread alone (and by
/// its maker before that thread exists). A write waits at most kPatienceMs without progress, so that a reader
/// who stopped reading stops nobody else.
class Sink {
 public:
  static constexpr int kPatienceMs = 200;  ///< per attempt; the writer tries again with what is left

  Sink() = default;
  ~Sink() { close(); }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  /// An empty name means standard error. False with a sentence in `error`; what was open before stays open
  /// then.
  bool open(const std::string& file, std::string* error);

  enum class Result : unsigned char { progress, stuck, failed };
  /// One write(2) of as much of `octets` as the descriptor takes, which is taken off its front. `stuck`:
  /// nothing was taken within kPatienceMs. `failed`: it will not go at all (disk full, reader gone).
  Result write(std::string_view& octets);

 private:
  enum class Kind : unsigned char {
    file,         // plain write
    nonblocking,  // write, then poll
    pieces,       // poll, then a write so small that it cannot block
    socket,       // send without waiting, then poll
  };
  void adopt_standard_error();
  void close();

  int fd_ = -1;
  Kind kind_ = Kind::file;
};

}  // namespace postern::log
