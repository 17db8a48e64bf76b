#include "bench/load/tally.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/load/core.h"
#include "bench/load/misbehaviour.h"
#include "bench/load/plot.h"
#include "bench/load/report.h"
#include "bench/load/visit.h"

namespace postern::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Tally, OfTwoCoresIsTheirSum) {
  Tally one, two, all;
  one.note_accepted(100, milliseconds(5), seconds(0));
  two.note_accepted(200, milliseconds(9), seconds(2));
  two.refused.add(3);
  two.handshakes = 4;
  one.incidents.reply(250);
  two.incidents.reply(250);
  two.incidents.reply(451);
  two.incidents.error("connect", reactor::Error::from_errno(ECONNREFUSED, "connect"));
  all.merge(one);
  all.merge(two);
  EXPECT_EQ(all.accepted.get(), 2U);
  EXPECT_EQ(all.accepted_octets, 300U);
  EXPECT_EQ(all.refused.get(), 3U);
  EXPECT_EQ(all.handshakes, 4U);
  EXPECT_EQ(all.incidents.replies().at(250), 2U);
  EXPECT_EQ(all.incidents.replies().at(451), 1U);
  EXPECT_EQ(all.incidents.errors().size(), 1U);
  ASSERT_EQ(all.timeline.size(), 3U);
  EXPECT_EQ(all.timeline[0].accepted, 1U);
  EXPECT_EQ(all.timeline[1].accepted, 0U);
  EXPECT_EQ(all.timeline[2].worst, milliseconds(9));
  EXPECT_EQ(all.stage(Stage::message).count(), 2U);
}

TEST(Incidents, BoundTheirKinds) {
  Incidents incidents;
  for (std::size_t i = 0; i < Incidents::kKindsMax + 50; ++i)
    incidents.error(
        "handshake",
        reactor::Error{.code = reactor::Errc::tls, .system_error = 0, .context = std::to_string(i)});
  EXPECT_EQ(incidents.errors().size(), Incidents::kKindsMax + 1);
  EXPECT_EQ(incidents.errors().at("others"), 50U);
}

TEST(Chance, IsAFairShareAndTheSameAgain) {
  unsigned below = 0;
  std::array<unsigned, kMisbehaviours.size()> kinds{};
  const Options options{.misbehave = 0.3};
  for (std::uint64_t i = 0; i < 10000; ++i) {
    ASSERT_EQ(chance(1, 2, i), chance(1, 2, i));
    if (chance(1, 2, i) < 0.1) ++below;
    if (const auto kind = misbehaviour_of(options, i)) ++kinds[static_cast<std::size_t>(*kind)];
  }
  EXPECT_NEAR(below, 1000, 100);
  for (const unsigned kind : kinds) EXPECT_NEAR(kind, 750, 100);
  EXPECT_EQ(misbehaviour_of(Options{}, 1), std::nullopt);
  EXPECT_TRUE(misbehaviour_of(Options{.misbehave = 1}, 1));
}

TEST(Source, ChangesBeforeLoopbackRunsOutOfPorts) {
  const auto target = reactor::Address::parse("127.0.0.1:25");
  const auto elsewhere = reactor::Address::parse("192.0.2.1:25");
  EXPECT_TRUE(source_for(*target, 19'999).ip.empty());
  EXPECT_EQ(source_for(*target, 20'000).ip.text(), "127.0.1.2");
  EXPECT_NE(source_for(*target, 40'000), source_for(*target, 20'000));
  EXPECT_TRUE(source_for(*elsewhere, 900'000).ip.empty());
}

TEST(Report, SaysTheSameInBothForms) {
  RunResult result;
  result.elapsed = seconds(2);
  for (int i = 0; i < 100; ++i) result.tally.note_accepted(1000, milliseconds(i + 1), milliseconds(20 * i));
  result.tally.refused.add(7);
  result.tally.incidents.reply(452);
  result.tally.not_started = 5;
  const Options options{.target_text = "mx.example:25", .connections = 3, .rate = 60};
  const auto json = nlohmann::json::parse(json_of(options, result));
  EXPECT_EQ(json["loop"], "open");
  EXPECT_EQ(json["messages"]["accepted"], 100);
  EXPECT_EQ(json["messages_per_s"], 50);
  EXPECT_EQ(json["octets_per_s"], 50000);
  EXPECT_NEAR(json["latency_ms"]["message"]["p99"].get<double>(), 99, 0.1);
  EXPECT_EQ(json["latency_ms"]["message"]["max"], 100);
  EXPECT_EQ(json["replies"]["452"], 1);
  const std::string table = table_of(options, result);
  for (const char* words :
       {"100 accepted, 7 refused", "50.0 messages/s", "open loop", "5 of the rate never started", "452  1"})
    EXPECT_NE(table.find(words), std::string::npos) << words << " in\n" << table;
}

TEST(Report, PageEscapesAndDrawsEvenNothing) {
  RunResult result;
  const Options options{.target_text = "<script>&"};
  const std::string page = page_of(options, result);
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;&amp;"), std::string::npos);
  EXPECT_NE(page.find("<svg"), std::string::npos);
}

TEST(Report, BearsOctetsThatAreNoText) {
  RunResult result;
  result.tally.incidents.error(
      "handshake", reactor::Error{.code = reactor::Errc::tls, .system_error = 0, .context = "\xff"});
  EXPECT_TRUE(nlohmann::json::accept(json_of({}, result)));
}

}  // namespace
}  // namespace postern::load
