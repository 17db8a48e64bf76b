// Any octets as a message to learn and to classify.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/bayes/extract.h"
#include "filters/bayes/learner.h"

namespace {

using namespace postern::filters;

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Analysis analysis = Analysis::of(text);
  const Content content = Content::of(analysis);
  static bayes::Features features;
  bayes::Extractor(bayes::Secret{1, 2, 3, 4}).run(analysis, content, {}, features);
  expect(features.tokens().size() <= bayes::Features::kTokensMax);
  expect(features.grams().size() <= bayes::Features::kGramsMax);
  for (std::size_t i = 0; i < features.tokens().size(); ++i) expect(features.name(i).size() <= 256);
  bayes::Learner learner(bayes::Table::kBitsMin);
  const bayes::Digest digest = bayes::digest_of(analysis);
  (void)learner.learn(digest, features, {.verdict = bayes::Class::spam});
  expect(std::isfinite(learner.model().classify(features).log_odds));
  (void)learner.learn(digest, features, {.verdict = bayes::Class::ham});
  expect(learner.model().total(bayes::Model::kSpam) == 0);
  return 0;
}
