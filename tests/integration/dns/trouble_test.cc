// Servers that are silent, slow, wrong or not there.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "filters/dns.h"
#include "filters/ip.h"
#include "gateway/dns/resolver.h"
#include "tests/integration/dns/conversation.h"
#include "tests/integration/dns/name_server.h"
#include "tests/integration/dns/scripted_server.h"

namespace postern::dns {
namespace {

using namespace std::chrono_literals;
using filters::AnswerStatus;
using filters::Question;
using test::Conversation;
using test::converse;
using test::DnsPacket;
using test::DnsQuery;
using test::forwarding;
using test::Manner;
using test::ScriptedServer;

using Replies = std::vector<std::string>;

const std::string kOwner = DnsPacket::pointer(12);
const std::string kAddress = {'\xc0', '\0', '\2', '\1'};
const std::string kForgedAddress = {'\xc0', '\0', '\2', '\x66'};

/// How late anything may be when the machine has other things to do.
constexpr auto kBusyMachine = 3000ms;

Replies right(const DnsQuery& query, std::uint32_t ttl = 300) {
  DnsPacket packet = query.reply();
  if (query.type == DnsPacket::kA) packet.answer(kOwner, DnsPacket::kA, ttl, kAddress);
  if (query.type == DnsPacket::kPtr)
    packet.answer(kOwner, DnsPacket::kPtr, ttl, DnsPacket::wire_name("host.zone.test"));
  return {packet.octets()};
}

Conversation ask(const ScriptedServer& server, std::chrono::milliseconds timeout,
                 const Question& question = filters::dns::a("www.zone.test")) {
  Manner manner;
  manner.timeout = timeout;
  return converse(forwarding(server.address()), {question}, manner);
}

TEST(ResolverTrouble, ASilentServerIsTimedOutAtTheDeadline) {
  const ScriptedServer server([](const DnsQuery&) { return Replies{}; });
  for (const auto timeout : {0ms, 50ms, 500ms}) {
    SCOPED_TRACE(timeout.count());
    // On a machine that is busy with something else one of several tries is punctual.
    bool punctual = false;
    for (int attempt = 0; attempt < 5 && !punctual; ++attempt) {
      const Conversation result = ask(server, timeout);
      EXPECT_EQ(result.answers[0].status, AnswerStatus::timed_out);
      EXPECT_TRUE(result.answers[0].records.empty());
      EXPECT_GE(result.asking, timeout);
      EXPECT_EQ(result.counters.timed_out, 1U);
      punctual = result.asking < timeout + 100ms && result.closing < 100ms;
    }
    EXPECT_TRUE(punctual);
  }
  EXPECT_GT(server.queries(), 0U);
}

TEST(ResolverTrouble, ALateAnswerWarmsTheCache) {
  const ScriptedServer server([](const DnsQuery& query) {
    std::this_thread::sleep_for(150ms);
    return right(query);
  });
  Manner manner;
  manner.timeout = 50ms;
  manner.at_once = false;
  manner.pause = 500ms;
  const Question question = filters::dns::a("www.zone.test");
  const Conversation result = converse(forwarding(server.address()), {question, question}, manner);
  EXPECT_EQ(result.answers[0].status, AnswerStatus::timed_out);
  EXPECT_EQ(result.answers[1].status, AnswerStatus::data);
  EXPECT_EQ(result.counters.cached, 1U);
}

TEST(ResolverTrouble, NobodyAtThePort) {
  const std::string address = fmt::format("127.0.0.1:{}", test::free_port("127.0.0.1"));
  Manner manner;
  manner.timeout = 500ms;
  const Conversation result = converse(forwarding(address), {filters::dns::a("www.zone.test")}, manner);
  EXPECT_TRUE(result.answers[0].failed()) << to_string(result.answers[0].status);
  EXPECT_LT(result.asking, 500ms + kBusyMachine);
  EXPECT_LT(result.closing, kBusyMachine);
}

struct WrongCase {
  std::string name;
  ScriptedServer::Script script;
};

const WrongCase kWrongCases[] = {
    {"SERVFAIL", [](const DnsQuery& query) { return Replies{query.reply(DnsPacket::kServFail).octets()}; }},
    {"REFUSED", [](const DnsQuery& query) { return Replies{query.reply(DnsPacket::kRefused).octets()}; }},
    {"not implemented", [](const DnsQuery& query) { return Replies{query.reply(4).octets()}; }},
    {"one octet", [](const DnsQuery&) { return Replies{"x"}; }},
    {"text", [](const DnsQuery&) { return Replies{"220 mx.example ESMTP ready when you are\r\n"}; }},
    {"the query itself", [](const DnsQuery& query) { return Replies{query.octets}; }},
    {"cut in the middle",
     [](const DnsQuery& query) {
       const std::string whole = right(query)[0];
       return Replies{whole.substr(0, whole.size() - 3)};
     }},
    {"another id",
     [](const DnsQuery& query) {
       std::string whole = right(query)[0];
       whole[1] = static_cast<char>(whole[1] ^ 1);
       return Replies{whole};
     }},
    {"another name",
     [](const DnsQuery& query) {
       DnsQuery other = query;
       other.name = "other.test";
       return right(other);
     }},
    {"a name that never ends",
     [](const DnsQuery& query) {
       DnsPacket packet = query.reply();
       packet.answer(DnsPacket::pointer(query.reply().size()), DnsPacket::kA, 300, kAddress);
       return Replies{packet.octets()};
     }},
    {"an alias of itself",
     [](const DnsQuery& query) {
       DnsPacket packet = query.reply();
       packet.answer(kOwner, DnsPacket::kCname, 300, kOwner);
       return Replies{packet.octets()};
     }},
    {"truncated, and TCP hangs up",
     [](const DnsQuery& query) {
       if (query.tcp) return Replies{};
       std::string octets = query.reply().octets();
       octets[2] = static_cast<char>(octets[2] | 2);  // TC
       return Replies{octets};
     }},
    {"truncated, and TCP answers text",
     [](const DnsQuery& query) {
       if (query.tcp) return Replies{"HTTP/1.1 400 Bad Request\r\n\r\n"};
       std::string octets = query.reply().octets();
       octets[2] = static_cast<char>(octets[2] | 2);
       return Replies{octets};
     }},
};

TEST(ResolverTrouble, AWrongAnswerIsAFailureAndNothingElse) {
  for (const WrongCase& c : kWrongCases) {
    SCOPED_TRACE(c.name);
    const ScriptedServer server(c.script);
    const Conversation result = ask(server, 1000ms);
    EXPECT_TRUE(result.answers[0].failed()) << to_string(result.answers[0].status);
    EXPECT_TRUE(result.answers[0].records.empty());
    EXPECT_LT(result.asking, 1000ms + kBusyMachine);
    EXPECT_GT(server.queries(), 0U);
  }
}

TEST(ResolverTrouble, AForgedAnswerDoesNotStandInTheRightOnesWay) {
  const ScriptedServer server([](const DnsQuery& query) {
    DnsPacket forged = query.reply();
    forged.answer(kOwner, DnsPacket::kA, 300, kForgedAddress);
    std::string wrong_id = forged.octets();
    wrong_id[0] = static_cast<char>(wrong_id[0] ^ 0x55);
    return Replies{wrong_id, "garbage", right(query)[0]};
  });
  const Conversation result = ask(server, 3000ms);
  EXPECT_EQ(result.answers[0].status, AnswerStatus::data);
  EXPECT_THAT(result.answers[0].records, testing::ElementsAre("192.0.2.1"));
}

TEST(ResolverTrouble, ARecordOfAnotherNameIsNotTaken) {
  const ScriptedServer server([](const DnsQuery& query) {
    DnsPacket packet = query.reply();
    packet.answer(DnsPacket::wire_name("other.test"), DnsPacket::kA, 300, kForgedAddress)
        .record(DnsPacket::Section::additional, DnsPacket::wire_name("third.test"), DnsPacket::kA, 300,
                kForgedAddress);
    return query.name == "www.zone.test" ? Replies{packet.octets()} : right(query);
  });
  Manner manner;
  manner.at_once = false;
  const Conversation result = converse(
      forwarding(server.address()),
      {filters::dns::a("www.zone.test"), filters::dns::a("other.test"), filters::dns::a("third.test")},
      manner);
  EXPECT_TRUE(result.answers[0].records.empty());
  EXPECT_THAT(result.answers[1].records, testing::ElementsAre("192.0.2.1"));
  EXPECT_THAT(result.answers[2].records, testing::ElementsAre("192.0.2.1"));
}

TEST(ResolverTrouble, AFailureNeverCarriesSomebodyElsesAnswer) {
  const ScriptedServer server([](const DnsQuery& query) {
    return query.name.starts_with("good") ? right(query)
                                          : Replies{query.reply(DnsPacket::kServFail).octets()};
  });
  std::vector<Question> questions;
  for (int i = 0; i < 20; ++i)
    questions.push_back(filters::dns::a(fmt::format("{}{}.zone.test", i % 2 == 0 ? "good" : "bad", i)));
  Manner manner;
  for (const bool at_once : {true, false}) {
    manner.at_once = at_once;
    const Conversation result = converse(forwarding(server.address()), questions, manner);
    for (std::size_t i = 0; i < questions.size(); ++i) {
      SCOPED_TRACE(questions[i].name);
      EXPECT_EQ(result.answers[i].status, i % 2 == 0 ? AnswerStatus::data : AnswerStatus::servfail);
      EXPECT_EQ(result.answers[i].records.empty(), i % 2 != 0);
    }
  }
}

TEST(ResolverTrouble, EqualQuestionsAtOnceAreOneQuery) {
  const ScriptedServer server([](const DnsQuery& query) {
    std::this_thread::sleep_for(100ms);
    return right(query);
  });
  const std::vector<Question> questions(50, filters::dns::a("www.zone.test"));
  const Conversation result = converse(forwarding(server.address()), questions);
  EXPECT_EQ(result.counters.data, questions.size());
  EXPECT_EQ(server.queries(), 1U);
}

TEST(ResolverTrouble, AnotherServerIsAskedWhenOneIsSilent) {
  const ScriptedServer silent([](const DnsQuery&) { return Replies{}; });
  const ScriptedServer server([](const DnsQuery& query) { return right(query); });
  ResolverOptions options = forwarding(silent.address());
  options.resolvers.push_back(server.address());
  std::vector<Question> questions;
  for (int i = 0; i < 20; ++i) questions.push_back(filters::dns::a(fmt::format("n{}.zone.test", i)));
  const Conversation result = converse(options, questions);
  EXPECT_EQ(result.counters.data, questions.size());
}

TEST(ResolverTrouble, AnExpiredAnswerServesWhileNobodyAnswers) {  // RFC 8767
  const ScriptedServer server(
      [](const DnsQuery& query) { return query.number == 0 ? right(query, 1) : Replies{}; });
  ResolverOptions options = forwarding(server.address());
  options.stale_after = 300ms;
  Manner manner;
  manner.timeout = 1500ms;
  manner.at_once = false;
  manner.pause = 2100ms;
  const Question question = filters::dns::a("www.zone.test");
  const Conversation result = converse(options, {question, question}, manner);
  EXPECT_EQ(result.answers[0].status, AnswerStatus::data);
  EXPECT_EQ(result.answers[1].status, AnswerStatus::data);
  EXPECT_EQ(result.answers[1].records, result.answers[0].records);
  EXPECT_GE(result.answers[1].took, 300ms);
  EXPECT_GT(server.queries(), 1U);
}

TEST(ResolverTrouble, ClosingEndsWhatIsUnderWay) {
  const ScriptedServer server([](const DnsQuery& query) {
    if (query.tcp) std::this_thread::sleep_for(300ms);
    if (query.tcp || !query.name.starts_with("long")) return Replies{};
    std::string octets = query.reply().octets();
    octets[2] = static_cast<char>(octets[2] | 2);  // TC
    return Replies{octets};
  });
  std::vector<Question> questions;
  for (int i = 0; i < 50; ++i)
    questions.push_back(filters::dns::a(fmt::format("{}{}.zone.test", i % 5 == 0 ? "long" : "n", i)));
  for (const auto after : {0ms, 1ms, 20ms, 200ms}) {
    SCOPED_TRACE(after.count());
    Manner manner;
    manner.timeout = 60s;
    manner.close_after = after;
    const Conversation result = converse(forwarding(server.address()), questions, manner);
    EXPECT_EQ(result.counters.servfail, questions.size());
    EXPECT_LT(result.asking, after + kBusyMachine);
  }
}

TEST(ResolverTrouble, ClosingForgetsThoseWhoHaveGoneOn) {
  const ScriptedServer server([](const DnsQuery&) { return Replies{}; });
  std::vector<Question> questions;
  for (int i = 0; i < 50; ++i) questions.push_back(filters::dns::a(fmt::format("n{}.zone.test", i)));
  Manner manner;
  manner.timeout = 50ms;
  manner.close_after = 200ms;
  const Conversation result = converse(forwarding(server.address()), questions, manner);
  EXPECT_EQ(result.counters.timed_out, questions.size());
}

TEST(ResolverTrouble, NamesOfThisHouseAreAskedLikeOthers) {
  const ScriptedServer server([](const DnsQuery& query) { return right(query); });
  std::vector<Question> questions;
  for (const char* name : {"localhost", "mx.localhost", "zone.test", "zone.example", "example.com",
                           "nas.home.arpa", "printer.lan", "host.internal", "host.local"})
    questions.push_back(filters::dns::a(name));
  for (const char* ip : {"127.0.0.1", "10.1.2.3", "172.16.1.2", "192.168.1.2", "169.254.1.2", "100.64.1.2",
                         "192.0.2.1", "198.51.100.1", "203.0.113.1", "255.255.255.255", "0.0.0.1", "::1",
                         "::2", "fd00::1", "fe80::1", "2001:db8::1"})
    questions.push_back(filters::dns::ptr(*filters::Ip::parse(ip)));
  const Conversation result = converse(forwarding(server.address()), questions);
  for (std::size_t i = 0; i < questions.size(); ++i)
    EXPECT_EQ(result.answers[i].status, AnswerStatus::data) << questions[i].name;
  EXPECT_GE(server.queries(), questions.size());
}

TEST(ResolverTrouble, SomeNamesNeverLeaveTheHouse) {
  const ScriptedServer server([](const DnsQuery& query) { return right(query); });
  const Conversation result = converse(forwarding(server.address()),
                                       {filters::dns::a("mail.invalid"), filters::dns::a("address.onion")});
  EXPECT_EQ(result.answers[0].status, AnswerStatus::no_such_name);  // RFC 6761 §6.4
  EXPECT_EQ(result.answers[1].status, AnswerStatus::no_such_name);  // RFC 7686 §2
  EXPECT_EQ(server.queries(), 0U);
}

struct SettingCase {
  std::string name;
  ResolverOptions options;
  std::string word;  ///< of the sentence
};

TEST(ResolverSettings, WhatCannotBeUsedIsNamed) {
  SettingCase cases[] = {
      {"no address", {.resolvers = {"dns.example"}}, "dns.example"},
      {"no port", {.resolvers = {"192.0.2.1:"}}, "192.0.2.1:"},
      {"a socket's path", {.resolvers = {"unix:/run/dns"}}, "unix:/run/dns"},
      {"the second of two", {.resolvers = {"192.0.2.1", "192.0.2.1:99999"}}, "192.0.2.1:99999"},
      {"no key", {.trust_anchors = {"zone.test. IN A 192.0.2.1"}}, "settings"},
      {"no hints", {.root_hints = "/nonexistent/hints"}, "settings"},
  };
  for (const SettingCase& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(converse(c.options, {}).trouble, testing::HasSubstr(c.word));
  }
}

TEST(ResolverSettings, EveryFormOfAnAddressServes) {
  for (const char* text : {"192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:5353", "2001:db8::1"}) {
    const ResolverOptions options{.resolvers = {text}};
    EXPECT_EQ(converse(options, {}).trouble, "") << text;
  }
}

}  // namespace
}  // namespace postern::dns
