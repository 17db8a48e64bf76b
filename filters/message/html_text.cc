#include "filters/message/html_text.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "filters/message/charset.h"
#include "filters/message/content_field.h"
#include "filters/message/html_entities.h"
#include "filters/message/html_style.h"

namespace postern::filters {
namespace {

constexpr std::size_t kReferenceOctetsMax = 32;  // "&#x0000…;": longer ones are text
constexpr unsigned kPreformattedMax = 1000;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_letter(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_white(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/// Elements that start and end a line.
constexpr std::string_view kBlocks[] = {
    "address", "article", "aside",  "blockquote", "body", "br",     "caption", "center",
    "dd",      "details", "dialog", "dir",        "div",  "dl",     "dt",      "fieldset",
    "figure",  "footer",  "form",   "h1",         "h2",   "h3",     "h4",      "h5",
    "h6",      "head",    "header", "hr",         "html", "legend", "li",      "main",
    "menu",    "nav",     "ol",     "option",     "p",    "pre",    "section", "summary",
    "table",   "tbody",   "tfoot",  "thead",      "tr",   "ul",
};
static_assert(std::ranges::is_sorted(kBlocks));

/// Elements without an end tag: nothing can be inside.
constexpr std::string_view kVoid[] = {"area",  "base", "br",   "col",   "embed",  "hr",    "img",
                                      "input", "link", "meta", "param", "source", "track", "wbr"};
static_assert(std::ranges::is_sorted(kVoid));

/// Elements whose end tag is left out as a rule, and those without one among the blocks.
constexpr std::string_view kImplied[] = {"br", "dd", "dt", "hr", "li", "option", "p", "td", "th", "tr"};
static_assert(std::ranges::is_sorted(kImplied));

/// Elements whose content is no markup and not shown. The title is kept apart.
constexpr std::string_view kRaw[] = {"iframe", "noembed",  "noframes", "script",
                                     "style",  "textarea", "title",    "xmp"};
static_assert(std::ranges::is_sorted(kRaw));

template <std::size_t kSize>
bool is_one_of(const std::string_view (&names)[kSize], std::string_view name) {
  return std::ranges::binary_search(names, name);
}

/// A numeric reference: HTML §13.2.5.80. What windows-1252 has at 0x80–0x9F is meant by those numbers.
char32_t numeric_reference(std::string_view digits) {
  constexpr std::array<char16_t, 32> kWindows = {
      0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
      0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  const bool hexadecimal = !digits.empty() && lower(digits.front()) == 'x';
  if (hexadecimal) digits.remove_prefix(1);
  if (digits.empty()) return 0;
  std::uint32_t code = 0;
  for (const char c : digits) {
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (hexadecimal && lower(c) >= 'a' && lower(c) <= 'f') {
      digit = static_cast<std::uint32_t>(lower(c) - 'a' + 10);
    } else {
      return 0;
    }
    code = std::min<std::uint32_t>(code * (hexadecimal ? 16 : 10) + digit, 0x110000);
  }
  if (code >= 0x80 && code < 0xA0) return kWindows[code - 0x80];
  return code == 0 || code > 0x10FFFF ? 0xFFFD : static_cast<char32_t>(code);
}

/// Appends what "&" + body stands for; `ended` by a semicolon.
void append_reference(std::string& text, std::string_view body, bool ended) {
  if (body.starts_with('#')) {
    if (const char32_t code = numeric_reference(body.substr(1)); code != 0) {
      append_utf8(text, code);
      return;
    }
  } else if (const char32_t code = ended ? html_entity(body) : 0; code != 0) {
    append_utf8(text, code);
    return;
  } else {
    std::size_t length = 0;
    if (const char32_t prefix = html_entity_prefix(body, length); prefix != 0) {
      append_utf8(text, prefix);
      text += body.substr(length);
      if (ended) text += ';';
      return;
    }
  }
  text += '&';
  text += body;
  if (ended) text += ';';
}

bool continues_reference(std::string_view so_far, char c) {
  if (so_far.empty()) return is_letter(c) || c == '#';
  if (so_far.front() == '#')
    return is_digit(c) || (so_far.size() == 1 ? lower(c) == 'x'
                                              : is_letter(c) && so_far.size() > 1 &&
                                                    lower(so_far[1]) == 'x' && lower(c) <= 'f');
  return is_letter(c) || is_digit(c);
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  std::string result;
  // Line ends and tabs within a target do not count: URL standard §4.4.
  for (const char c : text)
    if (c != '\n' && c != '\r' && c != '\t') result += c;
  return result;
}

}  // namespace

std::string decode_html_references(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t ampersand = std::min(text.find('&', at), text.size());
    result += text.substr(at, ampersand - at);
    if (ampersand == text.size()) break;
    std::size_t end = ampersand + 1;
    while (end < text.size() && end - ampersand <= kReferenceOctetsMax &&
           continues_reference(text.substr(ampersand + 1, end - ampersand - 1), text[end]))
      ++end;
    const std::string_view body = text.substr(ampersand + 1, end - ampersand - 1);
    const bool ended = end < text.size() && text[end] == ';';
    // §13.2.5.73: in an attribute a name without a semicolon before "=" or a letter is text, as in "?a=1&copy=2".
    const bool is_text = !ended && !body.starts_with('#') && end < text.size() && text[end] == '=';
    if (is_text) {
      result += '&';
      result += body;
    } else {
      std::size_t length = 0;
      const bool partial =
          !ended && !body.starts_with('#') && html_entity_prefix(body, length) != 0 && length < body.size();
      if (partial) {
        result += '&';
        result += body;
      } else {
        append_reference(result, body, ended);
      }
    }
    at = end + (ended ? 1 : 0);
  }
  return result;
}

void HtmlReader::write(std::string_view piece) {
  for (std::size_t at = 0; at < piece.size();) {
    if (state_ == State::text) {
      at = text_run(piece, at);
      if (at == piece.size()) return;
    }
    step(piece[at++]);
  }
}

HtmlText HtmlReader::finish() {
  if (state_ == State::reference) end_reference();
  if (state_ == State::tag_open) put("<");
  if (open_link_ != 0) html_.references[open_link_ - 1].text_end = html_.text.size();
  if (html_.oddities.has(Oddity::text_limit))
    for (std::string* text : {&html_.text, &html_.hidden})  // no half characters
      while (!text->empty() && static_cast<unsigned char>(text->back()) >= 0x80) text->pop_back();
  while (html_.text.ends_with('\n') || html_.text.ends_with(' ')) html_.text.pop_back();
  for (HtmlReference& reference : html_.references) {
    reference.position = std::min(reference.position, html_.text.size());
    reference.text_end = std::min(std::max(reference.text_end, reference.position), html_.text.size());
  }
  return std::move(html_);
}

/// Text up to the next octet that means something, in runs without blanks.
std::size_t HtmlReader::text_run(std::string_view piece, std::size_t at) {
  const auto is_special = [](char c) {
    return c == '<' || c == '&' || static_cast<unsigned char>(c) <= ' ' || c == '\xC2';
  };
  while (at < piece.size()) {
    std::size_t end = at;
    while (end < piece.size() && !is_special(piece[end])) ++end;
    if (end > at) put(piece.substr(at, end - at));
    if (end == piece.size() || piece[end] == '<' || piece[end] == '&') return end;
    text_octet(piece[end]);
    at = end + 1;
  }
  return at;
}

void HtmlReader::text_octet(char c) {
  if (!is_white(c)) {
    put(std::string_view(&c, 1));
  } else if (preformatted_ > 0 && c == '\n') {
    break_line();
  } else {
    blank_ = true;
  }
}

std::string& HtmlReader::sink() {
  return hidden_name_.empty() ? html_.text : html_.hidden;
}

void HtmlReader::put(std::string_view run) {
  std::string& text = sink();
  bool& is_full = hidden_name_.empty() ? text_full_ : hidden_full_;
  if (is_full) return;  // what was cut off must not be joined with what comes later
  // A no-break space is a blank for everyone who looks for words. Its second octet may come in a later piece.
  if (run == "\xC2\xA0") {
    run = " ";
  } else if (run.starts_with('\xA0') && text.ends_with('\xC2')) {
    text.back() = ' ';
    run.remove_prefix(1);
  }
  if (std::exchange(blank_, false) && !text.empty() && text.back() != '\n' && text.size() < text_octets_max_)
    text += ' ';
  const std::size_t room = text_octets_max_ - text.size();
  if (run.size() > room) {
    html_.oddities.add(Oddity::text_limit);
    is_full = true;
  }
  text += run.substr(0, room);
}

void HtmlReader::break_line() {
  blank_ = false;
  std::string& text = sink();
  if (!text.empty() && text.back() != '\n' && text.size() < text_octets_max_) text += '\n';
}

void HtmlReader::end_reference() {
  std::string text;
  append_reference(text, reference_, false);
  reference_.clear();
  put(text);
}

/// One octet in any state but plain text. Each state's section of HTML §13.2.5 is in its name.
void HtmlReader::step(char c) {
  switch (state_) {
    case State::text:  // at "<" or "&": text_run has taken the rest
      state_ = c == '<' ? State::tag_open : State::reference;
      return;
    case State::reference:
      if (reference_.size() < kReferenceOctetsMax && continues_reference(reference_, c)) {
        reference_ += c;
        return;
      }
      state_ = State::text;
      if (c == ';' && !reference_.empty()) {
        std::string text;
        append_reference(text, std::exchange(reference_, {}), true);
        if (text.size() == 1 && is_white(text.front())) {
          text_octet(text.front());
        } else {
          put(text);
        }
        return;
      }
      end_reference();
      if (c == '<' || c == '&') {
        state_ = c == '<' ? State::tag_open : State::reference;
      } else {
        text_octet(c);
      }
      return;
    case State::tag_open:
      if (is_letter(c)) {
        name_.assign(1, lower(c));
        end_tag_ = false;
        attributes_.clear();
        state_ = State::tag_name;
      } else if (c == '/') {
        state_ = State::end_tag_open;
      } else if (c == '!') {
        declaration_.clear();
        state_ = State::declaration;
      } else if (c == '?') {
        state_ = State::bogus_comment;
      } else {
        put("<");
        state_ = State::text;
        if (c == '<' || c == '&') {
          state_ = c == '<' ? State::tag_open : State::reference;
        } else {
          text_octet(c);
        }
      }
      return;
    case State::end_tag_open:
      if (is_letter(c)) {
        name_.assign(1, lower(c));
        end_tag_ = true;
        attributes_.clear();
        state_ = State::tag_name;
      } else {
        state_ = c == '>' ? State::text : State::bogus_comment;
      }
      return;
    case State::tag_name:
      if (is_white(c) || c == '/') {
        state_ = State::before_attribute;
      } else if (c == '>') {
        end_tag();
      } else if (name_.size() < kNameOctetsMax) {
        name_ += lower(c);
      }
      return;
    case State::before_attribute:
      if (c == '>') {
        end_tag();
      } else if (!is_white(c) && c != '/') {
        begin_attribute(c);
      }
      return;
    case State::attribute_name:
    case State::after_attribute_name:
      if (c == '>') {
        end_tag();
      } else if (c == '=') {
        state_ = State::before_value;
      } else if (is_white(c)) {
        state_ = State::after_attribute_name;
      } else if (c == '/') {
        state_ = State::before_attribute;
      } else if (state_ == State::after_attribute_name) {
        begin_attribute(c);
      } else if (attribute_kept_ && attributes_.back().name.size() < kNameOctetsMax) {
        attributes_.back().name += lower(c);
      }
      return;
    case State::before_value:
      if (is_white(c)) return;
      if (c == '"') {
        state_ = State::value_double;
      } else if (c == '\'') {
        state_ = State::value_single;
      } else if (c == '>') {
        end_tag();
      } else {
        state_ = State::value_bare;
        attribute_octet(c);
      }
      return;
    case State::value_double:
    case State::value_single:
      if (c == (state_ == State::value_double ? '"' : '\'')) {
        state_ = State::before_attribute;
      } else {
        attribute_octet(c);
      }
      return;
    case State::value_bare:
      if (c == '>') {
        end_tag();
      } else if (is_white(c)) {
        state_ = State::before_attribute;
      } else {
        attribute_octet(c);
      }
      return;
    case State::declaration:
      if (c == '-' && declaration_.size() < 2) {
        declaration_ += c;
        if (declaration_.size() == 2) {
          ++html_.comments;
          dashes_ = 2;  // "<!-->" is a comment already
          state_ = State::comment;
        }
      } else {
        state_ = c == '>' ? State::text : State::bogus_comment;
      }
      return;
    case State::bogus_comment:
      if (c == '>') state_ = State::text;
      return;
    case State::comment:
      if (c == '>' && dashes_ >= 2) {
        state_ = State::text;
      } else if (c == '-') {
        dashes_ = std::min(dashes_ + 1, 2U);
      } else if (c == '!' && dashes_ == 2) {
        // "--!>" ends a comment as well.
      } else {
        dashes_ = 0;
      }
      return;
    case State::raw:
      if (c == '<') {
        state_ = State::raw_less;
      } else if (raw_name_ == "title" && html_.title.size() < kAttributeOctetsMax) {
        html_.title += is_white(c) ? ' ' : c;
      }
      return;
    case State::raw_less:
      raw_seen_.clear();
      state_ = c == '/' ? State::raw_end : c == '<' ? State::raw_less : State::raw;
      return;
    case State::raw_end:
      if (is_letter(c) && raw_seen_.size() < kNameOctetsMax) {
        raw_seen_ += lower(c);
      } else if (raw_seen_ == raw_name_ && (c == '>' || is_white(c) || c == '/')) {
        name_ = raw_name_;
        end_tag_ = true;
        attributes_.clear();
        state_ = State::before_attribute;
        if (c == '>') end_tag();
      } else {
        state_ = c == '<' ? State::raw_less : State::raw;
      }
      return;
  }
}

void HtmlReader::begin_attribute(char c) {
  attribute_kept_ = attributes_.size() < kAttributesMax;
  if (attribute_kept_) {
    attributes_.push_back({.name = std::string(1, lower(c)), .value = {}});
  } else {
    html_.oddities.add(Oddity::html_limit);
  }
  state_ = State::attribute_name;
}

void HtmlReader::attribute_octet(char c) {
  if (!attribute_kept_) return;
  std::string& value = attributes_.back().value;
  if (value.size() < kAttributeOctetsMax) {
    value += c;
  } else {
    html_.oddities.add(Oddity::html_limit);
  }
}

const std::string* HtmlReader::attribute(std::string_view name) const {
  const auto found = std::ranges::find(attributes_, name, &Attribute::name);  // the first of a name counts
  return found == attributes_.end() ? nullptr : &found->value;
}

void HtmlReader::end_tag() {
  state_ = State::text;
  ++html_.tags;
  if (end_tag_) {
    end_element();
  } else {
    start_element();
  }
}

void HtmlReader::start_element() {
  if (is_one_of(kBlocks, name_)) {
    break_line();
  } else if (name_ == "td" || name_ == "th") {
    blank_ = true;
  }
  for (const Attribute& each : attributes_)
    if (each.name.size() > 3 && each.name.starts_with("on")) html_.event_handlers = true;

  const bool is_void = is_one_of(kVoid, name_);
  const bool is_container = !is_void && is_one_of(kBlocks, name_) && !is_one_of(kImplied, name_);
  // What ends by itself when another of its kind starts must not hide the rest of the document.
  const bool ends_by_itself =
      hidden_name_ == "p" ? is_one_of(kBlocks, name_) : name_ == hidden_name_ && is_one_of(kImplied, name_);
  if (ends_by_itself) unhide();
  if (!hidden_name_.empty() && is_container && name_ != hidden_name_) ++hidden_blocks_;
  if (!hidden_name_.empty()) {
    // Bounded only by the document: a count, not a stack.
    if (name_ == hidden_name_ && !is_void) ++hidden_depth_;
  } else if (!is_void && is_hiding()) {
    blank_ = true;  // what follows the hidden text is another word
    hidden_name_ = name_;
    hidden_depth_ = 1;
    hidden_blocks_ = 0;
    if (!html_.hidden.empty() && html_.hidden.back() != '\n' && html_.hidden.size() < text_octets_max_)
      html_.hidden += '\n';
  }

  if (name_ == "a" || name_ == "area") {
    if (open_link_ != 0) html_.references[open_link_ - 1].text_end = html_.text.size();
    open_link_ = 0;
    const std::size_t before = html_.references.size();
    read_target(HtmlReference::Kind::link, "href");
    if (name_ == "a" && html_.references.size() > before) open_link_ = html_.references.size();
  } else if (name_ == "img") {
    ++html_.images;
    read_target(HtmlReference::Kind::image, "src");
  } else if (name_ == "form") {
    ++html_.forms;
    read_target(HtmlReference::Kind::form, "action");
  } else if (name_ == "iframe" || name_ == "frame" || name_ == "embed") {
    read_target(HtmlReference::Kind::frame, "src");
  } else if (name_ == "base") {
    const std::string* href = attribute("href");
    if (href != nullptr && html_.base.empty()) html_.base = trimmed(decode_html_references(*href));
  } else if (name_ == "input") {
    const std::string* type = attribute("type");
    if (type != nullptr && same_word(*type, "password")) ++html_.password_inputs;
  } else if (name_ == "meta") {
    read_meta();
  } else if (name_ == "script") {
    ++html_.scripts;
    read_target(HtmlReference::Kind::other, "src");
  } else if (name_ == "pre") {
    preformatted_ = std::min(preformatted_ + 1, kPreformattedMax);
  } else {
    read_target(HtmlReference::Kind::other, "background");
  }
  if (is_one_of(kRaw, name_)) {
    raw_name_ = name_;
    state_ = State::raw;
  }
}

void HtmlReader::end_element() {
  if (name_ == "a" && open_link_ != 0) {
    html_.references[open_link_ - 1].text_end = html_.text.size();
    open_link_ = 0;
  }
  if (name_ == "pre" && preformatted_ > 0) --preformatted_;
  if (is_one_of(kBlocks, name_)) break_line();
  if (hidden_name_.empty()) return;
  if (name_ == hidden_name_) {
    if (--hidden_depth_ == 0) unhide();
  } else if (is_one_of(kBlocks, name_) && !is_one_of(kImplied, name_)) {
    // The end of a block that began outside ends all in it.
    if (hidden_blocks_ == 0) {
      unhide();
    } else {
      --hidden_blocks_;
    }
  }
}

void HtmlReader::unhide() {
  hidden_name_.clear();
  blank_ = true;
}

void HtmlReader::read_target(HtmlReference::Kind kind, std::string_view name) {
  const std::string* value = attribute(name);
  if (value == nullptr) return;
  add_reference(kind, trimmed(decode_html_references(*value)));
}

void HtmlReader::add_reference(HtmlReference::Kind kind, std::string target) {
  if (target.empty()) return;
  const std::string scheme = to_lower(std::string_view(target).substr(0, 11));
  if (scheme.starts_with("data:")) html_.data_uris = true;
  if (scheme.starts_with("javascript:") || scheme.starts_with("vbscript:")) html_.script_uris = true;
  if (html_.references.size() == HtmlText::kReferencesMax) {
    html_.oddities.add(Oddity::html_limit);
    return;
  }
  html_.references.push_back({.kind = kind,
                              .target = std::move(target),
                              .position = html_.text.size(),
                              .text_end = html_.text.size()});
}

void HtmlReader::read_meta() {
  const std::string* content = attribute("content");
  const std::string* equivalent = attribute("http-equiv");
  if (const std::string* charset = attribute("charset"); charset != nullptr && html_.charset.empty())
    html_.charset = trimmed(*charset);
  if (content == nullptr || equivalent == nullptr) return;
  const std::string value = decode_html_references(*content);
  if (same_word(*equivalent, "content-type")) {
    const StructuredField field = parse_structured_field(value);
    if (const Parameter* charset = field.find("charset"); charset != nullptr && html_.charset.empty())
      html_.charset = charset->value;
  } else if (same_word(*equivalent, "refresh")) {
    html_.refresh = true;
    const std::size_t url = to_lower(value).find("url=");
    if (url == std::string::npos) return;
    std::string target = trimmed(std::string_view(value).substr(url + 4));
    std::erase(target, '\'');
    std::erase(target, '"');
    add_reference(HtmlReference::Kind::refresh, std::move(target));
  }
}

/// Whether this element's own attributes hide what is inside. Inheritance is not followed: it would take the tree.
bool HtmlReader::is_hiding() {
  if (attribute("hidden") != nullptr) {
    html_.hidden_by_display = true;
    return true;
  }
  const auto color_of = [this](std::string_view name) {
    const std::string* value = attribute(name);
    return value == nullptr ? std::string() : normal_color(*value);
  };
  std::string background = color_of("bgcolor");
  std::string color = name_ == "font" ? color_of("color") : std::string();
  if (const std::string* style = attribute("style")) {
    const InlineStyle inline_style = parse_inline_style(decode_html_references(*style));
    if (inline_style.not_displayed) html_.hidden_by_display = true;
    if (inline_style.no_size) html_.hidden_by_size = true;
    if (inline_style.not_displayed || inline_style.no_size) return true;
    if (!inline_style.background.empty()) background = inline_style.background;
    if (!inline_style.color.empty()) color = inline_style.color;
  }
  if (name_ == "body") {
    if (!background.empty()) page_color_ = background;
    return false;
  }
  if (!background.empty()) background_seen_ = true;
  // Without a background of its own the text stands on the page, as long as nothing else was coloured so far.
  const std::string behind = !background.empty() ? background
                             : background_seen_  ? std::string()
                                                 : page_color_;
  if (color.empty() || color != behind) return false;
  html_.hidden_by_color = true;
  return true;
}

}  // namespace postern::filters
