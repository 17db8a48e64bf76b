// What is left of a visit: its log line and its figures.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/smtp/server/figures.h"
#include "tests/unit/gateway/smtp_server/fixture.h"

namespace postern::test {
namespace {

class Record : public SmtpServerTest {
 protected:
  std::vector<nlohmann::json> sessions() {
    EXPECT_TRUE(connections_become(0));
    std::vector<nlohmann::json> found;
    std::istringstream lines(log_text());
    for (std::string line; std::getline(lines, line);) {
      auto json = nlohmann::json::parse(line, nullptr, false);
      EXPECT_FALSE(json.is_discarded()) << line;
      if (json["event"] == "session") found.push_back(std::move(json));
    }
    return found;
  }
};

TEST_F(Record, HasOneLineForASession) {
  house.decide = [](smtp::Stage stage, const smtp::VisitFacts& facts) -> std::optional<smtp::Decision> {
    if (stage != smtp::Stage::rcpt || facts.session.pending_rcpt().path.mailbox.local != "nobody")
      return std::nullopt;
    return smtp::Decision{.reply = {550, "5.1.1", "No such address"}};
  };
  start();
  Client client = greeted();
  const std::string talk =
      "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\n"
      "RCPT TO:<nobody@test.example>\r\nDATA\r\nText\r\n.\r\nQUIT\r\n";
  client.send(talk);
  const std::string heard = client.rest();
  const auto all = sessions();
  ASSERT_EQ(all.size(), 1U);
  const nlohmann::json& line = all[0];
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["sid"].get<std::string>().size(), 12U);
  EXPECT_EQ(line["listener"], "mx test");
  EXPECT_EQ(line["ip"], "127.0.0.1");
  EXPECT_GT(line["port"].get<int>(), 0);
  EXPECT_EQ(line["helo"], "client.example");
  EXPECT_EQ(line["tls"], "");
  EXPECT_EQ(line["protocol"], "ESMTP");
  EXPECT_EQ(line["commands"], 6);
  EXPECT_EQ(line["errors"], 1);
  EXPECT_EQ(line["transactions"], 1);
  EXPECT_EQ(line["accepted"], 1);
  EXPECT_EQ(line["recipients"], 1);
  EXPECT_EQ(line["refused_recipients"], 1);
  EXPECT_EQ(line["octets_in"], talk.size());
  EXPECT_EQ(line["octets_out"],
            heard.size() + std::string_view("220 mx.test.example ESMTP Postern\r\n").size());
  EXPECT_EQ(line["cause"], "quit");
  EXPECT_EQ(line["last_refusal"], "RCPT TO:<nobody@test.example> -> 550 5.1.1 No such address");
  EXPECT_TRUE(line.contains("duration_ms"));
  EXPECT_FALSE(line.contains("proxy"));
  EXPECT_FALSE(line.contains("early_talker"));
}

TEST_F(Record, QuotesNoAddressesWhereTheLogMayNotShowThem) {
  house.terms_of_all.log_addresses = false;
  start();
  Client client = greeted();
  client.send("EHLO client.example\r\nMAIL FROM:<someone@secret.example> NONSENSE\r\nQUIT\r\n");
  (void)client.rest();
  const auto all = sessions();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["last_refusal"], "MAIL -> 555 5.5.4");
  EXPECT_EQ(log_text().find("secret.example"), std::string::npos);
}

struct LevelCase {
  std::string_view name, talk, level;
};

constexpr LevelCase kLevelCases[] = {
    {"QUIT at once", "QUIT\r\n", "debug"},
    {"EHLO and QUIT", "EHLO check.example\r\nQUIT\r\n", "debug"},
    {"gone without a word", "", "debug"},
    {"a mistake", "EHLO check.example\r\nWHAT\r\nQUIT\r\n", "info"},
    {"MAIL", "EHLO check.example\r\nMAIL FROM:<>\r\nQUIT\r\n", "info"},
};

TEST_F(Record, HealthChecksAreNoNews) {
  start();
  for (const LevelCase& c : kLevelCases) {
    SCOPED_TRACE(c.name);
    const std::size_t before = sessions().size();
    Client client = greeted();
    client.send(c.talk);
    client.finish_sending();
    (void)client.rest();
    const auto all = sessions();
    ASSERT_EQ(all.size(), before + 1);
    EXPECT_EQ(all.back()["level"], c.level);
  }
}

TEST_F(Record, GivesEverySessionAnIdOfItsOwn) {
  start();
  for (int i = 0; i < 40; ++i) EXPECT_EQ(greeted().say("QUIT").substr(0, 3), "221");
  std::set<std::string> ids;
  for (const auto& line : sessions()) ids.insert(line["sid"].get<std::string>());
  EXPECT_EQ(ids.size(), 40U);
}

TEST_F(Record, CountsConnectionsSessionsCommandsAndRefusals) {
  start();
  Client client = greeted();
  EXPECT_TRUE(figures_say("postern_smtp_connections{listener=\"mx test\"} 1\n"));
  client.send(
      "EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT "
      "TO:<b@test.example>\r\nDATA\r\nText\r\n.\r\n"
      "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nBDAT 2 LAST\r\nabRCPT "
      "TO:<x@test.example>\r\n"
      "MAIL FROM:<a b>\r\nSAY something rude\r\nSAY something else\r\nQUIT\r\n");
  (void)client.rest();
  ASSERT_TRUE(connections_become(0));
  const std::string figures = registry.render();
  for (const std::string_view expected : {
           "postern_smtp_connections{listener=\"mx test\"} 0\n",
           "postern_smtp_sessions_total{listener=\"mx test\",result=\"quit\"} 1\n",
           "postern_smtp_commands_total{verb=\"EHLO\",code=\"250\"} 1\n",
           "postern_smtp_commands_total{verb=\"MAIL\",code=\"250\"} 2\n",
           "postern_smtp_commands_total{verb=\"MAIL\",code=\"501\"} 1\n",
           "postern_smtp_commands_total{verb=\"RCPT\",code=\"250\"} 2\n",
           "postern_smtp_commands_total{verb=\"RCPT\",code=\"503\"} 1\n",
           "postern_smtp_commands_total{verb=\"DATA\",code=\"354\"} 1\n",
           "postern_smtp_commands_total{verb=\"DATA\",code=\"250\"} 1\n",
           "postern_smtp_commands_total{verb=\"BDAT\",code=\"250\"} 1\n",
           "postern_smtp_commands_total{verb=\"unknown\",code=\"500\"} 2\n",
           "postern_smtp_commands_total{verb=\"QUIT\",code=\"221\"} 1\n",
           "postern_smtp_rejects_total{stage=\"rcpt\",reason=\"protocol\",code=\"503\"} 1\n",
           "postern_smtp_rejects_total{stage=\"command\",reason=\"protocol\",code=\"500\"} 2\n",
       }) {
    EXPECT_NE(figures.find(expected), std::string::npos) << expected << "\n" << figures;
  }
}

struct SubjectCase {
  std::string_view enhanced, subject;
};

constexpr SubjectCase kSubjectCases[] = {
    {"5.1.1 No such address", "address"},
    {"4.2.2", "mailbox"},
    {"4.3.2", "system"},
    {"4.4.2", "network"},
    {"5.5.1 Bad", "protocol"},
    {"5.6.0", "content"},
    {"5.7.26", "policy"},
    {"5.0.0", "other"},
    {"5.9.1", "other"},
    {"", "other"},
    {"5.1", "other"},
    {"Hello there", "other"},
};

TEST(Figures, NameTheSubjectOfARefusal) {
  for (const SubjectCase& c : kSubjectCases) EXPECT_EQ(smtp::subject_of(c.enhanced), c.subject) << c.enhanced;
}

TEST(Figures, ReadTheCodeOfAReply) {
  EXPECT_EQ(smtp::reply_code("250 Ok\r\n"), 250);
  EXPECT_EQ(smtp::reply_code("421"), 421);
  EXPECT_EQ(smtp::reply_code("42"), 0);
  EXPECT_EQ(smtp::reply_code("2x0 "), 0);
}

}  // namespace
}  // namespace postern::test
