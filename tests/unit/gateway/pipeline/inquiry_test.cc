// Asking early: what is asked when, what is kept, what is waited for; and that none of this can be seen in a verdict.
#include "gateway/pipeline/inquiry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/support/run_task.h"
#include "tests/support/zone.h"

namespace postern::pipeline {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::Question;
using filters::Stage;
using std::chrono::milliseconds;

constexpr std::string_view kZone = R"({
  "1.2.0.192.in-addr.arpa": [{"PTR": "mail.good.test"}],
  "mail.good.test": [{"A": "192.0.2.1"}],
  "1.2.0.192.bl.test": [{"A": "127.0.0.2"}],
  "good.test.dom.test": [{"A": "127.0.0.2"}],
  "mail.good.test.dom.test": ["SERVFAIL"],
  "good.test": [{"TXT": "v=spf1 include:more.test ?all"}],
  "more.test": [{"TXT": "v=spf1 a:out.good.test mx:mx.good.test ~all"}],
  "out.good.test": ["TIMEOUT"],
  "_dmarc.good.test": [{"TXT": "v=DMARC1; p=quarantine"}],
  "_dmarc.other.test": [{"TXT": "v=DMARC1; p=none"}]
})";
constexpr std::string_view kMessage =
    "From: Ann <ann@good.test>\r\nReply-To: x@other.test\r\nDate: Fri, 31 May 2024 10:00:00 +0000\r\n"
    "Message-ID: <1@a.example>\r\n\r\nhello\r\n";

/// The zone's answers, each after a time of its own.
class ZoneSource final : public Source {
 public:
  explicit ZoneSource(std::string_view text = kZone) : zone(nlohmann::json::parse(text)) {}

  reactor::Task<Answer> ask(Question question, reactor::Deadline deadline) override {
    ++asked[question.name];
    const auto found = delays.find(question.name);
    const milliseconds delay = found == delays.end() ? usual(question) : found->second;
    const auto ready = reactor::Clock::now() + delay;
    if (delay.count() > 0) (void)co_await reactor::Reactor::current().sleep_until(std::min(ready, deadline));
    if (silent || ready > deadline) co_return Answer{.status = AnswerStatus::timed_out};
    co_return zone.answer(question);
  }

  unsigned total() const {
    unsigned sum = 0;
    for (const auto& [name, count] : asked) sum += count;
    return sum;
  }

  support::Zone zone;
  std::map<std::string, unsigned> asked;
  std::map<std::string, milliseconds> delays;
  std::mt19937* random = nullptr;  ///< null: at once
  bool silent = false;

 private:
  milliseconds usual(const Question&) const {
    return random == nullptr ? milliseconds(0) : milliseconds((*random)() % 4);
  }
};

/// Everything that is asked is asked of the source.
struct World {
  explicit World(milliseconds budget = std::chrono::seconds(10)) : budget(budget) {
    snapshot = std::make_shared<Snapshot>();
    filters::Policy& policy = snapshot->policy;
    policy.authentication.enabled = true;
    policy.blocklists = {
        {.zone = "bl.test", .kind = filters::BlocklistKind::ip, .answers = {}, .score = 3},
        {.zone = "dom.test", .kind = filters::BlocklistKind::domain, .answers = {}, .score = 2}};
    envelope.client_ip = *filters::Ip::parse("192.0.2.1");
    envelope.helo = "helo.test";
    envelope.protocol = "ESMTP";
    envelope.receiving_host = "mx.test.example";
  }
  Answers answers() { return {lists, &source, std::chrono::seconds(5), budget}; }
  void mail() {
    envelope.mail_from = "ann@good.test";
    envelope.recipients = {"you@test.example"};
  }

  milliseconds budget;
  LocalLists lists;
  ZoneSource source;
  std::shared_ptr<Snapshot> snapshot;
  filters::Envelope envelope;
  filters::Analysis analysis = filters::Analysis::of(kMessage);
};

reactor::Task<void> pass(milliseconds time) {
  (void)co_await reactor::Reactor::current().sleep_until(reactor::Clock::now() + time);
}

reactor::Task<filters::Verdict> judged(World& world, Inquiry& inquiry, Stage stage) {
  const Answers answers = world.answers();
  const filters::Analysis* analysis = stage == Stage::data ? &world.analysis : nullptr;
  auto verdict = co_await inquiry.judge(stage, world.envelope, analysis, world.snapshot->policy, answers);
  co_return verdict;
}

TEST(Inquiry, AsksAtConnectAndAtMailWhatCanBeNamedThere) {
  World world;
  const auto task = [](World& of) -> reactor::Task<void> {
    reactor::Scope scope;
    {
      Inquiry inquiry(scope);
      inquiry.ask_ahead(Stage::connect, of.envelope, of.snapshot, of.answers());
      // What an answer leads to is asked without anybody's doing.
      for (const char* name :
           {"1.2.0.192.in-addr.arpa", "mail.good.test", "1.2.0.192.bl.test", "mail.good.test.dom.test"})
        EXPECT_EQ(of.source.asked[name], 1U) << name;
      EXPECT_EQ(of.source.asked.count("good.test"), 0U);
      of.mail();
      inquiry.ask_ahead(Stage::mail, of.envelope, of.snapshot, of.answers());
      for (const char* name : {"good.test", "more.test", "out.good.test", "good.test.dom.test"})
        EXPECT_EQ(of.source.asked[name], 1U) << name;
      const unsigned before = of.source.total();
      (void)co_await judged(of, inquiry, Stage::data);
      EXPECT_GT(of.source.asked["_dmarc.good.test"], 0U);
      EXPECT_EQ(inquiry.counts().ahead, before);
      EXPECT_EQ(inquiry.counts().needed, of.source.total() - before);
      for (const auto& [name, count] : of.source.asked) EXPECT_EQ(count, 1U) << name;
    }
    co_await scope.join();
  };
  test::run(task(world));
}

TEST(Inquiry, WaitsForWhatIsUnderWayAndAsksNothingTwice) {
  World world;
  world.source.delays = {{"1.2.0.192.in-addr.arpa", milliseconds(20)}, {"good.test", milliseconds(30)}};
  const auto task = [](World& of) -> reactor::Task<void> {
    reactor::Scope scope;
    {
      Inquiry inquiry(scope);
      inquiry.ask_ahead(Stage::connect, of.envelope, of.snapshot, of.answers());
      of.mail();
      inquiry.ask_ahead(Stage::mail, of.envelope, of.snapshot, of.answers());
      inquiry.hold();
      (void)co_await judged(of, inquiry, Stage::data);
      EXPECT_NE(inquiry.facts().find({.kind = filters::QuestionKind::dns_txt, .name = "good.test"}), nullptr);
      for (const auto& [name, count] : of.source.asked) EXPECT_EQ(count, 1U) << name;
    }
    co_await scope.join();
  };
  test::run(task(world));
}

TEST(Inquiry, TheClientsAnswersLastForTheSessionAndFailuresAreAskedAgain) {
  World world;
  const auto task = [](World& of) -> reactor::Task<void> {
    reactor::Scope scope;
    {
      Inquiry inquiry(scope);
      inquiry.ask_ahead(Stage::connect, of.envelope, of.snapshot, of.answers());
      for (int message = 0; message < 3; ++message) {
        of.mail();
        inquiry.ask_ahead(Stage::mail, of.envelope, of.snapshot, of.answers());
        (void)co_await judged(of, inquiry, Stage::data);
        const filters::Facts facts = inquiry.take_facts();
        EXPECT_TRUE(facts.questions().empty());
        EXPECT_NE(facts.find({.kind = filters::QuestionKind::dns_txt, .name = "good.test"}), nullptr);
        EXPECT_EQ(inquiry.facts().find({.kind = filters::QuestionKind::dns_txt, .name = "good.test"}),
                  nullptr);
      }
      EXPECT_EQ(of.source.asked["1.2.0.192.in-addr.arpa"], 1U);
      EXPECT_EQ(of.source.asked["1.2.0.192.bl.test"], 1U);
      EXPECT_EQ(of.source.asked["good.test"], 3U);
      EXPECT_EQ(of.source.asked["mail.good.test.dom.test"], 3U) << "it failed each time";
    }
    co_await scope.join();
  };
  test::run(task(world));
}

TEST(Inquiry, RcptWaitsOnlyForWhatItNeeds) {
  World world;
  world.snapshot->policy.blocklist_reject_score = 3;
  world.source.delays = {{"good.test", std::chrono::hours(1)}, {"1.2.0.192.bl.test", milliseconds(20)}};
  const auto task = [](World& of) -> reactor::Task<void> {
    reactor::Scope scope;
    const auto began = reactor::Clock::now();
    {
      Inquiry inquiry(scope);
      of.mail();
      inquiry.ask_ahead(Stage::mail, of.envelope, of.snapshot, of.answers());
      const filters::Verdict verdict = co_await judged(of, inquiry, Stage::rcpt);
      EXPECT_EQ(verdict.action, filters::Action::reject);
      EXPECT_EQ(verdict.refusal.code, 554);
      EXPECT_LT(reactor::Clock::now() - began, std::chrono::seconds(4));  // the SPF record's timeout is 5 s
    }
    co_await scope.join();
  };
  test::run(task(world));
}

TEST(Inquiry, TheBudgetIsForTheWholeMessageAndWhatDidNotComeIsNamed) {
  World world(milliseconds(60));
  world.snapshot->policy.blocklist_reject_score = 3;
  const auto task = [](World& of) -> reactor::Task<void> {
    for (const char* name : {"1.2.0.192.bl.test", "good.test", "1.2.0.192.in-addr.arpa", "_dmarc.good.test"})
      of.source.delays[name] = std::chrono::seconds(1);
    reactor::Scope scope;
    {
      Inquiry inquiry(scope);
      of.mail();
      const auto began = reactor::Clock::now();
      (void)co_await judged(of, inquiry, Stage::rcpt);
      const filters::Verdict verdict = co_await judged(of, inquiry, Stage::data);
      EXPECT_LT(reactor::Clock::now() - began, milliseconds(800));
      EXPECT_NE(verdict.action, filters::Action::reject);
      for (const char* check : {"blocklist", "spf", "iprev"})
        EXPECT_TRUE(std::ranges::any_of(verdict.incomplete, [check](const std::string& entry) {
          return entry.starts_with(check);
        })) << check;
    }
    co_await scope.join();  // what was under way ends by its own deadline
    EXPECT_EQ(scope.running(), 0U);
  };
  test::run(task(world));
}

TEST(Inquiry, AVisitMayEndWhileQuestionsAreUnderWay) {
  World world;
  std::mt19937 random(7);
  world.source.random = &random;
  const auto task = [](World& of) -> reactor::Task<void> {
    reactor::Scope scope;
    for (int visit = 0; visit < 20; ++visit) {
      Inquiry inquiry(scope);
      inquiry.ask_ahead(Stage::connect, of.envelope, of.snapshot, of.answers());
      co_await pass(milliseconds(visit % 3));
      if (visit % 2 == 0) inquiry.forget_transaction();
    }
    co_await scope.join();
  };
  test::run(task(world));
}

reactor::Task<std::string> with_timing(World& of, std::mt19937& random, bool ahead) {
  reactor::Scope scope;
  std::string text;
  {
    Inquiry inquiry(scope);
    of.envelope.mail_from.clear();
    of.envelope.recipients.clear();
    const auto idle = [&random] { return milliseconds(random() % 6); };
    if (ahead) inquiry.ask_ahead(Stage::connect, of.envelope, of.snapshot, of.answers());
    co_await pass(idle());
    if (random() % 4 == 0) inquiry.forget_transaction();
    of.mail();
    if (ahead && random() % 4 != 0) inquiry.ask_ahead(Stage::mail, of.envelope, of.snapshot, of.answers());
    co_await pass(idle());
    const filters::Verdict at_rcpt = co_await judged(of, inquiry, Stage::rcpt);
    co_await pass(idle());
    inquiry.hold();
    const filters::Verdict verdict = co_await judged(of, inquiry, Stage::data);
    text = to_json(at_rcpt) + to_json(verdict);
  }
  co_await scope.join();
  co_return text;
}

TEST(Inquiry, TheVerdictIsTheSameWhateverTheOrderAndTimingOfAnswers) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (const double threshold : {15.0, 3.0}) {
    std::mt19937 random(seed);
    World world;
    world.snapshot->policy.blocklist_reject_score = threshold;
    const auto task = [](World& of, std::mt19937& dice) -> reactor::Task<void> {
      const std::string expected = co_await with_timing(of, dice, false);
      EXPECT_NE(expected.find("DNSBL_BL_TEST"), std::string::npos) << expected;
      of.source.random = &dice;
      for (int round = 0; round < 40; ++round) {
        const std::string found = co_await with_timing(of, dice, true);
        EXPECT_EQ(found, expected);
        if (found != expected) co_return;
      }
    };
    test::run(task(world, random));
  }
}

TEST(Inquiry, WithoutASourceWhatIsNotLocalIsRefusedNotDenied) {
  World world;
  const auto task = [](World& of) -> reactor::Task<void> {
    const Answers nobody(of.lists, nullptr, std::chrono::seconds(1), std::chrono::seconds(1));
    filters::Facts facts;
    of.mail();
    const filters::Verdict verdict =
        co_await judge_and_ask(Stage::data, of.envelope, &of.analysis, facts, of.snapshot->policy, nobody);
    EXPECT_FALSE(verdict.incomplete.empty());
    for (const auto& [question, answer] : facts.answers())
      EXPECT_EQ(answer.status, AnswerStatus::refused) << question.name;
  };
  test::run(task(world));
}

}  // namespace
}  // namespace postern::pipeline
