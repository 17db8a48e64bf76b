// What the pipeline asks, and what is counted of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "filters/dns.h"
#include "gateway/metrics/metrics.h"
#include "gateway/serve/dns_source.h"
#include "tests/integration/dns/conversation.h"
#include "tests/integration/dns/scripted_server.h"
#include "tests/support/run_task.h"

namespace postern::serve {
namespace {

using filters::AnswerStatus;
using filters::Question;
using test::DnsPacket;
using test::DnsQuery;
using testing::HasSubstr;

reactor::Task<void> ask_all(std::string address, std::vector<Question> questions, metrics::Registry* metrics,
                            std::vector<filters::Answer>* answers) {
  auto resolver = dns::Resolver::create(test::forwarding(address));
  if (!resolver) co_return;
  DnsSource source(std::move(*resolver), *metrics);
  for (Question& question : questions) {
    const reactor::Deadline deadline = reactor::Clock::now() + std::chrono::milliseconds(500);
    filters::Answer answer = co_await source.ask(std::move(question), deadline);
    answers->push_back(std::move(answer));
  }
  co_await source.close();
}

TEST(DnsSource, CountsWhatWasAskedAndHowItEnded) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  const test::ScriptedServer server([](const DnsQuery& query) {
    std::vector<std::string> replies;
    if (query.name == "none.test") replies = {query.reply(DnsPacket::kNxDomain).octets()};
    if (query.name == "some.test") {
      DnsPacket packet = query.reply();
      packet.answer(DnsPacket::pointer(12), DnsPacket::kTxt, 300, DnsPacket::text("text"));
      replies = {packet.octets()};
    }
    return replies;
  });
  metrics::Registry metrics;
  std::vector<filters::Answer> answers;
  test::run(ask_all(server.address(),
                    {filters::dns::txt("some.test"),
                     filters::dns::txt("some.test"),
                     filters::dns::mx("none.test"),
                     filters::dns::a("silent.test"),
                     {filters::QuestionKind::client_list, "192.0.2.1"}},
                    &metrics, &answers));
  ASSERT_EQ(answers.size(), 5U);
  EXPECT_EQ(answers[0].status, AnswerStatus::data);
  EXPECT_EQ(answers[1].records, answers[0].records);
  EXPECT_EQ(answers[2].status, AnswerStatus::no_such_name);
  EXPECT_EQ(answers[3].status, AnswerStatus::timed_out);
  EXPECT_EQ(answers[4].status, AnswerStatus::refused);
  const std::string figures = metrics.render();
  EXPECT_THAT(figures, HasSubstr("postern_dns_queries_total{kind=\"txt\",result=\"data\"} 2\n"));
  EXPECT_THAT(figures, HasSubstr("postern_dns_queries_total{kind=\"mx\",result=\"no_such_name\"} 1\n"));
  EXPECT_THAT(figures, HasSubstr("postern_dns_queries_total{kind=\"a\",result=\"timed_out\"} 1\n"));
  EXPECT_THAT(figures, HasSubstr("postern_dns_queries_total{kind=\"a\",result=\"refused\"} 0\n"));
  EXPECT_THAT(figures, HasSubstr("postern_dns_duration_seconds_count{kind=\"txt\"} 2\n"));
  EXPECT_THAT(figures, HasSubstr("postern_dns_duration_seconds_count{kind=\"a\"} 1\n"));
}

}  // namespace
}  // namespace postern::serve
