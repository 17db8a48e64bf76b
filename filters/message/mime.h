#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/analysis.h"
#include "filters/message/content_field.h"
#include "filters/message/oddities.h"

namespace postern::filters {

struct MimeLimits {
  unsigned depth_max = 64;         ///< open multiparts and messages at once
  std::size_t parts_max = 10'000;  ///< entities in all
  std::size_t header_fields_max =
      10'000;  ///< of all parts together; the message's own are counted by AnalysisLimits
};

/// One node of the tree: RFC 2045 §2.4. Views into the message's octets.
struct Entity {
  enum class Kind : unsigned char { leaf, multipart, message };
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  Kind kind = Kind::leaf;
  /// "2.1": the place among the parts of each enclosing multipart or message, as IMAP counts (RFC 3501 §6.4.5). Empty for a multipart
  /// that is itself the whole of a message: its parts are counted as the message's.
  std::string path;
  std::size_t parent = kNone;       ///< index of the enclosing multipart or message
  std::vector<HeaderField> fields;  ///< of a part; empty for the message itself
  std::string type;                 ///< "text/plain" where nothing usable is declared
  StructuredField content_type;
  StructuredField disposition;  ///< value "inline", "attachment" or empty
  std::string encoding;         ///< lower case; "7bit" where none is declared
  std::string_view
      body;  ///< without the line end that belongs to the delimiter (RFC 2046 §5.1.1); all of a multipart
  std::string_view preamble, epilogue;  ///< of a multipart: what lies outside of its parts
  Oddities oddities;

  bool is_text() const { return type.starts_with("text/"); }
};

/// The MIME structure of a message: RFC 2045, RFC 2046. One pass over the octets with a stack of open boundaries; a line that starts
/// with "--" is compared with each open boundary, of which there are at most depth_max. Never fails.
///
/// A delimiter is a line that is "--", an open boundary, perhaps "--", and then blanks. The innermost open boundary wins where several
/// are equal. Text behind a blank after the boundary is tolerated and noted; a line that only starts with a boundary is no delimiter,
/// because boundaries of nested multiparts are often prefixes of each other.
class Mime {
 public:
  /// `fields` and `body` of the message. The octets must outlive the tree.
  static Mime of(std::span<const HeaderField> fields, std::string_view body, const MimeLimits& limits = {});
  /// A message with its header, whose parts are to be counted below `path` and at `depth`.
  static Mime of_message(std::string_view message, std::string_view path, unsigned depth,
                         const MimeLimits& limits = {});

  /// In document order, an entity before what it contains.
  const std::vector<Entity>& entities() const { return entities_; }

 private:
  std::vector<Entity> entities_;
};

}  // namespace postern::filters
