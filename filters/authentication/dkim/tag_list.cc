#include "filters/authentication/dkim/tag_list.h"

#include <algorithm>

namespace postern::filters::dkim {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_name_start(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}
bool is_name(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string without_blanks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::ranges::copy_if(text, std::back_inserter(out), [](char c) { return !is_blank(c); });
  return out;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string_view> colon_list(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t colon = text.find(':');
    parts.push_back(trimmed(text.substr(0, colon)));
    if (colon == std::string_view::npos) return parts;
    text.remove_prefix(colon + 1);
  }
}

std::expected<TagList, TagError> TagList::parse(std::string_view text) {
  TagList list;
  const auto fail = [&](std::string_view where, std::string_view rule) {
    return std::unexpected(TagError{.position = static_cast<std::size_t>(where.data() - text.data()),
                                    .rule = std::string(rule)});
  };
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    std::string_view part = trimmed(rest.substr(0, end));
    const bool last = end == rest.size();
    rest.remove_prefix(last ? end : end + 1);
    if (part.empty()) {
      if (trimmed(rest).empty()) break;  // one semicolon at the end
      return fail(rest, "tag-spec between semicolons (RFC 6376 §3.2)");
    }
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return fail(part, "\"=\" (RFC 6376 §3.2)");
    const std::string_view name = trimmed(part.substr(0, equals));
    if (name.empty() || !is_name_start(name.front()) || !std::ranges::all_of(name, is_name)) {
      return fail(part, "tag-name (RFC 6376 §3.2)");
    }
    if (list.find(name)) return fail(part, "each tag once (RFC 6376 §3.2)");
    if (list.tags_.size() == kTagsMax) return fail(part, "fewer tags");
    list.tags_.push_back({.name = name, .value = trimmed(part.substr(equals + 1))});
  }
  if (list.tags_.empty()) return fail(text, "a tag (RFC 6376 §3.2)");
  return list;
}

std::optional<std::string_view> TagList::find(std::string_view name) const {
  const auto found = std::ranges::find(tags_, name, &Tag::name);
  return found == tags_.end() ? std::nullopt : std::optional(found->value);
}

}  // namespace postern::filters::dkim
