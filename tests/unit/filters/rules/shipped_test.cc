// The rules that come with Postern: every sample comes out as its file says, and none costs more than it may.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/filters/rules/support.h"

namespace postern::filters::rules {
namespace {

RuleBook shipped() {
  const char* const source = std::getenv("POSTERN_SOURCE");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(source == nullptr ? "." : source) / "deploy/manifests/rules"))
    if (entry.path().extension() == ".rules") files.push_back(entry.path());
  std::ranges::sort(files);
  RuleBook book;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (const Problem& problem : read_rules(text, file.filename().string(), book))
      ADD_FAILURE() << problem.text();
  }
  return book;
}

TEST(ShippedRules, EverySampleComesOut) {
  auto set = RuleSet::compile(shipped(), {});
  if (!set) {
    for (const Problem& problem : set.error()) ADD_FAILURE() << problem.text();
    return;
  }
  for (const Problem& problem : check_samples(**set)) ADD_FAILURE() << problem.text();
  EXPECT_GE((*set)->rules().size(), 200U);
}

TEST(ShippedRules, EachIsDescribedAndHasASample) {
  for (const Rule& rule : shipped().rules) {
    SCOPED_TRACE(rule.name);
    if (rule.hidden()) continue;
    EXPECT_FALSE(rule.description.empty());
    if (rule.name != "HEAD_FROM_IMPERSONATES") {
      EXPECT_FALSE(rule.samples.empty());
    }  // needs a manifest
    EXPECT_LE(rule.score, 5.0);
    EXPECT_GE(rule.score, -1.0);
  }
}

/// What makes a pattern dear cannot be measured on a busy machine; its shape can. Large texts are looked through for patterns with a
/// literal only, and only a few are beyond Hyperscan.
TEST(ShippedRules, PatternsForLargeTextsHoldOnToLiterals) {
  const auto set = RuleSet::compile(shipped(), {});
  ASSERT_TRUE(set);
  std::size_t slow = 0, alone = 0, prefiltered = 0;
  const RuleBook& book = (*set)->book();
  for (std::size_t i = 0; i < book.patterns.size(); ++i) {
    const Field field = book.subjects[book.patterns[i].subject].field;
    if (field != Field::body && field != Field::rawbody && field != Field::message) continue;
    slow += (*set)->patterns().speed(i) == Speed::slow ? 1U : 0U;
    alone += (*set)->patterns().speed(i) == Speed::alone ? 1U : 0U;
    prefiltered += (*set)->patterns().prefiltered(i) ? 1U : 0U;
  }
  EXPECT_LE(slow, 60U);
  EXPECT_EQ(alone, 0U);
  EXPECT_LE(prefiltered, 10U);
  EXPECT_LE((*set)->patterns().octets(), 64U << 20);
}

}  // namespace
}  // namespace postern::filters::rules
