#include "filters/message/oddities.h"

#include <iterator>

namespace postern::filters {
namespace {

constexpr std::string_view kNames[] = {
    "content_type_broken",
    "duplicate_content_type",
    "parameter_broken",
    "parameter_repeated",
    "parameter_gap",
    "parameter_limit",
    "multipart_without_boundary",
    "boundary_too_long",
    "no_delimiter",
    "no_final_delimiter",
    "delimiter_with_text",
    "delimiter_after_close",
    "part_header_unended",
    "part_header_limit",
    "encoded_multipart",
    "encoded_message",
    "too_deep",
    "too_many_parts",
    "encoding_unknown",
    "base64_foreign_octet",
    "base64_data_after_padding",
    "base64_incomplete",
    "quoted_printable_broken",
    "uuencode_broken",
    "uuencode_inline",
    "charset_unknown",
    "charset_lie",
    "charset_invalid_octets",
    "encoded_word_broken",
    "encoded_word_misplaced",
    "eight_bit_text",
    "html_limit",
    "text_limit",
    "url_limit",
};
static_assert(std::size(kNames) == static_cast<std::size_t>(Oddity::count_));
static_assert(std::size(kNames) <= 64);

}  // namespace

std::string_view name_of(Oddity oddity) {
  return kNames[static_cast<std::size_t>(oddity)];
}

std::vector<std::string> Oddities::names() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if (has(static_cast<Oddity>(i))) names.emplace_back(kNames[i]);
  return names;
}

}  // namespace postern::filters
