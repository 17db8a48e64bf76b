#include "filters/rules/pattern_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "filters/rules/literals.h"

namespace postern::filters::rules {
namespace {

constexpr std::size_t kConfirmReach = 4'096;       // before the end that the prefilter names
constexpr std::size_t kConfirmOctetsMax = 65'536;  // beyond it
constexpr std::string_view kCacheMark = "postern rules 1\n";

void put_size(std::string& out, std::size_t size) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(static_cast<unsigned char>(size >> (8 * i)));
}

/// A length and that many octets from the front of `text`.
bool take_block(std::string_view& text, std::string_view& block) {
  if (text.size() < 8) return false;
  std::size_t size = 0;
  for (std::size_t i = 8; i-- > 0;) size = size << 8 | static_cast<unsigned char>(text[i]);
  text.remove_prefix(8);
  if (size > text.size()) return false;
  block = text.substr(0, size);
  text.remove_prefix(size);
  return true;
}

/// One printable line; octets that are no UTF-8 become "?".
std::string readable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < PatternIndex::kExcerptOctetsMax;) {
    const auto c = static_cast<unsigned char>(text[i]);
    std::size_t octets = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
    bool whole = c < 0x80 || (octets > 1 && c < 0xF5 && i + octets <= text.size());
    for (std::size_t k = 1; whole && k < octets; ++k)
      whole = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (c < 0x20 || c == 0x7F) {
      if (!out.ends_with(' ')) out += ' ';
    } else if (whole) {
      out += text.substr(i, octets);
    } else {
      out += '?';
    }
    i += whole ? octets : 1;
  }
  return out;
}

}  // namespace

Database::Entry database_entry(const Pattern& pattern) {
  return {.expression = (pattern.extended ? "(?x)" : "") + pattern.expression,
          .caseless = pattern.caseless,
          .multiline = pattern.multiline,
          .dotall = pattern.dotall};
}

PatternIndex::Kind PatternIndex::kind_of(Field field) {
  switch (field) {
    case Field::body:
      return Kind::body;
    case Field::hidden:
      return Kind::hidden;
    case Field::rawbody:
      return Kind::rawbody;
    case Field::message:
      return Kind::message;
    case Field::url:
    case Field::url_host:
    case Field::url_domain:
      return Kind::url;
    case Field::authentication:
      return Kind::none;
    default:
      return Kind::value;
  }
}

std::expected<PatternIndex, std::vector<Problem>> PatternIndex::compile(const RuleBook& book,
                                                                        const std::vector<bool>& wanted,
                                                                        std::string_view cached) {
  PatternIndex index;
  std::vector<Problem> problems;
  index.subjects_ = book.subjects;
  index.key_ = key_of(book, wanted);
  for (std::size_t i = 0; i < book.patterns.size(); ++i) {
    const Pattern& pattern = book.patterns[i];
    const Subject& subject = book.subjects[pattern.subject];
    auto matcher = Matcher::compile(pattern);
    if (!matcher) {
      Place place = pattern.place;
      place.column += static_cast<unsigned>(matcher.error().offset) + 1;
      problems.push_back({.place = std::move(place), .what = "the pattern: " + matcher.error().what});
      continue;
    }
    Entry entry{.matcher = *std::move(matcher),
                .kind = wanted[i] ? kind_of(subject.field) : Kind::none,
                .counted = pattern.counted,
                .subject = pattern.subject,
                .default_value = pattern.default_value,
                .has_default = pattern.has_default};
    if (entry.kind == Kind::value && std::ranges::find(index.values_, pattern.subject) == index.values_.end())
      index.values_.push_back(pattern.subject);
    index.entries_.push_back(std::move(entry));
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  index.restored_ = index.restore(cached);
  if (!index.restored_) {
    index.classify(book);
    if (!index.build(book, problems)) return std::unexpected(std::move(problems));
  }
  for (std::size_t i = 0; i < index.entries_.size(); ++i)
    if (index.entries_[i].speed == Speed::alone) index.alone_.push_back(i);
  return index;
}

std::string PatternIndex::key_of(const RuleBook& book, const std::vector<bool>& wanted) {
  std::string key = std::string(kCacheMark) + Database::platform() + "\n";
  for (std::size_t i = 0; i < book.patterns.size(); ++i) {
    const Pattern& pattern = book.patterns[i];
    const Kind kind = wanted[i] ? kind_of(book.subjects[pattern.subject].field) : Kind::none;
    key += fmt::format("{} {}{}{}{} {}\n", static_cast<int>(kind), pattern.caseless ? "i" : "",
                       pattern.multiline ? "m" : "", pattern.dotall ? "s" : "", pattern.extended ? "x" : "",
                       pattern.expression);
  }
  return key;
}

/// How each pattern is to be looked for; the same on every run.
void PatternIndex::classify(const RuleBook& book) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.kind == Kind::none) continue;
    const Pattern& pattern = book.patterns[i];
    std::string why;
    const Database::Fit fit = Database::fit(database_entry(pattern), why);
    entry.prefilter = fit == Database::Fit::prefilter;
    const bool anchored = required_literal(pattern.expression, pattern.extended) >= kLiteralOctetsMin;
    entry.speed = fit == Database::Fit::none ? Speed::alone : anchored ? Speed::fast : Speed::slow;
  }
}

std::vector<Database::Entry> PatternIndex::entries_of(const RuleBook& book, Kind kind, Speed speed) const {
  std::vector<Database::Entry> out;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].kind != kind || entries_[i].speed != speed) continue;
    Database::Entry entry = database_entry(book.patterns[i]);
    entry.prefilter = entries_[i].prefilter;
    entry.id = static_cast<unsigned>(i);
    out.push_back(std::move(entry));
  }
  return out;
}

/// Some patterns show only when they are compiled that they are too large: these become prefilters, and if that does not help stand alone.
bool PatternIndex::build(const RuleBook& book, std::vector<Problem>& problems) {
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    for (const Speed speed : {Speed::fast, Speed::slow}) {
      for (;;) {
        const auto entries = entries_of(book, static_cast<Kind>(kind), speed);
        auto made = Database::compile(entries);
        if (made) {
          databases_[kind][static_cast<std::size_t>(speed)] = *std::move(made);
          break;
        }
        if (made.error().entry >= entries.size()) {
          problems.push_back(
              {.place = {.file = "rules"}, .what = "the patterns cannot be compiled: " + made.error().what});
          return false;
        }
        Entry& entry = entries_[entries[made.error().entry].id];
        if (entry.prefilter) entry.speed = Speed::alone;
        entry.prefilter = true;
      }
    }
  return true;
}

std::string PatternIndex::cache() const {
  std::string out;
  put_size(out, key_.size());
  out += key_;
  std::string ways;
  for (const Entry& entry : entries_)
    ways += static_cast<char>('0' + static_cast<int>(entry.speed) * 2 + (entry.prefilter ? 1 : 0));
  put_size(out, ways.size());
  out += ways;
  for (const auto& pair : databases_)
    for (const Database& database : pair) {
      const std::string octets = database.serialized();
      put_size(out, octets.size());
      out += octets;
    }
  return out;
}

bool PatternIndex::restore(std::string_view cached) {
  std::string_view key, ways;
  if (!take_block(cached, key) || key != key_ || !take_block(cached, ways) || ways.size() != entries_.size())
    return false;
  std::array<std::array<Database, 2>, kKinds> databases;
  for (auto& pair : databases)
    for (Database& database : pair) {
      std::string_view block;
      if (!take_block(cached, block)) return false;
      auto restored = Database::restore(block);
      if (!restored) return false;
      database = *std::move(restored);
    }
  if (std::ranges::any_of(ways, [](char c) { return c < '0' || c > '5'; })) return false;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].speed = static_cast<Speed>((ways[i] - '0') / 2);
    entries_[i].prefilter = (ways[i] - '0') % 2 != 0;
  }
  databases_ = std::move(databases);
  return true;
}

std::size_t PatternIndex::octets() const {
  std::size_t sum = 0;
  for (const auto& pair : databases_)
    for (const Database& database : pair) sum += database.octets();
  return sum;
}

/// One message looked through.
class PatternIndex::Scan {
 public:
  Scan(const PatternIndex& index, const Reading& reading) : index_(index), reading_(reading) {
    hits_.counts.resize(index.entries_.size());
    hits_.places.resize(index.entries_.size());
  }

  Hits run() {
    text(Kind::body, reading_.body(), kAnySubject);
    text(Kind::hidden, reading_.hidden(), kAnySubject);
    for (const std::string_view raw : reading_.raw_texts()) text(Kind::rawbody, raw, kAnySubject);
    text(Kind::message, reading_.analysis().message().substr(0, Reading::kMessageOctetsMax), kAnySubject);
    urls();
    for (const std::uint32_t subject : index_.values_) values(subject);
    hits_.limited = budget_.limited();
    return std::move(hits_);
  }

 private:
  static constexpr std::uint32_t kAnySubject = ~0U;

  void urls() {
    const auto& pair = index_.databases_[static_cast<std::size_t>(Kind::url)];
    const bool any_alone = std::ranges::any_of(
        index_.alone_, [this](std::size_t i) { return index_.entries_[i].kind == Kind::url; });
    if (pair[0].empty() && pair[1].empty() && !any_alone) return;
    for (const UrlReading& url : reading_.urls()) {
      field(url.url, Field::url);
      field(url.host, Field::url_host);
      field(url.domain, Field::url_domain);
    }
  }

  void field(std::string_view value, Field field) {
    for (std::uint32_t i = 0; i < index_.subjects_.size(); ++i)
      if (index_.subjects_[i].field == field) text(Kind::url, value, i);
  }

  void values(std::uint32_t subject) {
    auto values = reading_.values(index_.subjects_[subject]);
    if (values.empty()) return defaults(subject);
    for (std::string& value : values) {
      hits_.values.push_back(std::move(value));
      text(Kind::value, hits_.values.back(), subject);
    }
  }

  void defaults(std::uint32_t subject) {
    for (std::size_t i = 0; i < index_.entries_.size(); ++i) {
      const Entry& entry = index_.entries_[i];
      if (entry.kind == Kind::value && entry.subject == subject && entry.has_default &&
          entry.matcher.find(entry.default_value, 0, budget_))
        note(i, entry.default_value, entry.default_value.size());
    }
  }

  void text(Kind kind, std::string_view text, std::uint32_t subject) {
    if (text.empty()) return;
    const std::string_view start = text.substr(0, kSlowOctetsMax);
    candidates_.clear();
    const Database::Hit hit = [this, subject](unsigned id, std::size_t end) {
      if (subject == kAnySubject || index_.entries_[id].subject == subject) candidates_.emplace_back(id, end);
    };
    const auto& pair = index_.databases_[static_cast<std::size_t>(kind)];
    bool able = pair[0].scan(text, hit);
    able &= pair[1].scan(start, hit);
    if (!able) budget_.note_limit();
    for (const std::size_t i : index_.alone_)
      if (index_.entries_[i].kind == kind &&
          (subject == kAnySubject || index_.entries_[i].subject == subject))
        confirm(i, start, start.size());
    // In the order of patterns, so that the budget is spent the same way whatever order the library tells them in.
    std::ranges::sort(candidates_);
    for (const auto& [id, end] : candidates_) {
      const Entry& entry = index_.entries_[id];
      if (entry.prefilter || entry.counted) {
        confirm(id, text, end);
      } else {
        note(id, text, end);
      }
    }
  }

  void confirm(std::size_t i, std::string_view text, std::size_t end) {
    const Entry& entry = index_.entries_[i];
    if (hits_.counts[i] > 0 && !entry.counted) return;
    const std::string_view reach = text.substr(0, std::max(end, std::size_t{1}) + kConfirmOctetsMax);
    std::size_t from =
        entry.counted || text.size() <= kConfirmOctetsMax || end < kConfirmReach ? 0 : end - kConfirmReach;
    while (hits_.counts[i] < Pattern::kCountMax) {
      const auto found = entry.matcher.find(reach, from, budget_);
      if (!found) return;
      note(i, text, found->second);
      if (!entry.counted) return;
      from = std::max(found->second, found->first + 1);
    }
  }

  void note(std::size_t i, std::string_view text, std::size_t end) {
    if (hits_.counts[i]++ == 0) hits_.places[i] = {.text = text, .end = end};
    if (!index_.entries_[i].counted) hits_.counts[i] = 1;
  }

  const PatternIndex& index_;
  const Reading& reading_;
  StepBudget budget_;
  std::vector<std::pair<unsigned, std::size_t>> candidates_;
  Hits hits_;
};

Hits PatternIndex::scan(const Reading& reading) const {
  return Scan(*this, reading).run();
}

bool PatternIndex::matches(std::size_t pattern, std::string_view text) const {
  StepBudget budget;
  return entries_[pattern].matcher.find(text, 0, budget).has_value();
}

std::string PatternIndex::excerpt(std::size_t pattern, const Hits& hits) const {
  constexpr std::size_t kReach = 256, kTail = 40;
  const Hits::Where& where = hits.places[pattern];
  const std::string_view text = where.text.substr(0, where.end);
  const std::size_t from = text.size() < kReach ? 0 : text.size() - kReach;
  StepBudget budget;
  // Look-ahead wants to see what comes behind.
  const std::string_view seen = where.text.substr(from, where.end - from + kReach);
  const auto found = entries_[pattern].matcher.find(seen, 0, budget);
  if (found && found->second > found->first)
    return readable(seen.substr(found->first, found->second - found->first));
  return readable(text.substr(text.size() < kTail ? 0 : text.size() - kTail));
}

}  // namespace postern::filters::rules
