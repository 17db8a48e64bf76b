#include "storage/refusals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/codec.h"

namespace postern::storage {

Refusals::Refusals(const Database& database, const Options& options)
    : database_(database), octets_max_(options.refusals_octets_max), age_max_(options.refusals_age_max) {
  load();
}

void Refusals::load() {
  known_.clear();
  octets_ = 0;
  roll_back();
  const auto rows = database_.iterate(Table::refusals, rocksdb::ReadOptions());
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto id = decode_message_key(view(rows->key()));
    if (!id) continue;
    known_.push_back({.id = *id, .octets = static_cast<std::uint32_t>(rows->value().size())});
    octets_ += rows->value().size();
  }
}

std::expected<void, Error> Refusals::add(const Refusal& refusal, rocksdb::WriteBatch& writes) {
  const std::size_t octets = refusal.envelope.size() + refusal.record.size();
  if (octets > kOctetsMax)
    return std::unexpected(Error{.code = Code::invalid,
                                 .context = fmt::format("refusal {}: {} octets, where {} are the most",
                                                        refusal.id.text(), octets, kOctetsMax)});
  encode_decision_prefix(refusal.envelope.size(), value_);
  const rocksdb::Slice key = slice(message_key(refusal.id));
  const std::array<rocksdb::Slice, 3> parts = {slice(value_), slice(refusal.envelope), slice(refusal.record)};
  (void)writes.Put(database_.table(Table::refusals), rocksdb::SliceParts(&key, 1),
                   rocksdb::SliceParts(parts.data(), parts.size()));
  added_.push_back({.id = refusal.id, .octets = static_cast<std::uint32_t>(value_.size() + octets)});
  return {};
}

std::size_t Refusals::trim(std::chrono::sys_time<std::chrono::milliseconds> now,
                           rocksdb::WriteBatch& writes) {
  std::uint64_t left = octets_;
  while (trimmed_ < std::min(known_.size(), kTrimmedMax)) {
    const Known& oldest = known_[trimmed_];
    const bool expired = oldest.id.made_at() + age_max_ <= now;
    if (!expired && left <= octets_max_) break;
    (void)writes.Delete(database_.table(Table::refusals), slice(message_key(oldest.id)));
    left -= oldest.octets;
    ++trimmed_;
  }
  return trimmed_;
}

void Refusals::publish() {
  for (std::size_t i = 0; i < trimmed_; ++i) {
    octets_ -= known_.front().octets;
    known_.pop_front();
  }
  for (const Known& added : added_) {
    known_.push_back(added);
    octets_ += added.octets;
  }
  roll_back();
}

void Refusals::roll_back() {
  added_.clear();
  trimmed_ = 0;
}

}  // namespace postern::storage
