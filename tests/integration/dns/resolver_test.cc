// The resolver and an authoritative server that knows nothing of us.
#include "gateway/dns/resolver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "filters/dns.h"
#include "filters/ip.h"
#include "tests/integration/dns/conversation.h"
#include "tests/integration/dns/name_server.h"

namespace postern::dns {
namespace {

using filters::AnswerStatus;
using filters::Question;
using filters::QuestionKind;
using test::Conversation;
using test::converse;
using test::forwarding;
using test::Manner;
using test::NameServer;

constexpr std::size_t kLongTextOctets = 4096;

std::string long_text() {
  std::string text;
  while (text.size() < kLongTextOctets) text += fmt::format("{:07} ", text.size());
  return text;
}

/// As the character-strings of a zone file.
std::string quoted(const std::string& text) {
  constexpr std::size_t kStringOctetsMax = 255;
  std::string strings;
  for (std::size_t at = 0; at < text.size(); at += kStringOctetsMax)
    strings += fmt::format(" \"{}\"", text.substr(at, kStringOctetsMax));
  return strings;
}

std::string forward_zone() {
  std::string zone = R"($TTL 300
@ SOA ns.tree.test. root.tree.test. 1 3600 600 86400 60
@ NS ns.tree.test.
ns A 127.0.0.1
@ MX 10 mx1.tree.test.
@ MX 20 mx2.tree.test.
www A 192.0.2.1
www A 192.0.2.2
www AAAA 2001:db8::1
spf TXT "v=spf1 ip4:192.0.2.0/24" " -all"
two TXT "one"
two TXT "other"
binary TXT "a\000\255\"\\z"
nomail MX 0 .
alias CNAME chain
chain CNAME www
dangling CNAME nothing
hollow CNAME spf
below.empty A 192.0.2.3
_dmarc TXT "v=DMARC1; p=none"
a\032b TXT "space"
a\092b TXT "backslash"
a\.b TXT "dot"
a\"b\;c\(d\@e\$f\*g/h TXT "signs"
*.many A 192.0.2.77
)";
  return zone + "long TXT" + quoted(long_text()) + "\n";
}

constexpr const char* kReverseZone = R"($TTL 300
@ SOA ns.tree.test. root.tree.test. 1 3600 600 86400 60
@ NS ns.tree.test.
1 PTR www.tree.test.
2 PTR WWW.Tree.Test.
2 PTR other.tree.test.
3 CNAME 3.half
3.half PTR delegated.tree.test.
)";

constexpr const char* kReverseZone6 = R"($TTL 300
@ SOA ns.tree.test. root.tree.test. 1 3600 600 86400 60
@ NS ns.tree.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR www.tree.test.
)";

class ResolverTest : public testing::Test {
 public:
  static void SetUpTestSuite() {
    if (!NameServer::installed()) return;
    const NameServer::Options options{.zones = {{"tree.test", forward_zone()},
                                                {"2.0.192.in-addr.arpa", kReverseZone},
                                                {"8.b.d.0.1.0.0.2.ip6.arpa", kReverseZone6}}};
    server_ = std::make_unique<NameServer>(options);
  }
  static void TearDownTestSuite() { server_.reset(); }

 protected:
  void SetUp() override {
    if (!server_) GTEST_SKIP() << "nsd is not installed";
    ASSERT_EQ(server_->trouble(), "");
  }
  static std::unique_ptr<NameServer> server_;
};
std::unique_ptr<NameServer> ResolverTest::server_;

struct Row {
  std::string name;
  Question question;
  AnswerStatus status;
  std::vector<std::string> records;
  long ttl = 300;
};

std::vector<Row> rows() {
  using namespace filters::dns;
  const auto data = AnswerStatus::data, none = AnswerStatus::no_data, nothing = AnswerStatus::no_such_name;
  return {
      {"addresses", a("www.tree.test"), data, {"192.0.2.1", "192.0.2.2"}},
      {"an address of IPv6", aaaa("www.tree.test"), data, {"2001:db8::1"}},
      {"strings of one record", txt("spf.tree.test"), data, {"v=spf1 ip4:192.0.2.0/24 -all"}},
      {"two records", txt("two.tree.test"), data, {"one", "other"}},
      {"any octets", txt("binary.tree.test"), data, {std::string("a\0\xff\"\\z", 6)}},
      {"TCP after truncation", txt("long.tree.test"), data, {long_text()}},
      {"exchanges", mx("tree.test"), data, {"10 mx1.tree.test", "20 mx2.tree.test"}},
      {"the null MX", mx("nomail.tree.test"), data, {"0 ."}},
      {"a host", ptr(*filters::Ip::parse("192.0.2.1")), data, {"www.tree.test"}},
      {"hosts", ptr(*filters::Ip::parse("192.0.2.2")), data, {"other.tree.test", "www.tree.test"}},
      {"a reverse alias (RFC 2317)", ptr(*filters::Ip::parse("192.0.2.3")), data, {"delegated.tree.test"}},
      {"a host of IPv6", ptr(*filters::Ip::parse("2001:db8::1")), data, {"www.tree.test"}},
      {"through two aliases", a("alias.tree.test"), data, {"192.0.2.1", "192.0.2.2"}},
      {"an alias of nothing", a("dangling.tree.test"), nothing, {}, 60},
      {"an alias of what has no such record", a("hollow.tree.test"), none, {}, 60},
      {"no such record", mx("www.tree.test"), none, {}, 60},
      {"an empty name above another", a("empty.tree.test"), none, {}, 60},
      {"no such name", a("nothing.tree.test"), nothing, {}, 60},
      {"no such address", ptr(*filters::Ip::parse("192.0.2.9")), nothing, {}, 60},
      {"an underscore", txt("_dmarc.tree.test"), data, {"v=DMARC1; p=none"}},
      {"a space", txt("a b.tree.test"), data, {"space"}},
      {"a backslash", txt("a\\b.tree.test"), data, {"backslash"}},
      {"signs of zone files", txt("a\"b;c(d@e$f*g/h.tree.test"), data, {"signs"}},
      {"not ours: refused by the only server", a("www.elsewhere.test"), AnswerStatus::servfail, {}, 0},
  };
}

void expect_rows(const std::vector<Row>& expected, const Conversation& result) {
  ASSERT_EQ(result.trouble, "");
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(expected[i].name);
    EXPECT_EQ(result.answers[i].status, expected[i].status) << to_string(result.answers[i].status);
    EXPECT_THAT(result.answers[i].records, testing::UnorderedElementsAreArray(expected[i].records));
    EXPECT_LE(result.answers[i].ttl.count(), expected[i].ttl);
    EXPECT_GE(result.answers[i].ttl.count(), expected[i].ttl - 30);
    EXPECT_FALSE(result.answers[i].secure);
    EXPECT_NE(result.answers[i].asked_at.time_since_epoch().count(), 0);
  }
}

TEST_F(ResolverTest, AnswersEveryKindOfQuestion) {
  std::vector<Question> questions;
  for (const Row& row : rows()) questions.push_back(row.question);
  const Conversation result = converse(forwarding(server_->address()), questions);
  expect_rows(rows(), result);
  EXPECT_EQ(result.counters.questions, questions.size());
  EXPECT_EQ(result.counters.cached, 0U);
}

TEST_F(ResolverTest, AnswersTheSameFromTheCache) {
  std::vector<Row> twice = rows();
  twice.pop_back();  // a failure is not kept
  const std::size_t count = twice.size();
  for (std::size_t i = 0; i < count; ++i) twice.push_back(twice[i]);
  std::vector<Question> questions;
  for (const Row& row : twice) questions.push_back(row.question);
  Manner manner;
  manner.at_once = false;
  const Conversation result = converse(forwarding(server_->address()), questions, manner);
  expect_rows(twice, result);
  EXPECT_GE(result.counters.cached, count);
}

TEST_F(ResolverTest, AsksNothingThatIsNoQuestionForDns) {
  const std::string label(63, 'a');
  const std::vector<Question> questions = {
      {QuestionKind::client_list, "192.0.2.1"},
      {QuestionKind::recipient_list, "www.tree.test"},
      filters::dns::a(""),
      filters::dns::a("."),
      filters::dns::a("WWW.tree.test"),
      filters::dns::a("www.tree.test."),
      filters::dns::a("www..tree.test"),
      filters::dns::a(std::string(64, 'a') + ".test"),
      filters::dns::a(label + "." + label + "." + label + "." + label),
      filters::dns::a("\xc3\xa9.test"),
      filters::dns::a(std::string("a\0b.test", 8)),
  };
  const Conversation result = converse(forwarding(server_->address()), questions);
  for (std::size_t i = 0; i < questions.size(); ++i)
    EXPECT_EQ(result.answers[i].status, AnswerStatus::refused) << questions[i].name;
  EXPECT_EQ(result.counters.refused, questions.size());
}

TEST_F(ResolverTest, AnswersHundredsOfQuestionsAtOnce) {
  constexpr std::size_t kQuestions = 500;
  std::vector<Question> questions;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    questions.push_back(i % 50 == 0 ? filters::dns::txt("long.tree.test")
                                    : filters::dns::a(fmt::format("n{}.many.tree.test", i)));
  }
  Manner manner;
  manner.timeout = std::chrono::seconds(20);
  const Conversation result = converse(forwarding(server_->address()), questions, manner);
  for (std::size_t i = 0; i < kQuestions; ++i) {
    ASSERT_EQ(result.answers[i].status, AnswerStatus::data) << i << to_string(result.answers[i].status);
    ASSERT_EQ(result.answers[i].records.size(), 1U);
    EXPECT_EQ(result.answers[i].records[0], i % 50 == 0 ? long_text() : "192.0.2.77");
  }
  EXPECT_EQ(result.counters.data, kQuestions);
  RecordProperty("milliseconds", static_cast<int>(result.asking.count()));
}

TEST_F(ResolverTest, ManyLongAnswersAtOnceTakeTurnsOnFewConnections) {
  constexpr std::size_t kQuestions = 100;
  std::vector<Question> questions(kQuestions, filters::dns::txt("long.tree.test"));
  std::vector<Row> expected(kQuestions, {"", questions[0], AnswerStatus::data, {long_text()}});
  expect_rows(expected, converse(forwarding(server_->address()), questions));
}

TEST_F(ResolverTest, RefusesWhatIsOneTooMany) {
  ResolverOptions options = forwarding(server_->address());
  options.questions_max = 10;
  std::vector<Question> questions;
  for (int i = 0; i < 11; ++i) questions.push_back(filters::dns::a(fmt::format("m{}.many.tree.test", i)));
  const Conversation result = converse(options, questions);
  EXPECT_EQ(result.counters.data, 10U);
  EXPECT_EQ(result.counters.too_many, 1U);
  EXPECT_EQ(result.answers.back().status, AnswerStatus::servfail);
}

}  // namespace
}  // namespace postern::dns
