#include "filters/bayes/features.h"

#include <algorithm>

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

void FeatureSet::begin_grams() {
  begin_round(kPlacesMin * 2);
}

void FeatureSet::add_gram(std::uint32_t octets) {
  if (features_.grams_.size() == Features::kGramsMax) return;
  const Feature feature = feature_of(hasher_.number(gram_seed_, octets));
  if (is_new(feature)) features_.grams_.push_back(feature);
}

}  // namespace postern::filters::bayes
