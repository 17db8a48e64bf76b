// Who may speak and who receives: the stages before the message.
#include <gtest/gtest.h>

#include "tests/unit/gateway/pipeline/house.h"

namespace postern::pipeline {
namespace {

struct Row {
  std::string_view name, commands, expected;  ///< the last reply, or its beginning
};

constexpr Row kRows[] = {
    {"a recipient", "MAIL FROM:<a@c.example>\r\nRCPT TO:<alice@test.example>\r\n", "250 2.1.5"},
    {"the null reverse-path", "MAIL FROM:<>\r\nRCPT TO:<alice@test.example>\r\n", "250 2.1.5"},
    {"postmaster", "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n", "250 2.1.5"},
    {"postmaster at the address connected to", "MAIL FROM:<>\r\nRCPT TO:<postmaster@[203.0.113.9]>\r\n",
     "250 2.1.5"},
    {"nobody", "MAIL FROM:<>\r\nRCPT TO:<nobody@test.example>\r\n", "550 5.1.1 No such address here\r\n"},
    {"another domain", "MAIL FROM:<>\r\nRCPT TO:<user@elsewhere.example>\r\n",
     "550 5.7.1 Relaying is not allowed\r\n"},
    {"percent hack", "MAIL FROM:<>\r\nRCPT TO:<user%elsewhere.example@any.example>\r\n", "550 5.7.1"},
    {"bang path", "MAIL FROM:<>\r\nRCPT TO:<elsewhere.example!user@any.example>\r\n", "550 5.7.1"},
    {"a blocked sender", "MAIL FROM:<a@blocked.example>\r\n", "550 5.7.1"},
    {"a blocked recipient", "MAIL FROM:<a@c.example>\r\nRCPT TO:<closed@any.example>\r\n", "550 5.7.1"},
    {"after a refused recipient",
     "MAIL FROM:<a@c.example>\r\nRCPT TO:<closed@any.example>\r\nRCPT TO:<open@any.example>\r\n",
     "250 2.1.5"},
    {"room for what is declared", "MAIL FROM:<> SIZE=2000\r\nRCPT TO:<small@test.example>\r\n", "250 2.1.5"},
    {"an octet too many is declared", "MAIL FROM:<> SIZE=2001\r\nRCPT TO:<small@test.example>\r\n",
     "452 4.2.2"},
    {"no bound", "MAIL FROM:<> SIZE=2001\r\nRCPT TO:<bob@test.example>\r\n", "250 2.1.5"},
};

std::string with_lists() {
  return std::string(kManifest) +
         "[filter.block]\nclients = [\"198.51.100.0/24\"]\nsenders = [\"@blocked.example\"]\n"
         "recipients = [\"closed@any.example\"]\n";
}

std::string last_line(const std::string& replies) {
  const std::size_t at = replies.size() < 3 ? std::string::npos : replies.rfind("\r\n", replies.size() - 3);
  return at == std::string::npos ? replies : replies.substr(at + 2);
}

reactor::Task<void> ask(House& house, std::string commands, std::string* reply) {
  Client client(house);
  *reply = co_await client.say(std::string(kHello) + commands);
}

TEST(Visit, AnswersMailAndRcpt) {
  House house({.manifest = with_lists()});
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    std::string reply;
    test::run(ask(house, std::string(row.commands), &reply));
    EXPECT_TRUE(last_line(reply).starts_with(row.expected)) << reply;
  }
}

TEST(Visit, LogsWhatItRefuses) {
  House house({.manifest = with_lists()});
  std::string reply;
  test::run(ask(house, "MAIL FROM:<a@c.example>\r\nRCPT TO:<nobody@test.example>\r\n", &reply));
  test::run(ask(house, "MAIL FROM:<a@blocked.example>\r\n", &reply));
  const auto events = house.events("rejected");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["stage"], "rcpt");
  EXPECT_EQ(events[0]["sid"], "s1");
  EXPECT_EQ(events[0]["ip"], "192.0.2.1");
  EXPECT_EQ(events[0]["helo"], "client.example");
  EXPECT_EQ(events[0]["from"], "a@c.example");
  EXPECT_EQ(events[0]["rcpt"], "nobody@test.example");
  EXPECT_EQ(events[0]["code"], 550);
  EXPECT_EQ(events[0]["ecode"], "5.1.1");
  EXPECT_EQ(events[0]["reason"], "no such address");
  EXPECT_EQ(events[1]["stage"], "mail");
  EXPECT_NE(events[1]["reason"], "");
}

TEST(Visit, ABlockedClientIsRefusedAtTheGreeting) {
  House house({.manifest = with_lists()});
  const auto visit = [](House& h) -> reactor::Task<void> {
    Client client(h, {.ip = "198.51.100.7"});
    const std::string greeting = co_await client.say("");
    EXPECT_TRUE(greeting.starts_with("554 ")) << greeting;
    const std::string mail = co_await client.say("EHLO x.example\r\n");
    EXPECT_TRUE(mail.starts_with("503 ")) << mail;
    const std::string quit = co_await client.say("QUIT\r\n");
    EXPECT_TRUE(quit.starts_with("221 ")) << quit;
  };
  test::run(visit(house));
  EXPECT_EQ(house.events("rejected").at(0)["stage"], "connect");
}

TEST(Visit, XclientIsJudgedAsTheClientItNames) {
  House house({.manifest = with_lists()});
  const auto visit = [](House& h) -> reactor::Task<void> {
    Client client(h, {.ip = "127.0.0.1"});
    (void)co_await client.say(std::string(kHello));
    const std::string reply = co_await client.say("XCLIENT ADDR=198.51.100.7\r\n");
    EXPECT_TRUE(reply.starts_with("554 ")) << reply;
  };
  test::run(visit(house));
}

TEST(Visit, NothingIsTakenWhileTheDiskIsFull) {
  House house({.free_octets_min = std::uint64_t{1} << 62});
  std::string reply;
  test::run(ask(house, "MAIL FROM:<a@c.example>\r\n", &reply));
  EXPECT_TRUE(last_line(reply).starts_with("452 4.3.1 ")) << reply;
  EXPECT_TRUE(house.has_metric(R"(postern_stage_degraded_total{stage="mail",cause="store_full"} 1)"));
}

TEST(Visit, AddressesAreHiddenWhereTheManifestSaysSo) {
  House house({.manifest = with_lists() + "[log]\naddresses = false\n"});
  std::string reply;
  test::run(ask(house, "MAIL FROM:<secret@blocked.example>\r\n", &reply));
  test::run(ask(house, "MAIL FROM:<secret@c.example>\r\nRCPT TO:<private@test.example>\r\n", &reply));
  const auto events = house.events("rejected");
  ASSERT_EQ(events.size(), 2U);
  for (const nlohmann::json& event : events) {
    const std::string text = event.dump();
    EXPECT_EQ(text.find("secret"), std::string::npos) << text;
    EXPECT_EQ(text.find("private"), std::string::npos) << text;
    EXPECT_EQ(text.find("blocked.example"), std::string::npos) << text;
    EXPECT_EQ(event["from"].get<std::string>().size(), 16U);
  }
}

}  // namespace
}  // namespace postern::pipeline
