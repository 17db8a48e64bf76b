#include "gateway/delivery/runner/settle.h"

#include <gtest/gtest.h>

#include "gateway/delivery/runner/report.h"
#include "gateway/smtp/command.h"

namespace postern::delivery {
namespace {

using storage::RecipientState;
using Results = RecipientResult::Kind;

constexpr std::uint64_t kReceived = 1'000'000;
constexpr Patience kPatience{.expire_ms = 10'000, .report_expire_ms = 5'000, .warn_ms = 4'000};
const Retries kRetries{.first_ms = 100, .max_ms = 1000, .factor = 2, .jitter = 0};

storage::QueueEntry entry_of(std::vector<std::uint8_t> notify) {
  storage::QueueEntry entry{
      .destination = "far.example", .sender = "anna@near.example", .received_ms = kReceived};
  for (const std::uint8_t what : notify)
    entry.recipients.push_back({.address = "x@far.example", .notify = what});
  return entry;
}

RecipientResult result(Results kind, int code, bool passed_on = false) {
  return {.kind = kind, .code = code, .enhanced = "", .text = "words", .dsn_passed_on = passed_on};
}

Settlement settled(const storage::QueueEntry& entry, std::vector<RecipientResult> results,
                   std::uint64_t age) {
  return settle({}, entry, waiting_of(entry), results, "mx.far.example", kPatience, kRetries, kReceived + age,
                0.5);
}

TEST(Settle, EachRecipientGoesItsOwnWay) {
  const auto entry = entry_of({0, 0, 0});
  const auto s = settled(
      entry,
      {result(Results::delivered, 250), result(Results::permanent, 550), result(Results::temporary, 450)},
      1000);
  ASSERT_EQ(s.update.outcomes.size(), 3U);
  EXPECT_EQ(s.update.outcomes[0].state, RecipientState::relayed);
  EXPECT_EQ(s.update.outcomes[1].state, RecipientState::bounced);
  EXPECT_EQ(s.update.outcomes[2].state, RecipientState::waiting);
  EXPECT_EQ(s.update.outcomes[2].reply, "450 words");
  EXPECT_EQ(s.update.outcomes[2].host, "mx.far.example");
  EXPECT_TRUE(s.update.attempted);
  EXPECT_EQ(s.again_ms, kReceived + 1000 + 100);
  EXPECT_EQ(s.update.due_ms, s.again_ms);
  EXPECT_EQ(s.update.reason, "450 words");
  EXPECT_EQ(s.failed, std::vector<std::size_t>{1});
  EXPECT_TRUE(s.delayed.empty());
}

TEST(Settle, OnlyThoseWhoWaitAreTriedAndSettled) {
  auto entry = entry_of({0, 0});
  entry.recipients[0].state = RecipientState::relayed;
  const auto s = settled(entry, {result(Results::delivered, 250)}, 1000);
  ASSERT_EQ(s.update.outcomes.size(), 1U);
  EXPECT_EQ(s.update.outcomes[0].recipient, 1U);
  EXPECT_FALSE(s.again_ms);
}

TEST(Settle, GivesUpAtTheEndOfItsPatience) {
  auto entry = entry_of({0});
  EXPECT_TRUE(settled(entry, {result(Results::temporary, 450)}, 9'999).again_ms);
  const auto s = settled(entry, {result(Results::temporary, 450)}, 10'000);
  EXPECT_FALSE(s.again_ms);
  EXPECT_EQ(s.update.outcomes[0].state, RecipientState::expired);
  EXPECT_EQ(s.expired, std::vector<std::size_t>{0});
  entry.flags = storage::kReport;  // reports wait less
  EXPECT_EQ(settled(entry, {result(Results::temporary, 450)}, 5'000).update.outcomes[0].state,
            RecipientState::expired);
  const auto given_up = give_up({}, entry_of({0}), "no host answers", kReceived);
  EXPECT_EQ(given_up.update.outcomes[0].reply, "no host answers");
  EXPECT_EQ(given_up.expired, std::vector<std::size_t>{0});
}

struct NotifyCase {
  const char* name;
  std::uint8_t notify;
  bool failure, delay, success;
};

TEST(Settle, NotifyDecidesWhoHearsOfWhat) {
  const NotifyCase kCases[] = {
      {"nothing said", smtp::kNotifyUnspecified, true, false, false},
      {"never", smtp::kNotifyNever, false, false, false},
      {"success", smtp::kNotifySuccess, false, false, true},
      {"failure", smtp::kNotifyFailure, true, false, false},
      {"delay", smtp::kNotifyDelay, false, true, false},
      {"all", smtp::kNotifySuccess | smtp::kNotifyFailure | smtp::kNotifyDelay, true, true, true},
  };
  for (const NotifyCase& c : kCases) {
    SCOPED_TRACE(c.name);
    const auto entry = entry_of({c.notify});
    EXPECT_EQ(!settled(entry, {result(Results::permanent, 550)}, 1).failed.empty(), c.failure);
    EXPECT_EQ(!settled(entry, {result(Results::temporary, 450)}, 10'000).expired.empty(), c.failure);
    EXPECT_EQ(!settled(entry, {result(Results::temporary, 450)}, 4'000).delayed.empty(), c.delay);
    EXPECT_TRUE(settled(entry, {result(Results::temporary, 450)}, 3'999).delayed.empty());
    EXPECT_EQ(!settled(entry, {result(Results::delivered, 250)}, 1).relayed.empty(), c.success);
    EXPECT_TRUE(settled(entry, {result(Results::delivered, 250, true)}, 1).relayed.empty())
        << "the next hop reports by itself";
  }
}

TEST(Settle, ADelayIsToldOnce) {
  auto entry = entry_of({smtp::kNotifyDelay});
  const auto s = settled(entry, {result(Results::temporary, 450)}, 4'000);
  EXPECT_EQ(s.update.set_flags, storage::kDelayReported);
  entry.flags |= storage::kDelayReported;
  EXPECT_TRUE(settled(entry, {result(Results::temporary, 450)}, 5'000).delayed.empty());
}

TEST(Result, IsReadBackFromWhatWasRemembered) {
  struct Case {
    std::string_view reply;
    int code;
    std::string_view enhanced, text;
  };
  const Case kCases[] = {{"451 4.3.0 try later", 451, "4.3.0", "try later"},
                         {"550 no such user", 550, "", "no such user"},
                         {"550 5.1.1", 550, "5.1.1", ""},
                         {"554 5.7.1.2 odd", 554, "", "5.7.1.2 odd"},
                         {"connection refused", 0, "", "connection refused"},
                         {"", 0, "", ""},
                         {"55", 0, "", "55"}};
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.reply);
    const auto result = result_of(c.reply, Results::permanent);
    EXPECT_EQ(result.code, c.code);
    EXPECT_EQ(result.enhanced, c.enhanced);
    EXPECT_EQ(result.text, c.text);
  }
}

}  // namespace
}  // namespace postern::delivery
