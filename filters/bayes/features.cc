#include "filters/bayes/features.h"

#include <algorithm>
#include <cstring>

namespace postern::filters::bayes {
namespace {

constexpr std::size_t kPlacesMin = 4096;

Feature feature_of(std::uint64_t hash) {
  return static_cast<Feature>(hash >> 32);
}

}  // namespace

std::string_view Features::name(std::size_t token) const {
  const std::size_t begin = token == 0 ? 0 : name_ends_[token - 1];
  return std::string_view(names_).substr(begin, name_ends_[token] - begin);
}

FeatureSet::FeatureSet(const Hasher& hasher, Features& features)
    : hasher_(hasher), features_(features), gram_seed_(hasher(0, "gram")) {
  features.tokens_.clear();
  features.grams_.clear();
  features.name_ends_.clear();
  features.names_.clear();
  features.truncated_ = false;
  begin_round(kPlacesMin);
}

/// Forgets all that is known, by counting on: only what bears the number of this round is there.
void FeatureSet::begin_round(std::size_t places) {
  mask_ = places - 1;
  count_ = 0;
  if (features_.known_.size() < places) features_.known_.resize(places);
  if (++features_.round_ != 0) return;
  std::ranges::fill(features_.known_, 0);
  features_.round_ = 1;
}

std::uint64_t FeatureSet::entry(Feature feature) const {
  return std::uint64_t{features_.round_} << 32 | feature;
}

bool FeatureSet::is_empty(std::uint64_t place) const {
  return place >> 32 != features_.round_;
}

bool FeatureSet::is_new(Feature feature) {
  std::size_t at = feature & mask_;
  while (!is_empty(features_.known_[at])) {
    if (features_.known_[at] == entry(feature)) return false;
    at = (at + 1) & mask_;
  }
  features_.known_[at] = entry(feature);
  if (++count_ * 2 > mask_) grow();
  return true;
}

/// A message with many features uses more of the memory; the next one begins with little again.
void FeatureSet::grow() {
  std::vector<Feature> kept;
  kept.reserve(count_);
  for (std::size_t i = 0; i <= mask_; ++i)
    if (!is_empty(features_.known_[i])) kept.push_back(static_cast<Feature>(features_.known_[i]));
  begin_round((mask_ + 1) * 2);
  count_ = kept.size();
  for (const Feature feature : kept) {
    std::size_t at = feature & mask_;
    while (!is_empty(features_.known_[at])) at = (at + 1) & mask_;
    features_.known_[at] = entry(feature);
  }
}

bool FeatureSet::take(Feature feature) {
  if (features_.truncated_ || !is_new(feature)) return false;
  if (features_.tokens_.size() == Features::kTokensMax) {
    features_.truncated_ = true;
    return false;
  }
  features_.tokens_.push_back(feature);
  return true;
}

std::uint64_t FeatureSet::add(std::string_view tag, std::uint64_t seed, std::string_view text) {
  const std::uint64_t hash = hasher_(seed, text);
  if (take(feature_of(hash))) {
    features_.names_ += tag;
    features_.names_ += text.substr(0, Features::kNameOctetsMax);
    end_name();
  }
  return hash;
}

void FeatureSet::add_pair(std::string_view tag, std::uint64_t first, std::uint64_t second,
                          std::uint64_t distance, std::string_view first_text, std::string_view second_text) {
  if (!take(feature_of(hasher_.pair(first, second, distance)))) return;
  features_.names_ += tag;
  features_.names_ += first_text.substr(0, Features::kNameOctetsMax / 2);
  features_.names_.append(distance, '_');
  features_.names_ += second_text.substr(0, Features::kNameOctetsMax / 2);
  end_name();
}

void FeatureSet::end_name() {
  features_.name_ends_.push_back(static_cast<std::uint32_t>(features_.names_.size()));
}

void FeatureSet::add_grams(std::string_view octets) {
  constexpr std::size_t kPlaces = 2 * Features::kGramsMax;  // at most half of them are taken: no growing
  begin_round(kPlaces);
  const std::size_t runs = octets.size() < 4 ? 0 : std::min(octets.size() - 3, Features::kGramsMax);
  features_.grams_.resize(runs);
  std::uint64_t* const known = features_.known_.data();
  Feature* const grams = features_.grams_.data();
  std::size_t count = 0;
  // Whether a run is new is anybody's guess, so nothing branches on it: a known one is written again where it stands, and the next
  // gram overwrites it in the list.
  for (std::size_t i = 0; i < runs; ++i) {
    std::uint32_t run = 0;
    std::memcpy(&run, octets.data() + i, sizeof run);
    const Feature feature = feature_of(hasher_.number(gram_seed_, run));
    const std::uint64_t wanted = entry(feature);
    std::size_t at = feature % kPlaces;
    while ((known[at] != wanted) & !is_empty(known[at])) at = (at + 1) % kPlaces;
    grams[count] = feature;
    count += known[at] != wanted ? 1 : 0;
    known[at] = wanted;
  }
  features_.grams_.resize(count);
}

}  // namespace postern::filters::bayes
