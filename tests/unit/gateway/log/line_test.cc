#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "gateway/log/log.h"

namespace postern::log {
namespace {

/// The line as it comes out of a logger.
std::string written(Line&& line) {
  const auto file = std::filesystem::temp_directory_path() / ("postern_line_" + std::to_string(getpid()));
  std::filesystem::remove(file);
  auto logger = Logger::open({.file = file.string(), .level = Level::debug}, nullptr);
  logger->write(std::move(line));
  logger.reset();
  std::ifstream in(file);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::filesystem::remove(file);
  return text;
}

struct EscapeCase {
  std::string_view name, text, quoted;
};

const EscapeCase kEscapeCases[] = {
    {"empty", "", "\"\""},
    {"plain", "mail from a@b.example", "\"mail from a@b.example\""},
    {"quotation mark", "a\"b", R"("a\"b")"},
    {"backslash", R"(a\b)", R"("a\\b")"},
    {"slash stays", "a/b", "\"a/b\""},
    {"line ends", "a\r\nb", R"("a\r\nb")"},
    {"tab, backspace, form feed", "\t\b\f", R"("\t\b\f")"},
    {"NUL", std::string_view("\0", 1), R"("\u0000")"},
    {"escape character", "\x1b[31m", R"("\u001b[31m")"},
    {"DEL", "\x7f", R"("\u007f")"},
    {"two octets",
     "b\xC3\xBC"
     "cher",
     "\"b\xC3\xBC"
     "cher\""},
    {"three octets", "\xE2\x82\xAC", "\"\xE2\x82\xAC\""},
    {"four octets", "\xF0\x9F\x93\xA7", "\"\xF0\x9F\x93\xA7\""},
    {"C1 control", "\xC2\x9B", R"("\u009b")"},
    {"first after C1", "\xC2\xA0", "\"\xC2\xA0\""},
    {"lone continuation", "\x80", "\"\xEF\xBF\xBD\""},
    {"Latin-1", "M\xFCller", "\"M\xEF\xBF\xBDller\""},
    {"overlong slash", "\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"overlong three", "\xE0\x9F\xBF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"overlong four", "\xF0\x8F\xBF\xBF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"surrogate", "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"above U+10FFFF", "\xF4\x90\x80\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"cut after two of three", "\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    {"U+FFFD itself", "\xEF\xBF\xBD", "\"\xEF\xBF\xBD\""},
};

TEST(LogQuoted, EscapesByTable) {
  for (const EscapeCase& c : kEscapeCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(log::quoted(c.text), c.quoted);
  }
}

TEST(LogQuoted, EveryOctetComesBackOrIsReplaced) {
  for (int value = 0; value < 256; ++value) {
    SCOPED_TRACE(value);
    const std::string octet(1, static_cast<char>(value));
    const std::string text = "a" + octet + "b";
    const auto parsed = nlohmann::json::parse(log::quoted(text));
    EXPECT_EQ(parsed.get<std::string>(), value < 128 ? text
                                                     : "a\xEF\xBF\xBD"
                                                       "b");
    for (const char c : log::quoted(text)) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(LogQuoted, EveryPairOfOctetsIsValidJson) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char pair[] = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_TRUE(nlohmann::json::accept(log::quoted({pair, 2}))) << first << " " << second;
    }
  }
}

TEST(LogQuoted, DoesNotCut) {
  const std::string text(10 * Line::kValueOctetsMax, 'x');
  EXPECT_EQ(log::quoted(text).size(), text.size() + 2);
}

TEST(LogLine, StartsWithTimeLevelEvent) {
  const std::string line = written(Line(Level::warning, "tls_failed").field("ip", "192.0.2.1"));
  EXPECT_TRUE(std::regex_match(
      line,
      std::regex(
          R"(\{"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"warning","event":"tls_failed","ip":"192\.0\.2\.1"\}\n)")))
      << line;
}

TEST(LogLine, WritesEveryKindOfValue) {
  const std::vector<std::string> recipients = {"a@b.example", "\"c\"@d.example"};
  const std::string line = written(Line(Level::info, "kinds")
                                       .field("literal", "text")
                                       .field("string", std::string("s"))
                                       .field("int", -5)
                                       .field("unsigned", 7U)
                                       .field("int64_min", std::numeric_limits<std::int64_t>::min())
                                       .field("uint64_max", std::numeric_limits<std::uint64_t>::max())
                                       .field("double", 2.5)
                                       .field("whole", 15.0)
                                       .field("nan", std::nan(""))
                                       .field("infinite", std::numeric_limits<double>::infinity())
                                       .field("yes", true)
                                       .field("no", false)
                                       .field("rcpt", recipients)
                                       .field("none", std::vector<std::string>{})
                                       .raw("stage_us", "{\"rcpt\":\n12,\r\"data\":3}"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["literal"], "text");
  EXPECT_EQ(parsed["string"], "s");
  EXPECT_EQ(parsed["int"], -5);
  EXPECT_EQ(parsed["unsigned"], 7);
  EXPECT_EQ(parsed["int64_min"], std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parsed["uint64_max"], std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(parsed["double"], 2.5);
  EXPECT_EQ(parsed["whole"], 15.0);
  EXPECT_TRUE(parsed["nan"].is_null());
  EXPECT_TRUE(parsed["infinite"].is_null());
  EXPECT_EQ(parsed["yes"], true);
  EXPECT_EQ(parsed["no"], false);
  EXPECT_EQ(parsed["rcpt"], nlohmann::json(recipients));
  EXPECT_EQ(parsed["none"], nlohmann::json::array());
  EXPECT_EQ(parsed["stage_us"]["data"], 3);
}

TEST(LogLine, KeysAndEventsAreEscapedToo) {
  const auto parsed = nlohmann::json::parse(written(Line(Level::info, "e\"v").field("k\n\"", "v")));
  EXPECT_EQ(parsed["event"], "e\"v");
  EXPECT_EQ(parsed["k\n\""], "v");
}

struct CutCase {
  std::string_view name;
  std::string text, expected;
};

TEST(LogLine, CutsLongValuesBetweenCharacters) {
  constexpr std::size_t limit = Line::kValueOctetsMax;
  const std::string ellipsis = "\xE2\x80\xA6";
  const CutCase cases[] = {
      {"one less", std::string(limit - 1, 'x'), std::string(limit - 1, 'x')},
      {"the limit", std::string(limit, 'x'), std::string(limit, 'x')},
      {"one more", std::string(limit + 1, 'x'), std::string(limit, 'x') + ellipsis},
      {"a character across the limit", std::string(limit - 1, 'x') + "\xF0\x9F\x93\xA7",
       std::string(limit - 1, 'x') + ellipsis},
      {"a character up to the limit", std::string(limit - 4, 'x') + "\xF0\x9F\x93\xA7y",
       std::string(limit - 4, 'x') + "\xF0\x9F\x93\xA7" + ellipsis},
  };
  for (const CutCase& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(nlohmann::json::parse(written(Line(Level::info, "cut").field("v", c.text)))["v"], c.expected);
  }
  const std::string no_text(limit * 2, '\x80');
  EXPECT_TRUE(nlohmann::json::accept(written(Line(Level::info, "cut").field("v", no_text))));
}

TEST(LogLine, LongListsSayHowManyMore) {
  const std::vector<std::string> recipients(1000, "someone@a-long-domain-name.example");
  const auto parsed = nlohmann::json::parse(written(Line(Level::info, "list").field("rcpt", recipients)));
  const auto& list = parsed["rcpt"];
  ASSERT_LT(list.size(), 600U);
  ASSERT_GT(list.size(), 300U);
  EXPECT_EQ(list.back(), "\xE2\x80\xA6 " + std::to_string(1000 - (list.size() - 1)) + " more");
}

}  // namespace
}  // namespace postern::log
