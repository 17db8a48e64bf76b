#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/bayes/features.h"
#include "filters/bayes/table.h"

namespace postern::filters::bayes {

enum class Class : std::uint8_t { ham, spam };
std::string_view to_string(Class verdict);

/// What the models think of a message: log-odds of spam, natural logarithm, not clipped; 0: no opinion.
struct Opinion {
  double words = 0;     ///< linear model over the tokens
  double bayes = 0;     ///< confidence-weighted Bayes over the tokens
  double grams = 0;     ///< linear model over runs of four octets
  double log_odds = 0;  ///< all of them blended
  /// Fewer than Model::kTrainedMin messages of a class have been learned: log_odds is drawn towards 0, and should not count.
  bool trained = false;
};

/// A token and what it adds to Opinion::words.
struct Evidence {
  std::string token;
  double log_odds = 0;
};

/// What one message adds to the model. Kept, so that exactly that can be taken away again.
struct Step {
  static constexpr std::size_t kInputs = 4;  ///< of the blend: a constant, words, bayes, grams

  Class verdict = Class::ham;
  std::int32_t words = 0, grams = 0;  ///< gradients of the linear models, in Slot::kUnit
  std::uint32_t count = 0;  ///< for the Bayes counters, in Slot::kMessage; 0: it was sure enough already
  std::array<std::int32_t, kInputs> blend{};  ///< gradients of the blend, in Slot::kUnit
  bool surprising = false;                    ///< the models were sure of the opposite
  bool agreed = false;                        ///< they had it right
  friend bool operator==(const Step&, const Step&) = default;
};

/// Three models over one table, and a fourth that blends them; classifier of messages.
///
///   words, grams   logistic regression by dual averaging with a rate of its own for each feature (AdaGrad): a weight is
///                  rate · sum of gradients / sqrt(sum of squared gradients), which is a function of sums and so can be undone
///   bayes          per token P(spam | token) drawn towards ½ by a confidence that grows with the difference between the classes and
///                  with the count; their log-odds over the square root of their number
///   blend          logistic regression over the three
///
/// classify() from any thread at any time. Everything else is the writer's, one at a time. What the writer does is seen by the next
/// message on every core. Pure: the sequence of apply() and revert() determines the state.
class Model {
 public:
  static constexpr std::int64_t kTrainedMin = 50;  ///< messages of each class

  explicit Model(unsigned bits) : table_(bits) {}

  Opinion classify(const Features& features) const;
  /// The strongest for and against, at most `count` of each, in the order of their strength; for first.
  std::vector<Evidence> strongest(const Features& features, std::size_t count) const;

  /// What learning the message would add. `scale`: of the step, at most 1; smaller for those who may err.
  Step plan(const Features& features, Class verdict, double scale) const;
  void apply(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step,
             std::uint16_t day);
  void revert(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step);
  /// Halves what was not learned for `days` days before `today`, and calls it `days`/2 old.
  void age(std::uint16_t today, std::uint16_t days);

  /// All that is not in the table, in a fixed order: for snapshots.
  enum Total : std::size_t {
    kHam,  ///< messages
    kSpam,
    kHamCounted,  ///< messages in the Bayes counters, in Slot::kMessage
    kSpamCounted,
    kSurprises,  ///< messages
    kAgreements,
    kBlendGradients,  ///< Step::kInputs of them
    kBlendSquares = kBlendGradients + Step::kInputs,
    kTotals = kBlendSquares + Step::kInputs,
  };
  std::int64_t total(std::size_t which) const { return totals_[which].load(std::memory_order_relaxed); }
  void set_total(std::size_t which, std::int64_t value) {
    totals_[which].store(value, std::memory_order_relaxed);
  }
  Table& table() { return table_; }
  const Table& table() const { return table_; }

 private:
  void move(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step, int sign,
            std::uint16_t day);
  void add_total(std::size_t which, std::int64_t value) { set_total(which, total(which) + value); }
  double blended(const Opinion& opinion) const;
  double trust(double log_odds, Class verdict) const;

  Table table_;
  std::array<std::atomic<std::int64_t>, kTotals> totals_{};
};

}  // namespace postern::filters::bayes
