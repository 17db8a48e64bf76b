#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/test_strings.h"

namespace postern::filters {

class Content;

/// One header field as it stands in the message. Views into the message's octets.
struct HeaderField {
  std::string_view name;   ///< as written, without trailing blanks before the colon
  std::string_view value;  ///< after the colon, folding kept, without the final line end
  std::string_view raw;    ///< the whole field with its line end
};

/// Named limits of the header walk. Beyond them the walk stops, `truncated` says so, and the rest counts as
/// body.
struct AnalysisLimits {
  std::size_t header_octets_max = 1U << 20;
  std::size_t header_fields_max = 10'000;
};

/// What can be known of a message from its octets alone, computed in one linear pass and kept while the
/// message is judged, as often as that may be. Holds views: the message must outlive it and must not move.
/// Immutable once made, so that it may be made on a worker and read on a reactor.
class Analysis {
 public:
  /// Walks the octets once. Never fails: whatever is odd about them is recorded in oddities().
  static Analysis of(std::string_view message, const AnalysisLimits& limits = {});

  std::string_view message() const { return message_; }
  std::string_view header() const { return message_.substr(0, body_offset_); }
  std::string_view body() const { return message_.substr(body_offset_); }
  /// All fields in order from the top.
  const std::vector<HeaderField>& fields() const { return fields_; }
  /// How many fields bear the name (case-insensitive).
  std::size_t count(std::string_view name) const;
  /// The first field of that name from the top, or null.
  const HeaderField* find(std::string_view name) const;
  /// The value unfolded (RFC 5322 §2.2.3) and trimmed; a stray CR or LF in it goes as well.
  static std::string unfolded(std::string_view value);

  /// Test strings found anywhere in the message.
  const TestStrings& test_strings() const { return test_strings_; }
  bool has_gtube() const { return test_strings_.gtube; }
  bool has_eicar() const { return test_strings_.eicar; }
  /// What a well-formed message does not have, each once, in the order of its first octet:
  ///   junk_line           a header line that is neither field nor continuation; it and its continuations are
  ///   skipped continuation_first  a continuation before any field; skipped blank_before_colon  RFC 5322
  ///   §4.5: obsolete bare_lf, bare_cr    in the header: a line end that is not CRLF eight_bit_header    an
  ///   octet above 127 in the header: fine with SMTPUTF8 only (RFC 6532) header_unended      no empty line:
  ///   everything is header header_truncated    AnalysisLimits stopped the walk nul_octet           anywhere
  ///   (RFC 5322 §4) line_too_long       anywhere: more than 998 octets before CRLF (RFC 5322 §2.1.1)
  const std::vector<std::string>& oddities() const { return oddities_; }
  bool has_oddity(std::string_view name) const;
  bool truncated() const { return truncated_; }

  /// What the message says, where somebody wants to know: parts decoded, text, links (content.h). Null until it was read.
  const Content* content() const { return content_.get(); }
  /// Reads it, once; linear in the message. Not const: done by whoever makes the analysis, before it is judged.
  void read_content();

 private:
  std::string_view message_;
  std::size_t body_offset_ = 0;
  std::vector<HeaderField> fields_;
  std::vector<std::string> oddities_;
  TestStrings test_strings_;
  bool truncated_ = false;
  std::shared_ptr<const Content> content_;  // shared by copies of the analysis, which look at the same octets
};

}  // namespace postern::filters
