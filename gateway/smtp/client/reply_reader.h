#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::smtp::client {

/// One whole reply of a server (RFC 5321 §4.2).
struct ServerReply {
  int code = 0;          ///< 200-599
  std::string enhanced;  ///< of the first line that has one of the code's class (RFC 2034 §4); else empty
  std::vector<std::string> lines;  ///< text of each line, octets as they came, without code and line end

  bool positive() const { return code / 100 == 2; }
  bool intermediate() const { return code / 100 == 3; }
  bool temporary() const { return code / 100 == 4; }
  bool permanent() const { return code / 100 == 5; }

  /// All lines as one, without the enhanced code at the beginning of each; controls and broken UTF-8 become '?',
  /// at most kEvidenceOctetsMax octets. Fit for logs, reports and the queue.
  std::string evidence() const;
  static constexpr std::size_t kEvidenceOctetsMax = 1000;
};

/// Takes replies out of what a server sends, at any split. What is no reply, or larger than a reply may be, breaks the
/// dialogue for good: nothing that comes behind it could be told apart from it. Linear, bounded.
class ReplyReader {
 public:
  /// RFC 5321 §4.5.3.1.5 says 512; real ones are longer. With the line end.
  static constexpr std::size_t kLineOctetsMax = 4096;
  static constexpr std::size_t kLinesMax = 256;
  static constexpr std::size_t kReplyOctetsMax = std::size_t{64} * 1024;

  enum class Outcome : unsigned char { need_more, reply, broken };

  /// Consumes octets of `input` up to the end of one reply.
  Outcome read(std::string_view& input);
  /// After Outcome::reply: moves it out and makes ready for the next.
  ServerReply take();
  /// After Outcome::broken: the rule that was violated.
  std::string_view problem() const { return problem_; }
  /// A reply has begun and not ended.
  bool inside() const { return !line_.empty() || !reply_.lines.empty(); }

 private:
  Outcome take_line();
  Outcome fail(std::string_view rule);

  ServerReply reply_;
  std::string line_;
  std::size_t octets_ = 0;
  std::string_view problem_;
};

/// "5.1.1" at the start of `text`, followed by a blank or the end; empty when there is none (RFC 3463 §2).
std::string_view leading_enhanced_code(std::string_view text);

/// Text of a stranger as one line of printable UTF-8, at most `octets_max` octets.
std::string printable_line(std::string_view text, std::size_t octets_max);

}  // namespace postern::smtp::client
