#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/bayes/key.h"

namespace postern::filters::bayes {

/// A feature of a message: the top of its keyed hash. What the model has learned of it stands at the place in the table that its
/// first bits name.
using Feature = std::uint32_t;

/// The features of one message, each once, in the order of their first appearance. Reused from message to message: keeps its memory.
class Features {
 public:
  static constexpr std::size_t kTokensMax = 16'384;
  static constexpr std::size_t kGramsMax = 4'096;
  static constexpr std::size_t kNameOctetsMax = 60;  ///< longer names are cut off; the hash is of the whole

  std::span<const Feature> tokens() const { return tokens_; }
  /// Runs of four octets of the message as it came.
  std::span<const Feature> grams() const { return grams_; }
  /// What a token is, for people: "subject:cheap", "url:shop.example".
  std::string_view name(std::size_t token) const;
  /// The message had more tokens than kTokensMax.
  bool truncated() const { return truncated_; }

 private:
  friend class FeatureSet;

  std::vector<Feature> tokens_, grams_;
  std::vector<std::uint32_t> name_ends_;
  std::string names_;
  std::vector<std::uint64_t> known_;  // open addressing: round in the upper half, feature in the lower
  std::uint32_t round_ = 0;
  bool truncated_ = false;
};

/// Fills a Features: drops what was there already, and what comes after the limit.
class FeatureSet {
 public:
  FeatureSet(const Hasher& hasher, Features& features);

  /// A text under a tag; `seed` is the tag's hash. Gives the token's hash, for pairs.
  std::uint64_t add(std::string_view tag, std::uint64_t seed, std::string_view text);
  void add_pair(std::string_view tag, std::uint64_t first, std::uint64_t second, std::uint64_t distance,
                std::string_view first_text, std::string_view second_text);
  /// Every run of four octets in the text, up to kGramsMax runs. Once, and no more tokens come afterwards.
  void add_grams(std::string_view octets);
  const Hasher& hasher() const { return hasher_; }
  bool full() const { return features_.truncated_; }

 private:
  void begin_round(std::size_t places);
  std::uint64_t entry(Feature feature) const;
  bool is_empty(std::uint64_t place) const;
  bool is_new(Feature feature);
  void grow();
  bool take(Feature feature);
  void end_name();

  const Hasher& hasher_;
  Features& features_;
  std::size_t mask_ = 0, count_ = 0;
  std::uint64_t gram_seed_ = 0;
};

}  // namespace postern::filters::bayes
