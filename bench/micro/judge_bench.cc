// What judging a message costs once it is there: analysis with content, the shipped rules (or those of RULES_FOLDER, or 2,000 made-up
// patterns), the classifier over a full table of 64 MiB, and judge() around them. Answers of DNS play no part.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/micro/messages.h"
#include "filters/bayes/check.h"
#include "filters/bayes/extract.h"
#include "filters/bayes/model.h"
#include "filters/judge.h"
#include "filters/rules/language.h"
#include "filters/rules/rule_set.h"

namespace postern::filters {
namespace {

rules::RuleBook shipped() {
  const char* const named = std::getenv("RULES_FOLDER");
  rules::RuleBook book;
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(named == nullptr ? "deploy/manifests/rules" : named))
    if (entry.path().extension() == ".rules") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    (void)rules::read_rules(text, file.string(), book);
  }
  return book;
}

rules::RuleBook made_up(std::size_t count) {
  bench::Words words;
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += "rule R" + std::to_string(i) + "\n score 1\n when body ~ /\\b";
    text += words.next();
    text += std::to_string(i) + "\\s+(?:\\w+\\s+){0,3}";
    text += words.next();
    text += "\\b/i\n";
  }
  rules::RuleBook book;
  (void)rules::read_rules(text, "made-up", book);
  return book;
}

std::shared_ptr<const rules::RuleSet> set_of(std::size_t count) {  // 0: the shipped ones
  return rules::RuleSet::compile(count == 0 ? shipped() : made_up(count), {}).value();
}

const bayes::Model& trained() {
  static bayes::Model* const model = [] {
    auto* const made = new bayes::Model(22);
    for (std::size_t place = 0; place < made->table().size(); ++place)
      made->table().set(place, {.gradients = static_cast<std::int32_t>(place % 2000) - 1000,
                                .squares = 70'000,
                                .ham = static_cast<std::uint32_t>(place % 7 * bayes::Slot::kMessage),
                                .spam = static_cast<std::uint32_t>(place % 5 * bayes::Slot::kMessage),
                                .day = 1});
    for (const auto total : {bayes::Model::kHam, bayes::Model::kSpam}) made->set_total(total, 1000);
    for (const auto total : {bayes::Model::kHamCounted, bayes::Model::kSpamCounted})
      made->set_total(total, 1000 * bayes::Slot::kMessage);
    return made;
  }();
  return *model;
}

/// Arguments: octets of the message, made-up patterns (0: the shipped rules).
void whole_judge(benchmark::State& state) {
  const std::string message = bench::made_message(static_cast<std::size_t>(state.range(0)));
  Policy policy;
  policy.rules = set_of(static_cast<std::size_t>(state.range(1)));
  policy.bayes.enabled = true;
  const bayes::Extractor extractor({1, 2, 3, 4});
  const bayes::Model& model = trained();
  bayes::Features features;
  const Envelope envelope;
  for (auto _ : state) {
    const Analysis analysis = analyse(message, policy);
    Facts facts;
    Memo memo;
    Judgement judgement = judge(Stage::data, envelope, &analysis, facts, policy, &memo);
    const std::vector<Question> questions = facts.questions();
    for (const Question& question : questions) {
      extractor.run(analysis, *analysis.content(), bayes::facts_in(question), features);
      facts.answer(question, bayes::answer_of(model.classify(features), model.strongest(features, 4), false));
    }
    judgement = judge(Stage::data, envelope, &analysis, facts, policy, &memo);
    if (!judgement.verdict) state.SkipWithError("no verdict");
    benchmark::DoNotOptimize(judgement);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * message.size()));
}
BENCHMARK(whole_judge)
    ->ArgNames({"octets", "patterns"})
    ->ArgsProduct({{4096, 65'536, 1 << 20}, {0, 2000}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace postern::filters
