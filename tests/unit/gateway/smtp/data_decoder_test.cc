#include "gateway/smtp/data_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/data_model.h"
#include "tests/support/splits.h"

namespace postern::smtp {
namespace {

struct Decoded {
  std::string body;
  std::size_t consumed = 0;
  bool done = false;
  DataError error = DataError::none;
  std::uint64_t octets = 0, bare_line_endings = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(const std::vector<std::string_view>& pieces, const DataDecoder::Rules& rules,
               BodyBudget* budget = nullptr) {
  Decoded result;
  Body body(budget);
  DataDecoder decoder(rules);
  for (const std::string_view piece : pieces) {
    const std::string copy(piece);  // of its own, so that reading past it is found
    const std::size_t consumed = decoder.write(copy, body);
    result.consumed += consumed;
    if (decoder.done()) break;
    EXPECT_EQ(consumed, piece.size()) << "only the end leaves octets";
  }
  if (rules.framing == DataFraming::counted) decoder.finish(body);
  result.body = body.view();
  result.done = decoder.done();
  result.error = decoder.error();
  result.octets = decoder.octets();
  result.bare_line_endings = decoder.bare_line_endings();
  return result;
}

constexpr std::uint64_t kPlenty = 1 << 20;

struct DataCase {
  std::string_view name, wire, body = {};
  DataError error = DataError::none;
  std::string_view normalized = {};  ///< empty: as body
  bool done = true;
};

constexpr DataCase kDataCases[] = {
    {"empty message", ".\r\n"},
    {"one line", "a\r\n.\r\n", "a\r\n"},
    {"empty line", "\r\n.\r\n", "\r\n"},
    {"stuffed dot", "..a\r\n.\r\n", ".a\r\n"},
    {"stuffed dot alone", "..\r\n.\r\n", ".\r\n"},
    {"three dots", "...\r\n.\r\n", "..\r\n"},
    {"a dot nobody stuffed", ".a\r\n.\r\n", "a\r\n"},
    {"dots inside and at the end", "a.b.\r\nc.\r\n.\r\n", "a.b.\r\nc.\r\n"},
    {"dot and blank", ". \r\n.\r\n", " \r\n"},
    {"NUL and eight bits", std::string_view("\0\xff\r\n.\r\n", 7), std::string_view("\0\xff\r\n", 4)},
    {"LF . LF", "a\n.\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"LF . CRLF", "a\n.\r\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"CR . CR", "a\r.\rb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"CR . CRLF", "a\r.\r\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"CRLF . LF", "a\r\n.\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"CRLF . CR", "a\r\n.\rb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\nb\r\n"},
    {"CRLF . CR CRLF", "a\r\n.\r\r\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\n\r\nb\r\n"},
    {"CR CRLF . CRLF ends", "a\r\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n\r\n"},
    {"LF CR . CRLF", "a\n\r.\r\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n\r\n.\r\nb\r\n"},
    {"LF at the very start", "\n.\r\n.\r\n", "", DataError::bare_line_ending, "\r\n.\r\n"},
    {"LF .. CRLF", "a\n..\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n.\r\n"},
    {"LF LF", "a\n\nb\r\n.\r\n", "", DataError::bare_line_ending, "a\r\n\r\nb\r\n"},
    {"no end", "a\r\n.\r", "a\r\n", DataError::none, {}, false},
    {"no end at a stuffed dot", "a\r\n..\r\n", "a\r\n.\r\n", DataError::none, {}, false},
};

TEST(DataDecoder, GivesTheSameAnswerAtEverySplit) {
  for (const DataCase& c : kDataCases) {
    for (const BareLineEndings treatment : {BareLineEndings::reject, BareLineEndings::normalize}) {
      SCOPED_TRACE(c.name);
      const DataDecoder::Rules rules{.bare_line_endings = treatment, .octets_max = kPlenty};
      const bool normalize = treatment == BareLineEndings::normalize;
      const std::string tail = c.done ? "MAIL FROM:<>\r\n" : "";
      const std::string wire = std::string(c.wire) + tail;
      const Decoded whole = decode({wire}, rules);
      EXPECT_EQ(whole.done, c.done);
      EXPECT_EQ(whole.consumed, c.wire.size()) << "what follows the end is not touched";
      EXPECT_EQ(whole.error, normalize ? DataError::none : c.error);
      EXPECT_EQ(whole.body, normalize && !c.normalized.empty() ? c.normalized : c.body);
      if (whole.error == DataError::none) {
        EXPECT_EQ(whole.octets, whole.body.size());
      }
      test::for_each_split(wire, [&](const auto& pieces) { ASSERT_EQ(decode(pieces, rules), whole); });
    }
  }
}

/// All texts over the octets that matter, up to a length: the decoder and the model agree on every one of them.
TEST(DataDecoder, AgreesWithTheModelOnEveryShortText) {
  constexpr std::string_view kAlphabet = "\r\n.a";
  constexpr std::size_t kLengthMax = 8;
  for (std::size_t length = 0; length <= kLengthMax; ++length) {
    const std::size_t count = std::size_t{1} << (2 * length);
    for (std::size_t number = 0; number < count; ++number) {
      std::string wire;
      for (std::size_t i = 0; i < length; ++i) wire.push_back(kAlphabet[(number >> (2 * i)) & 3]);
      const test::DataModel model = test::model_of_data(wire);
      std::vector<std::string_view> octets;
      for (std::size_t i = 0; i < wire.size(); ++i) octets.push_back(std::string_view(wire).substr(i, 1));
      for (const BareLineEndings treatment : {BareLineEndings::reject, BareLineEndings::normalize}) {
        const DataDecoder::Rules rules{.bare_line_endings = treatment, .octets_max = kPlenty};
        const Decoded whole = decode({wire}, rules);
        ASSERT_EQ(whole, decode(octets, rules)) << testing::PrintToString(wire);
        ASSERT_EQ(whole.done, model.ended) << testing::PrintToString(wire);
        if (!model.ended) continue;
        ASSERT_EQ(whole.consumed, model.consumed) << testing::PrintToString(wire);
        ASSERT_EQ(whole.bare_line_endings, model.bare_line_endings) << testing::PrintToString(wire);
        const bool refused = treatment == BareLineEndings::reject && model.bare_line_endings > 0;
        ASSERT_EQ(whole.error, refused ? DataError::bare_line_ending : DataError::none)
            << testing::PrintToString(wire);
        ASSERT_EQ(whole.body, refused ? "" : model.body) << testing::PrintToString(wire);
      }
    }
  }
}

/// Long texts cross the blocks in which plain runs are judged.
TEST(DataDecoder, AgreesWithTheModelOnLongTexts) {
  constexpr unsigned kSeed = 20'260'923;
  SCOPED_TRACE(kSeed);
  std::mt19937 chance(kSeed);
  for (int round = 0; round < 3000; ++round) {
    std::string wire;
    const std::size_t pieces = chance() % 12;
    for (std::size_t i = 0; i < pieces; ++i) {
      wire.append(chance() % 140, 'x');
      constexpr std::string_view kBits[] = {"\r\n", "\r\n", "\r\n", "\r\n.", "\r\n..",
                                            ".",    "\r",   "\n",   "\n.",   "\r\n.\r"};
      wire.append(kBits[chance() % std::size(kBits)]);
    }
    wire.append("\r\n.\r\nRSET\r\n");
    const test::DataModel model = test::model_of_data(wire);
    const DataDecoder::Rules rules{.bare_line_endings = BareLineEndings::normalize, .octets_max = kPlenty};
    const Decoded whole = decode({wire}, rules);
    ASSERT_EQ(whole.consumed, model.consumed);
    ASSERT_EQ(whole.body, model.body);
    ASSERT_EQ(whole.bare_line_endings, model.bare_line_endings);
    std::vector<std::string_view> cuts;
    for (std::string_view rest = wire; !rest.empty();) {
      cuts.push_back(rest.substr(0, 1 + chance() % 100));
      rest.remove_prefix(cuts.back().size());
    }
    ASSERT_EQ(decode(cuts, rules), whole);
  }
}

struct CountedCase {
  std::string_view name, wire, body = {};
  DataError error = DataError::none;
  std::string_view normalized = {};
};

constexpr CountedCase kCountedCases[] = {
    {"nothing", "", ""},
    {"dots mean nothing", ".\r\n..\r\n.\r\n", ".\r\n..\r\n.\r\n"},
    {"no line ending at the end", "a\r\nb", "a\r\nb"},
    {"bare LF", "a\nb", "", DataError::bare_line_ending, "a\r\nb"},
    {"bare CR", "a\rb", "", DataError::bare_line_ending, "a\r\nb"},
    {"CR as the last octet", "a\r", "", DataError::bare_line_ending, "a\r\n"},
    {"LF . LF", "a\n.\nb", "", DataError::bare_line_ending, "a\r\n.\r\nb"},
};

TEST(DataDecoder, CountedFraming) {
  for (const CountedCase& c : kCountedCases) {
    for (const BareLineEndings treatment : {BareLineEndings::reject, BareLineEndings::normalize}) {
      SCOPED_TRACE(c.name);
      const bool normalize = treatment == BareLineEndings::normalize;
      const DataDecoder::Rules rules{
          .framing = DataFraming::counted, .bare_line_endings = treatment, .octets_max = kPlenty};
      test::for_each_split(c.wire, [&](const auto& pieces) {
        const Decoded decoded = decode(pieces, rules);
        ASSERT_FALSE(decoded.done) << "only the count ends it";
        ASSERT_EQ(decoded.error, normalize ? DataError::none : c.error);
        ASSERT_EQ(decoded.body, normalize && !c.normalized.empty() ? c.normalized : c.body);
      });
    }
  }
}

TEST(DataDecoder, BinaryFramingKeepsEveryOctet) {
  std::string wire;
  for (int i = 0; i < 512; ++i) wire.push_back(static_cast<char>(i));
  wire += "\r\n.\r\n\n.\n\r";
  test::for_each_split(wire, [&](const auto& pieces) {
    const Decoded decoded = decode(pieces, {.framing = DataFraming::binary, .octets_max = kPlenty});
    ASSERT_EQ(decoded.body, wire);
    ASSERT_EQ(decoded.error, DataError::none);
    ASSERT_FALSE(decoded.done);
  });
}

TEST(DataDecoder, SizeIsThatOfTheStoredForm) {
  constexpr std::string_view kWire = "..a\r\n..b\r\n.\r\n";  // stored: ".a\r\n.b\r\n", 8 octets
  for (const std::uint64_t octets_max : {8u, 7u}) {
    test::for_each_split(kWire, [&](const auto& pieces) {
      const Decoded decoded = decode(pieces, {.octets_max = octets_max});
      ASSERT_TRUE(decoded.done) << "read to its end either way";
      ASSERT_EQ(decoded.error, octets_max == 8 ? DataError::none : DataError::too_large);
      ASSERT_EQ(decoded.body, octets_max == 8 ? ".a\r\n.b\r\n" : "");
      ASSERT_EQ(decoded.octets, 8u) << "also what was thrown away is counted";
    });
  }
}

TEST(DataDecoder, LineLengthOnTheWire) {
  const std::string wire =
      ".." + std::string(996, 'x') + "\r\nshort\r\n.\r\n";  // 1000 octets with dots and CRLF
  for (const std::size_t line_max : {1000u, 999u}) {
    test::for_each_split(
        wire,
        [&](const auto& pieces) {
          const Decoded decoded = decode(pieces, {.octets_max = kPlenty, .line_octets_max = line_max});
          ASSERT_TRUE(decoded.done);
          ASSERT_EQ(decoded.error, line_max == 1000 ? DataError::none : DataError::line_too_long);
          ASSERT_EQ(decoded.body.empty(), line_max == 999);
        },
        64);
  }
}

TEST(DataDecoder, TheBudgetOfAll) {
  const std::string wire = std::string(10'000, 'x') + "\r\n.\r\n";
  for (const std::size_t octets_max : {10'002u, 10'001u}) {
    BodyBudget budget(octets_max);
    const Decoded decoded = decode({wire}, {.octets_max = kPlenty}, &budget);
    EXPECT_TRUE(decoded.done);
    EXPECT_EQ(decoded.error, octets_max == 10'002 ? DataError::none : DataError::out_of_budget);
    EXPECT_EQ(budget.used(), 0u) << "given back";
  }
}

TEST(DataDecoder, ReportsTheGravestError) {
  const DataDecoder::Rules rules{.octets_max = 5, .line_octets_max = 10};
  EXPECT_EQ(decode({"xxxxxxxxxxxx\r\na\nb\r\n.\r\n"}, rules).error, DataError::bare_line_ending);
  EXPECT_EQ(decode({"xxxxxxxxxxxx\r\nab\r\n.\r\n"}, rules).error, DataError::line_too_long);
  EXPECT_EQ(decode({"xxxxxx\r\nab\r\n.\r\n"}, rules).error, DataError::too_large);
}

TEST(DataDecoder, GivesTheMemoryBackAtTheFirstError) {
  BodyBudget budget(kPlenty);
  Body body(&budget);
  DataDecoder decoder({.octets_max = kPlenty});
  decoder.write("abc\r\n", body);
  EXPECT_GT(budget.used(), 0u);
  decoder.write("d\ne", body);
  EXPECT_EQ(budget.used(), 0u);
  decoder.write(std::string(10'000, 'x'), body);
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace postern::smtp
