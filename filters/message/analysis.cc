#include "filters/message/analysis.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "filters/message/content.h"

namespace postern::filters {
namespace {

constexpr std::size_t kLineOctetsMax = 998;  // RFC 5322 §2.1.1, without CRLF
constexpr std::size_t kNowhere = std::string_view::npos;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view without_line_end(std::string_view line) {
  if (!line.ends_with('\n')) return line;
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// ftext of RFC 5322 §3.6.8: printable ASCII without the colon, which ends it here.
bool is_field_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c > 32 && c < 127; });
}

/// Where the first octet above 127 stands.
std::size_t find_eight_bit(std::string_view octets) {
  const auto found = std::ranges::find_if(octets, [](char c) { return static_cast<unsigned char>(c) > 127; });
  return found == octets.end() ? kNowhere : static_cast<std::size_t>(found - octets.begin());
}

/// Where the first line of more than kLineOctetsMax octets starts. Goes from the last line end within reach
/// to the next, and so looks at a few octets of each thousand.
std::size_t find_long_line(std::string_view octets) {
  constexpr std::size_t kReach = kLineOctetsMax + 2;
  std::size_t start = 0;
  while (octets.size() - start > kLineOctetsMax) {
    const std::string_view reach = octets.substr(start, kReach);
    const std::size_t line_end = reach.rfind('\n');
    if (line_end == kNowhere) return start;
    start += line_end + 1;
  }
  return kNowhere;
}

/// What is odd, by the place where it shows first.
class HeaderOddities {
 public:
  void note(std::string_view name, std::size_t position) {
    const auto known = std::ranges::find(places_, name, &Place::second);
    if (known == places_.end()) {
      places_.emplace_back(position, name);
    } else {
      known->first = std::min(known->first, position);
    }
  }
  /// Where there is one.
  void note_found(std::string_view name, std::size_t position) {
    if (position != kNowhere) note(name, position);
  }
  std::vector<std::string> in_order() {
    std::ranges::sort(places_);
    std::vector<std::string> names;
    names.reserve(places_.size());
    for (const auto& [position, name] : places_) names.emplace_back(name);
    return names;
  }

 private:
  using Place = std::pair<std::size_t, std::string_view>;
  std::vector<Place> places_;
};

/// The header from the top, line by line: RFC 5322 §2.2. Tolerates what senders get wrong, and notes it.
class HeaderWalk {
 public:
  HeaderWalk(std::string_view message, const AnalysisLimits& limits, HeaderOddities& oddities)
      : message_(message), limits_(limits), oddities_(oddities) {}

  void run() {
    while (!ended_ && !truncated_ && position_ < message_.size()) take_line();
    close_field();
    if (truncated_) {
      oddities_.note("header_truncated", position_);
    } else if (!ended_) {
      oddities_.note("header_unended", position_);
    }
  }

  /// Where the body starts.
  std::size_t position() const { return position_; }
  bool truncated() const { return truncated_; }
  std::vector<HeaderField> take_fields() { return std::move(fields_); }

 private:
  void take_line() {
    const std::size_t room = limits_.header_octets_max - std::min(limits_.header_octets_max, position_);
    const std::string_view reach = message_.substr(position_, room);
    const std::size_t line_feed = reach.find('\n');
    if (line_feed == kNowhere && reach.size() < message_.size() - position_) {
      truncated_ = true;
      return;
    }
    const std::string_view line = reach.substr(0, line_feed == kNowhere ? reach.size() : line_feed + 1);
    const std::string_view text = without_line_end(line);
    note_line_ends(line, text);
    if (text.empty() && line_feed != kNowhere) {
      close_field();
      ended_ = true;
    } else if (!text.empty() && is_blank(text.front())) {
      if (state_ == State::start) oddities_.note("continuation_first", position_);
    } else if (!take_field(text)) {
      return;
    }
    position_ += line.size();
  }

  /// False when there is no room for another field.
  bool take_field(std::string_view text) {
    close_field();
    const std::size_t colon = text.find(':');
    std::string_view name = text.substr(0, colon);
    while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
    if (colon == kNowhere || !is_field_name(name)) {
      oddities_.note("junk_line", position_);
      state_ = State::junk;
      return true;
    }
    if (fields_.size() == limits_.header_fields_max) {
      truncated_ = true;
      return false;
    }
    if (name.size() < colon) oddities_.note("blank_before_colon", position_);
    state_ = State::field;
    field_start_ = position_;
    name_ = name;
    colon_ = position_ + colon;
    return true;
  }

  void close_field() {
    if (state_ != State::field) return;
    state_ = State::junk;
    const std::string_view raw = message_.substr(field_start_, position_ - field_start_);
    fields_.push_back(
        {.name = name_, .value = without_line_end(raw).substr(colon_ + 1 - field_start_), .raw = raw});
  }

  void note_line_ends(std::string_view line, std::string_view text) {
    if (line.ends_with('\n') && line.size() == text.size() + 1)
      oddities_.note("bare_lf", position_ + text.size());
    const std::size_t carriage_return = text.find('\r');
    if (carriage_return != kNowhere) oddities_.note("bare_cr", position_ + carriage_return);
  }

  enum class State : unsigned char { start, field, junk };  // what a continuation would continue

  std::string_view message_;
  const AnalysisLimits& limits_;
  HeaderOddities& oddities_;
  std::size_t position_ = 0;
  bool ended_ = false;
  bool truncated_ = false;
  State state_ = State::start;
  std::size_t field_start_ = 0;
  std::size_t colon_ = 0;
  std::string_view name_;
  std::vector<HeaderField> fields_;
};

}  // namespace

Analysis Analysis::of(std::string_view message, const AnalysisLimits& limits) {
  HeaderOddities oddities;
  HeaderWalk walk(message, limits, oddities);
  walk.run();

  Analysis analysis;
  analysis.message_ = message;
  analysis.body_offset_ = walk.position();
  analysis.truncated_ = walk.truncated();
  analysis.fields_ = walk.take_fields();
  oddities.note_found("eight_bit_header", find_eight_bit(analysis.header()));
  oddities.note_found("nul_octet", message.find('\0'));
  oddities.note_found("line_too_long", find_long_line(message));
  analysis.oddities_ = oddities.in_order();
  analysis.test_strings_ = find_test_strings(message);
  return analysis;
}

std::size_t Analysis::count(std::string_view name) const {
  const auto matches = [name](const HeaderField& field) { return same_name(field.name, name); };
  return static_cast<std::size_t>(std::ranges::count_if(fields_, matches));
}

const HeaderField* Analysis::find(std::string_view name) const {
  const auto matches = [name](const HeaderField& field) { return same_name(field.name, name); };
  const auto found = std::ranges::find_if(fields_, matches);
  return found == fields_.end() ? nullptr : &*found;
}

void Analysis::read_content() {
  if (content_ == nullptr) content_ = std::make_shared<const Content>(Content::of(*this));
}

bool Analysis::has_oddity(std::string_view name) const {
  return std::ranges::find(oddities_, name) != oddities_.end();
}

std::string Analysis::unfolded(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (const char c : value)
    if (c != '\r' && c != '\n') text += c;
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

}  // namespace postern::filters
