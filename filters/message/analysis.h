#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {

/// One header field as it stands in the message. Views into the message's octets.
struct HeaderField {
  std::string_view name;   ///< as written, without trailing blanks before the colon
  std::string_view value;  ///< after the colon, folding kept, without the final line end
  std::string_view raw;    ///< the whole field with its line end
};

/// Named limits of the header walk. Beyond them the walk stops, `truncated` says so, and the rest counts as body.
struct AnalysisLimits {
  std::size_t header_octets_max = 1U << 20;
  std::size_t header_fields_max = 10'000;
};

/// What can be known of a message from its octets alone, computed in one linear pass and kept while the message is judged,
/// as often as that may be. Holds views: the message must outlive it and must not move. Immutable once made, so that it may
/// be made on a worker and read on a reactor.
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
  /// The field's value unfolded (RFC 5322 §2.2.3) and trimmed.
  static std::string unfolded(std::string_view value);

  /// Spam test strings found anywhere in the message.
  bool has_gtube() const { return has_gtube_; }
  bool has_eicar() const { return has_eicar_; }
  /// Lines that are neither field nor continuation, NUL octets, 8-bit octets in the header, over-long lines (RFC 5322
  /// §2.1.1: 998), a header that never ends …: short stable names, each once, in order of first appearance.
  const std::vector<std::string>& oddities() const { return oddities_; }
  bool truncated() const { return truncated_; }

 private:
  std::string_view message_;
  std::size_t body_offset_ = 0;
  std::vector<HeaderField> fields_;
  std::vector<std::string> oddities_;
  bool has_gtube_ = false;
  bool has_eicar_ = false;
  bool truncated_ = false;
};

}  // namespace postern::filters
