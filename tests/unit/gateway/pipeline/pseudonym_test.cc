#include "gateway/pipeline/pseudonym.h"

#include <gtest/gtest.h>

#include <set>

namespace postern::pipeline {
namespace {

TEST(Pseudonym, SameForTheSameAndDifferentForOthers) {
  EXPECT_EQ(pseudonym(""), "");
  EXPECT_EQ(pseudonym("alice@test.example"), pseudonym("alice@test.example"));
  std::set<std::string> seen;
  std::string address;
  for (int i = 1; i < 200; ++i) {
    address.push_back(static_cast<char>('a' + i % 26));
    const std::string hidden = pseudonym(address);
    EXPECT_EQ(hidden.size(), 16U);
    EXPECT_EQ(hidden.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(seen.insert(hidden).second) << address;
  }
}

}  // namespace
}  // namespace postern::pipeline
