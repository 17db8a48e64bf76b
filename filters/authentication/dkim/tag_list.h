#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters::dkim {

struct TagError {
  std::size_t position = 0;
  std::string rule;  ///< "tag-name (RFC 6376 §3.2)"
};

/// tag=value; tag=value … of RFC 6376 §3.2, as used by signatures, key records and ARC. Views into the text parsed.
class TagList {
 public:
  static constexpr std::size_t kTagsMax = 100;

  struct Tag {
    std::string_view name;   ///< names are case-sensitive
    std::string_view value;  ///< blanks around it removed, folding inside kept
  };
  /// Duplicate names make the whole list invalid (§3.2).
  static std::expected<TagList, TagError> parse(std::string_view text);

  const std::vector<Tag>& tags() const { return tags_; }
  std::optional<std::string_view> find(std::string_view name) const;

 private:
  std::vector<Tag> tags_;
};

/// The text without blanks and line ends: where a value may be folded anywhere (base64, lists).
std::string without_blanks(std::string_view text);
/// Blanks and line ends at both ends removed.
std::string_view trimmed(std::string_view text);
/// Equal without regard to the case of ASCII letters.
bool same_word(std::string_view a, std::string_view b);
/// The parts of a colon-separated list, blanks around each removed.
std::vector<std::string_view> colon_list(std::string_view text);

}  // namespace postern::filters::dkim
