#include "gateway/pipeline/greylist.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "filters/greylist/check.h"

namespace postern::pipeline {
namespace {

constexpr char kTriplet = 't', kLearned = 'l';
constexpr char kLayout = 1;  // of a value in the store
constexpr std::size_t kValueOctets = 18;
constexpr std::size_t kBucketsPerStep = 1024;  // of a sweep

void put_number(std::string& out, std::int64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8)
    out += static_cast<char>((static_cast<std::uint64_t>(number) >> shift) & 0xff);
}

std::int64_t number_at(std::string_view octets, std::size_t at) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) number = (number << 8) | static_cast<unsigned char>(octets[at + i]);
  return static_cast<std::int64_t>(number);
}

}  // namespace

std::size_t Greylist::KeyHash::operator()(const Key& key) const noexcept {
  std::size_t hash = 0;  // the key is a digest already
  std::memcpy(&hash, key.data(), sizeof hash);
  return hash;
}

/// A digest: the store keeps no addresses of people who only knocked.
Greylist::Key Greylist::key_of(char kind, std::string_view text) {
  std::string input(1, kind);
  input.append(text);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  (void)EVP_Digest(input.data(), input.size(), digest.data(), &size, EVP_sha256(), nullptr);
  Key key;
  std::memcpy(key.data(), digest.data(), key.size());
  return key;
}

bool Greylist::is_over(const Entry& entry, const Rules& rules, Time now) {
  return entry.learned ? now - entry.last > rules.lifetime : now - entry.first > rules.window;
}

void Greylist::touch(const Key& key, Entry& entry) {
  if (entry.changed) return;
  entry.changed = true;
  changed_.push_back(key);
}

void Greylist::forget(Entries::iterator entry) {
  gone_.push_back(entry->first);
  entries_.erase(entry);
}

filters::Answer Greylist::answer(std::string_view name, const Rules& rules, Time now) {
  filters::Answer answer;
  const auto triplet = filters::greylist::parse_name(name);
  if (!triplet) return answer;
  const Key known = key_of(kLearned, filters::greylist::name_of({triplet->origin, triplet->sender, {}}));
  const Key key = key_of(kTriplet, name);
  const std::scoped_lock lock(mutex_);
  if (const auto found = entries_.find(known);
      found != entries_.end() && !is_over(found->second, rules, now)) {
    // Once a day is enough to know that it is still there.
    if (now - found->second.last > std::chrono::days(1)) {
      found->second.last = now;
      touch(known, found->second);
    }
    ++counts_.learned;
    return answer;
  }
  auto found = entries_.find(key);
  if (found != entries_.end() && is_over(found->second, rules, now)) {
    forget(found);
    found = entries_.end();
  }
  if (found == entries_.end()) {
    if (entries_.size() >= rules.entries_max) {
      ++counts_.overflowed;
      return answer;
    }
    found = entries_.emplace(key, Entry{.first = now, .last = now}).first;
    changed_.push_back(key);
  }
  const auto waited = now - found->second.first;
  if (waited >= rules.delay) {
    forget(found);
    entries_.insert_or_assign(known, Entry{.first = now, .last = now, .learned = true});
    changed_.push_back(known);
    ++counts_.passed;
    return answer;
  }
  ++counts_.waiting;
  answer.status = filters::AnswerStatus::data;
  answer.records.push_back(
      fmt::to_string(std::chrono::ceil<std::chrono::seconds>(rules.delay - waited).count()));
  return answer;
}

void Greylist::load(const std::vector<std::pair<std::string, std::string>>& pairs, const Rules& rules,
                    Time now) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [text, value] : pairs) {
    Key key;
    if (text.size() != key.size() || value.size() != kValueOctets || value[0] != kLayout) continue;
    std::memcpy(key.data(), text.data(), key.size());
    const Entry entry{.first = Time(std::chrono::milliseconds(number_at(value, 2))),
                      .last = Time(std::chrono::milliseconds(number_at(value, 10))),
                      .learned = value[1] != 0,
                      .changed = false};
    if (is_over(entry, rules, now)) {
      gone_.push_back(key);
    } else if (entries_.size() < rules.entries_max) {
      entries_.emplace(key, entry);
    }
  }
}

std::vector<std::pair<std::string, std::string>> Greylist::take_changes() {
  const std::scoped_lock lock(mutex_);
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.reserve(changed_.size() + gone_.size());
  for (const Key& key : gone_) pairs.emplace_back(std::string(key.data(), key.size()), std::string());
  for (const Key& key : changed_) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) continue;  // it is among those that are gone
    found->second.changed = false;
    std::string value(1, kLayout);
    value += found->second.learned ? '\1' : '\0';
    put_number(value, found->second.first.time_since_epoch().count());
    put_number(value, found->second.last.time_since_epoch().count());
    pairs.emplace_back(std::string(key.data(), key.size()), std::move(value));
  }
  changed_.clear();
  gone_.clear();
  return pairs;
}

void Greylist::give_back(const std::vector<std::pair<std::string, std::string>>& changes) {
  const std::scoped_lock lock(mutex_);
  for (const auto& [text, value] : changes) {
    Key key;
    std::memcpy(key.data(), text.data(), std::min(text.size(), key.size()));
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      touch(key, found->second);
    } else {
      gone_.push_back(key);
    }
  }
}

void Greylist::sweep(const Rules& rules, Time now) {
  // In small steps, so that no reactor waits long for its answer. What a growing table moves meanwhile is found the next time.
  for (std::size_t bucket = 0;;) {
    const std::scoped_lock lock(mutex_);
    const std::size_t end = std::min(bucket + kBucketsPerStep, entries_.bucket_count());
    std::vector<Key> over;
    for (; bucket < end; ++bucket)
      for (auto entry = entries_.begin(bucket); entry != entries_.end(bucket); ++entry)
        if (is_over(entry->second, rules, now)) over.push_back(entry->first);
    for (const Key& key : over) forget(entries_.find(key));
    if (end == entries_.bucket_count()) return;
  }
}

Greylist::Counts Greylist::counts() const {
  const std::scoped_lock lock(mutex_);
  Counts counts = counts_;
  counts.entries = entries_.size();
  return counts;
}

}  // namespace postern::pipeline
