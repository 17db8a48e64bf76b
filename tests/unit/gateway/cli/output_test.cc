#include "gateway/cli/output.h"

#include <gtest/gtest.h>

namespace postern::cli {
namespace {

TEST(Table, AlignsColumnsByCharacters) {
  Table table({{.title = "MAILBOX"}, {.title = "SIZE", .align = Table::Align::right}, {.title = "X"}});
  table.row({"\xC3\xBC@b.example", "1.0 KiB", "y"});
  table.row({"longer@b.example", "7 B", ""});
  EXPECT_EQ(table.text(),
            "MAILBOX              SIZE  X\n"
            "\xC3\xBC@b.example       1.0 KiB  y\n"
            "longer@b.example      7 B\n");
}

TEST(Table, WithoutRowsHasItsTitles) {
  EXPECT_EQ(Table({{.title = "A"}, {.title = "B"}}).text(), "A  B\n");
}

TEST(Table, LetsNoControlCharacterThrough) {
  Table table({{.title = "A"}});
  table.row({"x\x1b[2J\n"});
  EXPECT_EQ(table.text(), "A\nx?[2J?\n");
}

struct OctetsCase {
  std::uint64_t octets;
  std::string_view text;
};

constexpr OctetsCase kOctets[] = {
    {0, "0 B"},
    {1, "1 B"},
    {1023, "1023 B"},
    {1024, "1.0 KiB"},
    {1536, "1.5 KiB"},
    {1048575, "1.0 MiB"},
    {1048576, "1.0 MiB"},
    {26214400, "25.0 MiB"},
    {1ULL << 40, "1.0 TiB"},
    {~0ULL, "16.0 EiB"},
};

TEST(HumanOctets, PicksAUnit) {
  for (const OctetsCase& c : kOctets) EXPECT_EQ(human_octets(c.octets), c.text) << c.octets;
}

TEST(HumanDuration, PicksUnits) {
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(59), "59 s");
  EXPECT_EQ(human_duration(60), "1 min");
  EXPECT_EQ(human_duration(3599), "59 min");
  EXPECT_EQ(human_duration(3660), "1 h 1 min");
  EXPECT_EQ(human_duration(90000), "1 d 1 h");
  EXPECT_EQ(human_duration(-60), "-1 min");
}

TEST(HumanTime, IsShorterThanTheApis) {
  EXPECT_EQ(human_time("2026-11-24T12:00:00.123Z"), "2026-11-24 12:00:00Z");
  EXPECT_EQ(human_time("yesterday"), "yesterday");
}

TEST(Members, AreEmptyWhereTheyAreMissing) {
  const control::Json json = {{"text", "a"}, {"number", 5}, {"list", {1}}};
  EXPECT_EQ(text_of(json, "text"), "a");
  EXPECT_EQ(text_of(json, "number"), "");
  EXPECT_EQ(number_of(json, "number"), 5);
  EXPECT_EQ(number_of(json, "text"), 0);
  EXPECT_TRUE(member_of(json, "nothing").is_null());
  EXPECT_TRUE(member_of(control::Json(), "x").is_null());
}

}  // namespace
}  // namespace postern::cli
