#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/smtp/body.h"

namespace postern::smtp {

/// What becomes of a CR without LF or an LF without CR inside a message. `reject` answers 550 5.6.11 after
/// the true end of the data (RFC 3463 §3.7: X.6.z is about the content; the detail 11 is what large receivers
/// answer for bare line feeds); `normalize` turns each into CRLF before anything else sees it.
enum class BareLineEndings : std::uint8_t { reject, normalize };

/// How the end of the message is found.
enum class DataFraming : std::uint8_t {
  dot,      ///< DATA: CRLF.CRLF, dots are unstuffed (RFC 5321 §4.1.1.4, §4.5.2)
  counted,  ///< BDAT: the caller knows the count (RFC 3030 §2); dots mean nothing, line endings are still
            ///< looked at
  binary,   ///< BDAT after BODY=BINARYMIME: every octet is kept (RFC 3030 §3)
};

/// Why a message may not be stored. Where several hold, the first in this order is reported.
enum class DataError : std::uint8_t { none, bare_line_ending, line_too_long, too_large, out_of_budget };

/// Turns the wire form of one message into the stored form, in pieces of any size, with the same answer at
/// every split. Only CRLF.CRLF ends a DATA message, or .CRLF as its very first octets. A dot that follows a
/// bare CR or a bare LF never ends anything: with `reject` the message is refused, with `normalize` that line
/// stays content. After an error the rest is counted and thrown away, and the body's memory is given back at
/// once. A value; no I/O; linear time.
class DataDecoder {
 public:
  /// Line lengths are not looked at when the bound is this or more.
  static constexpr std::size_t kLineUnbounded = 0x7fffffff;

  struct Rules {
    DataFraming framing = DataFraming::dot;
    BareLineEndings bare_line_endings = BareLineEndings::reject;
    std::uint64_t octets_max = 0;                  ///< of the stored form (RFC 1870 §5: without stuffed dots)
    std::size_t line_octets_max = kLineUnbounded;  ///< on the wire, with CRLF (RFC 5321 §4.5.3.1.6)
  };

  DataDecoder() = default;
  explicit DataDecoder(const Rules& rules) : rules_(rules) {}

  /// Decodes what of `wire` belongs to the message and appends it to `body`. Returns how many octets were
  /// consumed: all of them, unless the message ended before.
  std::size_t write(std::string_view wire, Body& body);
  /// No octet will follow (counted framing): a CR still waiting for its LF was a bare one.
  void finish(Body& body);

  bool done() const { return state_ == State::done; }
  DataError error() const;
  /// Octets of the stored form so far, also those thrown away.
  std::uint64_t octets() const { return octets_; }
  std::uint64_t bare_line_endings() const { return bare_line_endings_; }

 private:
  /// What the octets before this one were. A held-back octet (CR, dot) is in the state and not yet in the
  /// body.
  enum class State : std::uint8_t {
    line_start,  ///< CRLF, or the beginning
    text,
    cr,          ///< CR, held back
    dot,         ///< line_start and a dot, held back
    dot_cr,      ///< line_start, dot, CR, both held back
    soft_start,  ///< a bare line ending that was normalised: a line begins, but a dot on it cannot end the
                 ///< message
    soft_dot,    ///< soft_start and a dot, held back
    done,
  };

  std::size_t write_lines(std::string_view wire, Body& body);
  template <bool kDots>
  std::size_t plain_run(const char* begin, const char* end);
  void emit(std::string_view octets, Body& body);
  void bare_ending(Body& body);
  void measure_lines(std::string_view wire, Body& body);
  void discard(Body& body);

  Rules rules_;
  std::uint64_t octets_ = 0, bare_line_endings_ = 0;
  std::size_t line_octets_ = 0;
  State state_ = State::line_start;
  bool discarding_ = false, line_too_long_ = false, out_of_budget_ = false;
};

}  // namespace postern::smtp
