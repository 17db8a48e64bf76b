#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {

/// What the content of a message has that a well-formed one has not. A fact for rules, never an error: what could be read was read.
/// The names (name_of) are stable: rules and records use them.
enum class Oddity : std::uint8_t {
  // Structure (mime.h).
  content_type_broken,         ///< not type "/" subtype: read as text/plain (RFC 2045 §5.2)
  duplicate_content_type,      ///< more than one Content-Type or Content-Transfer-Encoding: the first counts
  parameter_broken,            ///< a parameter without "=", an unended quotation, text behind a value
  parameter_repeated,          ///< the same parameter twice: the first counts
  parameter_gap,               ///< RFC 2231 §3: numbered pieces with one missing
  parameter_limit,             ///< more than StructuredField::kParametersMax
  multipart_without_boundary,  ///< no boundary parameter: taken for one leaf
  boundary_too_long,           ///< beyond the 70 octets of RFC 2046 §5.1.1
  no_delimiter,                ///< the boundary never appears: taken for one leaf
  no_final_delimiter,          ///< ends without "--boundary--"
  delimiter_with_text,         ///< a boundary followed by text on its line
  delimiter_after_close,       ///< another delimiter after the final one: parts that some readers show
  part_header_unended,         ///< a line that is no header field where a part's header should end
  part_header_limit,           ///< the header limits of MimeLimits stopped the walk
  encoded_multipart,           ///< base64 or the like declared for a multipart (RFC 2045 §6.4): ignored
  encoded_message,             ///< the same for message/rfc822: decoded, and its content read
  too_deep,                    ///< nesting stopped at MimeLimits::depth_max: taken for one leaf
  too_many_parts,              ///< MimeLimits::parts_max reached: the last part takes the rest
  // Transfer encodings (decode.h).
  encoding_unknown,           ///< not a known Content-Transfer-Encoding: read as it stands
  base64_foreign_octet,       ///< an octet outside the alphabet that is no white space: skipped
  base64_data_after_padding,  ///< decoded on
  base64_incomplete,          ///< ends within a group of four
  quoted_printable_broken,  ///< "=" before anything but two hexadecimal digits or a line end: left as it stands
  uuencode_broken,          ///< no begin or end line, or a line of the wrong length
  uuencode_inline,          ///< a "begin" line within text that is not declared to be encoded
  // Charsets (charset.h).
  charset_unknown,  ///< read as UTF-8 where it is valid, as windows-1252 otherwise
  charset_lie,      ///< octets above 127 under US-ASCII, or windows-1252 under a name for something else
  charset_invalid_octets,  ///< replaced by U+FFFD
  // Header texts (header_text.h).
  encoded_word_broken,     ///< looks like an encoded word and is none: left as it stands
  encoded_word_misplaced,  ///< within a quoted string or a parameter (RFC 2047 §5)
  eight_bit_text,          ///< raw octets above 127 in a header text
  // HTML (html_text.h) and the whole (content.h).
  html_limit,  ///< a tag or attribute longer than is kept
  text_limit,  ///< more visible text than ContentLimits::text_octets_max
  url_limit,   ///< more URLs than UrlList::kUrlsMax
  count_
};

std::string_view name_of(Oddity oddity);

/// A set of them: one word, no allocation.
class Oddities {
 public:
  void add(Oddity oddity) { bits_ |= bit(oddity); }
  void add(const Oddities& others) { bits_ |= others.bits_; }
  bool has(Oddity oddity) const { return (bits_ & bit(oddity)) != 0; }
  bool empty() const { return bits_ == 0; }
  /// In the order of the enumeration.
  std::vector<std::string> names() const;
  friend bool operator==(const Oddities&, const Oddities&) = default;

 private:
  static constexpr std::uint64_t bit(Oddity oddity) {
    return std::uint64_t{1} << static_cast<unsigned>(oddity);
  }
  std::uint64_t bits_ = 0;
};

}  // namespace postern::filters
