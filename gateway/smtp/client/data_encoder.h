#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::smtp::client {

/// What the octets of a message demand of the way, found in one pass.
struct Survey {
  bool eight_bit_header = false;   ///< an octet over 127 in the header
  bool eight_bit_content = false;  ///< one behind the header
  bool bare_line_ending = false;   ///< a CR without LF or an LF without CR
  bool nul = false;                ///< no text at all (RFC 5321 §2.3.7 leaves it out of what may be sent)
  bool eight_bit() const { return eight_bit_header || eight_bit_content; }
  /// Of a message in two pieces; the header ends at the first empty line of both together.
  static Survey of(std::string_view head, std::string_view content);
};

/// The wire form of a message for DATA (RFC 5321 §4.1.1.4, §4.5.2), in pieces. Whatever the message holds, the only
/// CRLF.CRLF in it is the one at the end: a line that begins with a dot gets another, and a CR or LF that stands alone is sent as
/// CRLF, because receivers disagree whether such a one ends a line. Linear.
class DataEncoder {
 public:
  DataEncoder(std::string_view head, std::string_view content) : parts_{head, content} {}

  /// The next piece, about `octets_max` long, in `out` (replaced). The last one ends in CRLF.CRLF. False: there was none.
  bool next(std::string& out, std::size_t octets_max = kPieceOctets);
  bool done() const { return done_; }

  static constexpr std::size_t kPieceOctets = std::size_t{64} * 1024;

 private:
  void encode(std::string_view octets, std::string& out);

  std::string_view parts_[2];
  std::size_t part_ = 0;
  bool line_start_ = true, after_cr_ = false, done_ = false;
};

}  // namespace postern::smtp::client
