#include "filters/message/test_strings.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

namespace postern::filters {
namespace {

const std::string kGtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
// In two pieces, so that virus scanners let this file alone.
const std::string kEicar =
    std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD") + "-ANTIVIRUS-TEST-FILE!$H+H*";

TEST(TestStrings, AreFoundAtEveryPlace) {
  for (std::size_t before = 0; before < 600; ++before) {
    for (const std::size_t after : {std::size_t{0}, std::size_t{1}, std::size_t{300}}) {
      const auto wrap = [&](const std::string& text) {
        return std::string(before, 'D') + text + std::string(after, '-');
      };
      ASSERT_EQ(find_test_strings(wrap(kGtube)), TestStrings{.gtube = true}) << before << " " << after;
      ASSERT_EQ(find_test_strings(wrap(kEicar)), TestStrings{.eicar = true}) << before << " " << after;
      ASSERT_EQ(find_test_strings(wrap("Y" + kGtube.substr(1))), TestStrings{.gtube_tag = true})
          << before << " " << after;
    }
  }
}

TEST(TestStrings, AreNotFoundWithAnyOctetWrongOrMissing) {
  for (const std::string& text : {kGtube, kEicar}) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string wrong = text;
      wrong[i] = static_cast<char>(wrong[i] ^ 0x20);
      ASSERT_EQ(find_test_strings(wrong), TestStrings{}) << wrong;
      ASSERT_EQ(find_test_strings(std::string(text).erase(i, 1)), TestStrings{}) << i;
    }
  }
  EXPECT_EQ(find_test_strings("Z" + kGtube.substr(1)), TestStrings{});
  EXPECT_EQ(find_test_strings(""), TestStrings{});
}

TEST(TestStrings, OneDoesNotHideAnother) {
  const std::string all = "A" + kGtube.substr(1) + kEicar + "Y" + kGtube.substr(1) + kGtube;
  EXPECT_EQ(find_test_strings(all), (TestStrings{.gtube = true, .gtube_tag = true, .eicar = true}));
}

TEST(TestStrings, AreFoundAmongOctetsThatLookLikeThem) {
  constexpr std::uint32_t kSeed = 68;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t size = random() % 1000; text.size() < size;) text += "D-A"[random() % 3];
    EXPECT_EQ(find_test_strings(text), TestStrings{}) << "seed " << kSeed;
    text.insert(random() % (text.size() + 1), kGtube);
    EXPECT_TRUE(find_test_strings(text).gtube) << "seed " << kSeed << ", round " << round;
  }
}

TEST(TestStrings, BecomeFindings) {
  Findings findings;
  check_test_strings({}, 5, findings);
  EXPECT_TRUE(findings.found.empty());
  check_test_strings({.gtube = true, .gtube_tag = true, .eicar = true}, 4.5, findings);
  ASSERT_EQ(findings.found.size(), 3U);
  EXPECT_EQ(findings.found[0].name, "EICAR");
  EXPECT_EQ(findings.found[0].score, 1000);
  EXPECT_EQ(findings.found[1].name, "GTUBE");
  EXPECT_EQ(findings.found[1].score, 1000);
  EXPECT_EQ(findings.found[2].name, "GTUBE_TAG");
  EXPECT_EQ(findings.found[2].score, 4.5);
}

}  // namespace
}  // namespace postern::filters
