// The tokens of what follows the header.
#include <algorithm>
#include <string>

#include "filters/bayes/extract.h"
#include "filters/bayes/walk.h"
#include "filters/bayes/words.h"

namespace postern::filters::bayes {
namespace {

constexpr std::size_t kTextPairDistance = 1;
constexpr std::size_t kPathWordsMax = 12;
constexpr std::size_t kElementsMax = 2'000;

/// The first octets of a text, cut between characters.
std::string_view head(std::string_view text, std::size_t octets_max) {
  if (text.size() <= octets_max) return text;
  while (octets_max > 0 && (static_cast<unsigned char>(text[octets_max]) & 0xC0) == 0x80) --octets_max;
  return text.substr(0, octets_max);
}

std::size_t character_octets(char first) {
  const auto octet = static_cast<unsigned char>(first);
  return octet < 0xC0 ? 1 : octet < 0xE0 ? 2 : octet < 0xF0 ? 3 : 4;
}

/// Scripts that put no blanks between words begin at U+0E00 (three octets): two characters a token.
void add_unspaced(Walk& walk, const Tag& tag, std::string_view run) {
  while (!run.empty()) {
    const std::size_t first = std::min(character_octets(run.front()), run.size());
    const std::size_t second =
        first < run.size() ? std::min(character_octets(run[first]), run.size() - first) : 0;
    walk.add(tag, run.substr(0, first + second));
    run.remove_prefix(first);
  }
}

void add_long(Walk& walk, const Tag& tag, std::string_view word) {
  const auto wide = std::ranges::count_if(word, [](char c) { return static_cast<unsigned char>(c) >= 0xE0; });
  if (static_cast<std::size_t>(wide) * 6 >= word.size()) {
    add_unspaced(walk, tag, word);
  } else {
    walk.add(tag, "#long " + size_class(word.size()));
  }
}

void add_running_text(Walk& walk, const Tag& tag, std::string_view text, std::size_t paired_max) {
  std::uint64_t previous = 0;
  std::string_view previous_word;
  for (std::size_t i = 0;; ++i) {
    const std::string_view word = next_word(text);
    if (word.empty()) return;
    if (word.size() > kWordOctetsMax) {
      add_long(walk, tag, word);
      previous_word = {};
      continue;
    }
    const std::uint64_t hash = walk.add(tag, word);
    if (i < paired_max && !previous_word.empty())
      walk.set().add_pair(tag.name, previous, hash, kTextPairDistance, previous_word, word);
    previous = hash;
    previous_word = word;
  }
}

/// Pieces between signs, in lower case.
void add_pieces(Walk& walk, const Tag& tag, std::string_view text, std::size_t count) {
  std::string lower;
  for (std::size_t i = 0; i < count; ++i) {
    std::string_view word = next_word(text);
    if (word.empty()) return;
    walk.add(tag, word.size() <= kWordOctetsMax ? lowered(word, lower) : shape(word));
  }
}

void add_url(Walk& walk, const Tag& host_tag, const Tag& path_tag, std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) return;
  if (url.starts_with("https")) walk.add(path_tag, "#https");
  url.remove_prefix(scheme + 3);
  std::string_view authority = url.substr(0, url.find_first_of("/?#\\"));
  url.remove_prefix(authority.size());
  if (const std::size_t at = authority.rfind('@'); at != authority.npos) {
    walk.add(host_tag, "#userinfo");
    authority.remove_prefix(at + 1);
  }
  if (const std::size_t colon = authority.rfind(':'); colon != authority.npos) {
    walk.add(host_tag, authority.substr(colon).substr(0, 8));
    authority = authority.substr(0, colon);
  }
  walk.add_host(host_tag, authority);
  const std::string_view path = url.substr(0, url.find_first_of("?#"));
  add_pieces(walk, path_tag, path, kPathWordsMax);
  walk.add(path_tag, shape(path));
  url.remove_prefix(path.size());
  // Of the query the names, and values only as far as they are short.
  add_pieces(walk, path_tag, url, kPathWordsMax);
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Elements and attributes as they stand in the source; no tree is needed to see what hand wrote them.
void add_elements(Walk& walk, const Tag& tag, std::string_view html) {
  constexpr std::size_t kNameMax = 16, kValueMax = 24, kAttributesMax = 12;
  std::string text, lower;
  std::size_t elements = 0;
  for (std::size_t at = html.find('<'); at != html.npos && elements < kElementsMax; at = html.find('<', at)) {
    ++at;
    if (at == html.size() || !is_letter(html[at])) continue;
    ++elements;
    const std::size_t end = std::min(html.find_first_of("<>", at), html.size());
    std::string_view source = html.substr(at, end - at);
    at = end;
    const std::size_t name_end = std::min(source.find_first_of(" \t\r\n/"), source.size());
    text.assign(lowered(source.substr(0, std::min(name_end, kNameMax)), lower));
    walk.add(tag, text);
    source.remove_prefix(name_end);
    const std::size_t stem = text.size();
    for (std::size_t i = 0; i < kAttributesMax; ++i) {
      const std::size_t equals = source.find('=');
      if (equals == source.npos) break;
      std::string_view name = source.substr(0, equals);
      while (!name.empty() && name.back() <= ' ') name.remove_suffix(1);
      name.remove_prefix(std::min(name.find_last_of(" \t\r\n\"'") + 1, name.size()));
      source.remove_prefix(equals + 1);
      while (!source.empty() && source.front() <= ' ') source.remove_prefix(1);
      const bool quoted = !source.empty() && (source.front() == '"' || source.front() == '\'');
      const std::size_t value_end = quoted ? source.find(source.front(), 1) : source.find_first_of(" \t\r\n");
      const std::string_view value =
          quoted ? source.substr(1, value_end == source.npos ? source.npos : value_end - 1)
                 : source.substr(0, value_end);
      source.remove_prefix(
          std::min(value_end == source.npos ? source.size() : value_end + (quoted ? 1 : 0), source.size()));
      text.resize(stem);
      text += '.';
      text += lowered(name.substr(0, kNameMax), lower);
      walk.add(tag, text);
      if (value.size() > kValueMax || text.ends_with("href") || text.ends_with("src")) continue;
      text += '=';
      text += lowered(value, lower);
      walk.add(tag, text);
    }
  }
  walk.add(tag, "#" + size_class(elements));
}

}  // namespace

void add_text(Walk& walk, const Content& content) {
  add_running_text(walk, walk.tag(""), head(content.text(), Extractor::kTextOctetsMax),
                   Extractor::kPairedWordsMax);
  add_running_text(walk, walk.tag("hidden:"), head(content.hidden_text(), Extractor::kTextOctetsMax / 8), 0);
}

void add_links(Walk& walk, const Content& content) {
  const Tag host_tag = walk.tag("url:"), path_tag = walk.tag("path:");
  const auto& urls = content.urls();
  for (std::size_t i = 0; i < std::min(urls.size(), Extractor::kUrlsMax); ++i)
    add_url(walk, host_tag, path_tag, std::string_view(urls[i]).substr(0, 1024));
  walk.add(host_tag, "#" + size_class(urls.size()));
}

void add_form(Walk& walk, const Content& content) {
  const Tag part_tag = walk.tag("part:"), html_tag = walk.tag("html:"), file_tag = walk.tag("file:");
  const auto& parts = content.parts();
  std::size_t html_left = Extractor::kHtmlOctetsMax;
  for (std::size_t i = 0; i < std::min(parts.size(), Extractor::kPartsMax); ++i) {
    const ContentPart& part = parts[i];
    walk.add(part_tag, std::string_view(part.type).substr(0, 100));
    walk.add(part_tag, "encoding " + part.encoding.substr(0, kWordOctetsMax));
    walk.add(part_tag, "charset " + part.charset.substr(0, kWordOctetsMax));
    walk.add(part_tag, part.type.substr(0, 100) + " #" + size_class(part.octets.size()));
    if (!part.disposition.empty()) walk.add(part_tag, part.disposition);
    if (!part.filename.empty()) {
      const std::string_view name = std::string_view(part.filename).substr(0, 255);
      walk.add_words(file_tag, name, kPathWordsMax, 0);
      walk.add(file_tag, shape(name));
      if (const std::size_t dot = name.rfind('.'); dot != name.npos)
        walk.add(file_tag, name.substr(dot).substr(0, 16));
    }
    if (!part.type.starts_with("text/") && !part.octets.empty()) walk.add(file_tag, part.octets.substr(0, 4));
    if (part.type == "text/html") {
      const std::string_view html = part.octets.substr(0, html_left);
      html_left -= html.size();
      add_elements(walk, html_tag, html);
    }
  }
  walk.add(part_tag, "#" + size_class(parts.size()));
  const Tag odd_tag = walk.tag("odd:");
  for (const std::string& name : content.oddities().names()) walk.add(odd_tag, name);
  for (const HtmlText& html : content.html()) {
    if (html.hidden_by_display) walk.add(html_tag, "#hidden by display");
    if (html.hidden_by_size) walk.add(html_tag, "#hidden by size");
    if (html.hidden_by_color) walk.add(html_tag, "#hidden by color");
    if (html.password_inputs > 0) walk.add(html_tag, "#password");
    if (html.data_uris) walk.add(html_tag, "#data");
    walk.add(html_tag, "#images " + size_class(html.images));
  }
}

}  // namespace postern::filters::bayes
