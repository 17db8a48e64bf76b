#include "filters/rules/database.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace postern::filters::rules {
namespace {

// A thread remembers only so many databases that its working memory fits; what comes back after it was forgotten, and what was made
// and thrown away in between, must work all the same.
TEST(RulesDatabase, MoreDatabasesThanAThreadRemembers) {
  constexpr unsigned kDatabases = 80;
  std::vector<Database> databases;
  for (unsigned i = 0; i < kDatabases; ++i) {
    std::vector<Database::Entry> entries;
    for (unsigned k = 0; k <= i % 3; ++k)
      entries.push_back(
          {.expression = "word" + std::to_string(i) + "x" + std::to_string(k) + "[a-z]+z", .id = k});
    auto made = Database::compile(entries);
    ASSERT_TRUE(made.has_value());
    databases.push_back(*std::move(made));
  }
  for (int round = 0; round < 2; ++round)
    for (unsigned i = 0; i < kDatabases; ++i) {
      std::vector<unsigned> found;
      const std::string text = "a word" + std::to_string(i) + "x0abcz here";
      EXPECT_TRUE(databases[i].scan(text, [&](unsigned id, std::size_t) { found.push_back(id); }));
      EXPECT_EQ(found, std::vector<unsigned>{0}) << i;
    }
}

}  // namespace
}  // namespace postern::filters::rules
