#include "filters/bayes/model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace postern::filters::bayes {
namespace {

// Rates and bounds, found on the development streams, in time order and shuffled. The rates matter most where some of what is learned is
// wrong: with one truth in twenty flipped a higher rate tripled the error.
constexpr double kWordsRate = 0.02, kGramsRate = 0.0125;
// In a weight's denominator: a first step is not infinite.
constexpr double kWordsFirstSquares = 0.1, kGramsFirstSquares = 0.01;
constexpr double kGradientMin = 0.01;   // who is that sure has nothing to learn
constexpr double kConfidenceCount = 4;  // messages after which a token is believed by half
constexpr double kBayesMargin = 3;      // sure enough: not counted
constexpr std::array<double, Step::kInputs> kBlendStart = {0, 0.7, 0.7,
                                                           0.5};  // constant, words, grams, bayes
constexpr double kBlendRate = 0.05;
constexpr double kBlendInputMax = 12;  // a gradient's share of one input
constexpr double kSurprise = 3;        // log-odds against the truth that make it a surprise
constexpr double kMistakesPrior =
    0.01;  // of truths, before any were seen, worth kMistakesPriorCount messages
constexpr double kMistakesPriorCount = 100;
constexpr double kMistakesMin = 0.001, kMistakesMax = 0.1;
constexpr std::size_t kAhead = 16;  // slots fetched before they are needed

double probability(double log_odds) {
  return 1 / (1 + std::exp(-log_odds));
}

std::int32_t in_units(double value) {
  return static_cast<std::int32_t>(std::lround(value * Slot::kUnit));
}

std::int64_t square_of(std::int32_t gradient) {
  const std::int64_t square = std::int64_t{gradient} * gradient / Slot::kUnit;
  return gradient != 0 ? std::max<std::int64_t>(square, 1) : 0;
}

/// Of a linear model, still to be multiplied with its rate. Both sums stand in their units: a unit over the root of a unit.
double weight(std::uint64_t word, double first_squares) {
  return Table::gradients_of(word) / std::sqrt(first_squares * Slot::kUnit + Table::squares_of(word));
}
constexpr double kRootOfUnit = 256;
static_assert(kRootOfUnit * kRootOfUnit == Slot::kUnit);

double word_weight(std::uint64_t word) {
  return kWordsRate / kRootOfUnit * weight(word, kWordsFirstSquares);
}

double gram_weight(std::uint64_t word) {
  return kGramsRate / kRootOfUnit * weight(word, kGramsFirstSquares);
}

template <class Visit>
void for_each_place(const Table& table, std::span<const Feature> features, const Visit& visit) {
  for (std::size_t i = 0; i < std::min(kAhead, features.size()); ++i)
    table.prefetch(table.place(features[i]));
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (i + kAhead < features.size()) table.prefetch(table.place(features[i + kAhead]));
    visit(table.place(features[i]));
  }
}

/// Confidence-weighted odds of spam of one token; the classes' counts are per message of their class.
double token_odds(double ham, double spam, double ham_rate, double spam_rate) {
  const double h = ham * ham_rate, s = spam * spam_rate;
  const double difference = (s - h) / (s + h);
  const double count = (ham + spam) / Slot::kMessage;
  const double confidence = std::abs(difference) * count / (count + kConfidenceCount);
  const double shift = confidence * difference;  // twice the distance from ½; never ±1
  return (1 + shift) / (1 - shift);
}

/// The logarithm of a long product, with a logarithm for every few factors.
class LogProduct {
 public:
  void add(double factor) {
    product_ *= factor;
    if (++factors_ % kFactors == 0) sum_ += std::log(std::exchange(product_, 1.0));
  }
  unsigned factors() const { return factors_; }
  double value() const { return sum_ + std::log(product_); }

 private:
  static constexpr unsigned kFactors = 8;  // each between 2^-32 and 2^32: the product stays in range
  double product_ = 1, sum_ = 0;
  unsigned factors_ = 0;
};

std::array<double, Step::kInputs> inputs_of(const Opinion& opinion) {
  return {1, opinion.words, opinion.grams, opinion.bayes};
}

/// Whether those who train tell mistakes only: most truths contradict the models. They must be believed, because there surprise is the
/// rule, and such truths say nothing of how the models compare.
bool mistakes_only(std::int64_t agreements, std::int64_t learned) {
  constexpr std::int64_t kHead = 10;  // the first few tell nothing
  return 2 * (agreements + kHead) < learned + kHead;
}

std::uint32_t moved(std::uint32_t count, std::int64_t by) {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(0, std::int64_t{count} + by));
}

}  // namespace

std::string_view to_string(Class verdict) {
  return verdict == Class::spam ? "spam" : "ham";
}

double Model::blended(const Opinion& opinion) const {
  const auto inputs = inputs_of(opinion);
  double sum = 0;
  for (std::size_t i = 0; i < Step::kInputs; ++i) {
    const double gradients = static_cast<double>(total(kBlendGradients + i)) / Slot::kUnit;
    const double squares = static_cast<double>(total(kBlendSquares + i)) / Slot::kUnit;
    sum += inputs[i] * (kBlendStart[i] + kBlendRate * gradients / std::sqrt(1 + squares));
  }
  return sum;
}

Opinion Model::classify(const Features& features) const {
  Opinion opinion;
  const double ham_counted = static_cast<double>(total(kHamCounted));
  const double spam_counted = static_cast<double>(total(kSpamCounted));
  const bool counted = ham_counted > 0 && spam_counted > 0;
  const double ham_rate = counted ? 1 / ham_counted : 0, spam_rate = counted ? 1 / spam_counted : 0;
  double words = 0, grams = 0;
  LogProduct bayes;
  for_each_place(table_, features.tokens(), [&](std::size_t place) {
    words += word_weight(table_.weight_word(place));
    const std::uint64_t count = table_.count_word(place);
    const std::uint32_t ham = Table::ham_of(count), spam = Table::spam_of(count);
    if (!counted || ham + spam == 0) return;
    bayes.add(token_odds(ham, spam, ham_rate, spam_rate));
  });
  for_each_place(table_, features.grams(),
                 [&](std::size_t place) { grams += gram_weight(table_.weight_word(place)); });
  opinion.words = words;
  opinion.grams = grams;
  opinion.bayes = bayes.factors() > 0 ? bayes.value() / std::sqrt(bayes.factors()) : 0;
  const std::int64_t fewer = std::min(total(kHam), total(kSpam));
  opinion.trained = fewer >= kTrainedMin;
  opinion.log_odds = blended(opinion);
  // Until there is enough to go by the opinion is drawn towards 0; its sign, and its rank among others, stand.
  if (!opinion.trained)
    opinion.log_odds *= std::sqrt(static_cast<double>(fewer + 1) / static_cast<double>(kTrainedMin + 1));
  return opinion;
}

std::vector<Evidence> Model::strongest(const Features& features, std::size_t count) const {
  struct Weighed {
    double log_odds;
    std::size_t token;
  };
  std::vector<Weighed> all;
  const auto tokens = features.tokens();
  all.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double log_odds = word_weight(table_.weight_word(table_.place(tokens[i])));
    if (log_odds != 0) all.push_back({log_odds, i});
  }
  const std::size_t each = std::min(count, all.size());
  std::vector<Evidence> found;
  const auto take = [&](auto before, bool spam) {
    std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(each), before);
    for (std::size_t i = 0; i < each; ++i)
      if (all[i].log_odds > 0 == spam)
        found.push_back({.token = std::string(features.name(all[i].token)), .log_odds = all[i].log_odds});
  };
  // Of equals the first in the message, so that the answer is always the same.
  take(
      [](const Weighed& a, const Weighed& b) {
        return a.log_odds != b.log_odds ? a.log_odds > b.log_odds : a.token < b.token;
      },
      true);
  take(
      [](const Weighed& a, const Weighed& b) {
        return a.log_odds != b.log_odds ? a.log_odds < b.log_odds : a.token < b.token;
      },
      false);
  return found;
}

/// How much of a truth to believe that the models contradict: the probability that it is right, given how often truths have been
/// surprises. Wrong labels are maximal errors, and would otherwise move the weights more than anything else.
double Model::trust(double log_odds, Class verdict) const {
  const auto learned = static_cast<double>(total(kHam) + total(kSpam));
  if (std::min(total(kHam), total(kSpam)) < kTrainedMin) return 1;
  if (mistakes_only(total(kAgreements), total(kHam) + total(kSpam))) return 1;
  const double mistakes =
      std::clamp((static_cast<double>(total(kSurprises)) + kMistakesPrior * kMistakesPriorCount) /
                     (learned + kMistakesPriorCount),
                 kMistakesMin, kMistakesMax);
  const double right = probability(verdict == Class::spam ? log_odds : -log_odds);
  return (1 - mistakes) * right / ((1 - mistakes) * right + mistakes * (1 - right));
}

Step Model::plan(const Features& features, Class verdict, double scale) const {
  const Opinion opinion = classify(features);
  const double log_odds = blended(opinion);
  const double truth = verdict == Class::spam ? 1 : 0;
  const double sign = verdict == Class::spam ? 1 : -1;
  Step step{.verdict = verdict};
  step.surprising = sign * log_odds < -kSurprise;
  step.agreed = sign * log_odds > 0;
  scale *= trust(log_odds, verdict);

  const auto gradient = [&](double one) {
    const double whole = truth - probability(one);
    return std::abs(whole) < kGradientMin ? 0 : in_units(scale * whole);
  };
  step.words = gradient(opinion.words);
  step.grams = gradient(opinion.grams);
  if (sign * opinion.bayes <= kBayesMargin)
    step.count = static_cast<std::uint32_t>(std::lround(scale * Slot::kMessage));
  if (!mistakes_only(total(kAgreements), total(kHam) + total(kSpam))) {
    const double error = truth - probability(log_odds);
    const auto inputs = inputs_of(opinion);
    for (std::size_t i = 0; i < Step::kInputs; ++i)
      step.blend[i] = in_units(scale * error * std::clamp(inputs[i], -kBlendInputMax, kBlendInputMax));
  }
  return step;
}

void Model::move(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step, int sign,
                 std::uint16_t day) {
  const auto shift = [&](std::span<const Feature> features, std::int32_t gradient, std::uint32_t count) {
    if (gradient == 0 && count == 0) return;
    const std::int64_t square = square_of(gradient);
    const std::int64_t ham = step.verdict == Class::ham ? count : 0,
                       spam = step.verdict == Class::spam ? count : 0;
    for_each_place(table_, features, [&](std::size_t place) {
      Slot slot = table_.get(place);
      slot.gradients = static_cast<std::int32_t>(std::clamp<std::int64_t>(
          std::int64_t{slot.gradients} + std::int64_t{sign} * gradient, INT32_MIN, INT32_MAX));
      slot.squares = static_cast<std::uint32_t>(
          std::clamp<std::int64_t>(std::int64_t{slot.squares} + sign * square, 0, UINT32_MAX));
      slot.ham = moved(slot.ham, sign * ham);
      slot.spam = moved(slot.spam, sign * spam);
      if (std::max(slot.ham, slot.spam) > Slot::kCountMax) {
        slot.ham /= 2;  // together: it is their ratio that counts
        slot.spam /= 2;
      }
      if (sign > 0) slot.day = day;
      table_.set(place, slot);
    });
  };
  shift(tokens, step.words, step.count);
  shift(grams, step.grams, 0);
  add_total(step.verdict == Class::ham ? kHam : kSpam, sign);
  add_total(step.verdict == Class::ham ? kHamCounted : kSpamCounted, sign * std::int64_t{step.count});
  add_total(kSurprises, step.surprising ? sign : 0);
  add_total(kAgreements, step.agreed ? sign : 0);
  for (std::size_t i = 0; i < Step::kInputs; ++i) {
    add_total(kBlendGradients + i, sign * std::int64_t{step.blend[i]});
    add_total(kBlendSquares + i, sign * square_of(step.blend[i]));
  }
}

void Model::apply(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step,
                  std::uint16_t day) {
  move(tokens, grams, step, 1, day);
}

void Model::revert(std::span<const Feature> tokens, std::span<const Feature> grams, const Step& step) {
  move(tokens, grams, step, -1, 0);
}

void Model::age(std::uint16_t today, std::uint16_t days) {
  for (std::size_t place = 0; place < table_.size(); ++place) {
    Slot slot = table_.get(place);
    if (slot == Slot() || today < slot.day || today - slot.day < days) continue;
    slot.gradients /= 2;
    slot.squares /= 2;
    slot.ham /= 2;
    slot.spam /= 2;
    const bool gone = slot.gradients == 0 && slot.squares == 0 && slot.ham == 0 && slot.spam == 0;
    slot.day = gone ? std::uint16_t{0} : static_cast<std::uint16_t>(today - days / 2);
    table_.set(place, slot);
  }
}

}  // namespace postern::filters::bayes
