#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace postern::load {

/// One reply of the server, all its lines (RFC 5321 §4.2).
struct Reply {
  int code = 0;
  std::string text;  ///< the lines' texts, separated by LF
  bool positive() const { return code >= 200 && code < 300; }
  /// A keyword of an EHLO reply, RFC 5321 §4.1.1.1: the first word of a line after the first. Case does not matter.
  bool announces(std::string_view keyword) const;
};

/// What the server said is no reply; `position` counts octets from the start of the connection.
struct ReplyError {
  std::uint64_t position = 0;
  std::string_view rule;  ///< "three digits", "the same code on every line", …
};

/// Cuts the octets of a server into replies, however they arrive. Bounded: a line of kLineOctetsMax, a reply of
/// kTextOctetsMax.
class ReplyReader {
 public:
  static constexpr std::size_t kLineOctetsMax = 4096;       ///< servers exceed the 512 of RFC 5321 §4.5.3.1.5
  static constexpr std::size_t kTextOctetsMax = 64 * 1024;  ///< an EHLO reply has a few dozen lines at most

  void feed(std::string_view octets) { input_.append(octets); }
  /// The next whole reply, or nothing while it is incomplete. An error stays.
  std::expected<std::optional<Reply>, ReplyError> next();
  /// Octets wait that next() has not used.
  bool pending() const { return at_ < input_.size(); }
  /// Forgets what was received but not used: after STARTTLS (RFC 3207 §4.2).
  void clear();

 private:
  std::expected<bool, ReplyError> take_line(std::string_view line);
  ReplyError error(std::string_view rule, std::size_t offset) const {
    return {consumed_ + at_ + offset, rule};
  }

  std::string input_;
  std::size_t at_ = 0;          // of input_
  std::size_t searched_ = 0;    // no LF before this
  std::uint64_t consumed_ = 0;  // octets cut off input_ so far
  Reply partial_;
  bool has_line_ = false;
};

}  // namespace postern::load
