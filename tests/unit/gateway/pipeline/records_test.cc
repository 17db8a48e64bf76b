// What is kept and told about a message: envelope, decision record, log line, scan.
#include <gtest/gtest.h>

#include "tests/unit/gateway/pipeline/house.h"

namespace postern::pipeline {
namespace {

using nlohmann::json;

std::string with_lists() {
  return std::string(kManifest) +
         "[filter]\nblock_score = 6.0\n[filter.block]\nsenders = [\"@client.example\"]\n";
}

reactor::Task<void> deliver(House& house, const tls::Established* tls, std::string* reply) {
  Client client(house, {.ip = "2001:db8::5", .tls = tls});
  (void)co_await client.say(
      std::string(kHello) +
      "MAIL FROM:<j\xC3\xB6rg@client.example> SMTPUTF8 BODY=8BITMIME SIZE=300 RET=HDRS ENVID=E+2B1\r\n"
      "RCPT TO:<\"Al ice\"@any.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+40y.example\r\n"
      "RCPT TO:<INFO@test.example> NOTIFY=NEVER\r\nDATA\r\n");
  *reply = co_await client.say(message_text("records") + ".\r\n");
}

class Records : public testing::Test {
 protected:
  void SetUp() override {
    const tls::Established tls{
        .version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256", .server_name = "mx.test.example"};
    std::string reply;
    test::run(deliver(house_, &tls, &reply));
    ASSERT_TRUE(reply.starts_with("250 ")) << reply;
    const auto entries = house_.store().entries("alice@test.example", "INBOX");
    ASSERT_EQ(entries->size(), 1U);
    id_ = entries->front().id;
  }
  House house_{HouseOptions{.manifest = with_lists()}};
  storage::MessageId id_;
};

TEST_F(Records, TheEnvelopeHoldsWhatWasSaid) {
  const json envelope = json::parse(house_.store().envelope(id_).value());
  EXPECT_EQ(envelope["id"], id_.text());
  EXPECT_EQ(envelope["session"], "s1");
  EXPECT_EQ(envelope["ip"], "2001:db8::5");
  EXPECT_EQ(envelope["helo"], "client.example");
  EXPECT_EQ(envelope["protocol"], "UTF8SMTPS");
  EXPECT_EQ(envelope["tls"]["version"], "TLSv1.3");
  EXPECT_EQ(envelope["tls"]["server_name"], "mx.test.example");
  EXPECT_EQ(envelope["mail_from"], "j\xC3\xB6rg@client.example");
  EXPECT_EQ(envelope["smtputf8"], true);
  EXPECT_EQ(envelope["body"], "8BITMIME");
  EXPECT_EQ(envelope["declared_octets"], 300);
  EXPECT_EQ(envelope["octets"], message_text("records").size());
  EXPECT_EQ(envelope["ret"], "HDRS");
  EXPECT_EQ(envelope["envid"], "E+1");
  ASSERT_EQ(envelope["recipients"].size(), 2U);
  EXPECT_EQ(envelope["recipients"][0]["address"], "\"Al ice\"@any.example");
  EXPECT_EQ(envelope["recipients"][0]["mailbox"], "\"al ice\"@any.example");
  EXPECT_EQ(envelope["recipients"][0]["notify"], json({"SUCCESS", "DELAY"}));
  EXPECT_EQ(envelope["recipients"][0]["orcpt"], "rfc822;x@y.example");
  EXPECT_EQ(envelope["recipients"][1]["mailbox"], "alice@test.example");
  EXPECT_EQ(envelope["recipients"][1]["as_given"], "<INFO@test.example>");
  EXPECT_EQ(envelope["recipients"][1]["notify"], json({"NEVER"}));
}

TEST_F(Records, TheDecisionSaysWhy) {
  const json record = json::parse(house_.store().record(id_).value());
  EXPECT_EQ(record["action"], "tag");
  EXPECT_EQ(record["score"], 6.0);
  EXPECT_EQ(record["required"], 5.0);
  EXPECT_TRUE(record["incomplete"].empty());
  ASSERT_EQ(record["findings"].size(), 1U);
  EXPECT_EQ(record["findings"][0]["name"], "LOCAL_BLOCK_SENDER");
  ASSERT_EQ(record["facts"].size(), 2U);
  EXPECT_EQ(record["facts"][0]["kind"], "sender_list");
  EXPECT_EQ(record["facts"][0]["status"], "data");
  EXPECT_EQ(record["facts"][0]["records"], json({"block:@client.example"}));
  EXPECT_EQ(record["policy"]["tag_score"], 5.0);
  EXPECT_TRUE(record["stage_us"].contains("judge"));
  EXPECT_NE(record["version"], "");
}

TEST_F(Records, TheLogLineSumsUp) {
  const auto events = house_.events("message");
  ASSERT_EQ(events.size(), 1U);
  const json& event = events[0];
  EXPECT_EQ(event["mid"], id_.text());
  EXPECT_EQ(event["sid"], "s1");
  EXPECT_EQ(event["ip"], "2001:db8::5");
  EXPECT_EQ(event["tls"], "TLSv1.3");
  EXPECT_EQ(event["from"], "j\xC3\xB6rg@client.example");
  EXPECT_EQ(event["rcpt"], json({"\"Al ice\"@any.example", "INFO@test.example"}));
  EXPECT_EQ(event["size"], message_text("records").size());
  EXPECT_EQ(event["msgid"], "<1@client.example>");
  EXPECT_EQ(event["score"], 6.0);
  EXPECT_EQ(event["action"], "tag");
  EXPECT_EQ(event["rules"], json({"LOCAL_BLOCK_SENDER"}));
  EXPECT_EQ(event["code"], 250);
  EXPECT_EQ(event["ecode"], "2.0.0");
  EXPECT_EQ(event["reply"], "Message accepted (id " + id_.text() + ")");
  for (const char* stage : {"mail", "rcpt", "analysis", "judge", "store"})
    EXPECT_TRUE(event["stage_us"].contains(stage));
}

reactor::Task<void> scan(House& house, filters::Envelope envelope, std::string message,
                         Pipeline::Scan* result) {
  *result = co_await house.pipeline().scan(std::move(envelope), std::move(message));
}

TEST(Scan, JudgesStageByStage) {
  House house(
      {.manifest = std::string(kManifest) +
                   "[filter.block]\nclients = [\"198.51.100.0/24\"]\nsenders = [\"@blocked.example\"]\n"
                   "recipients = [\"closed@any.example\"]\n"});
  const auto scanned = [&](std::string ip, std::string sender, std::vector<std::string> recipients,
                           std::string message) {
    filters::Envelope envelope;
    envelope.client_ip = *filters::Ip::parse(ip);
    envelope.helo = "client.example";
    envelope.mail_from = std::move(sender);
    envelope.recipients = std::move(recipients);
    Pipeline::Scan result;
    test::run(scan(house, std::move(envelope), std::move(message), &result));
    return result;
  };
  using filters::Action;
  using filters::Stage;
  const auto connect = scanned("198.51.100.7", "a@c.example", {"x@any.example"}, message_text("x"));
  EXPECT_EQ(connect.verdict.action, Action::reject);
  EXPECT_EQ(connect.decided_at, Stage::connect);
  const auto mail = scanned("192.0.2.1", "a@blocked.example", {"x@any.example"}, message_text("x"));
  EXPECT_EQ(mail.decided_at, Stage::mail);
  const auto rcpt =
      scanned("192.0.2.1", "a@c.example", {"x@any.example", "closed@any.example"}, message_text("x"));
  EXPECT_EQ(rcpt.decided_at, Stage::rcpt);
  const auto data = scanned("192.0.2.1", "a@c.example", {"x@any.example"}, message_text("x"));
  EXPECT_EQ(data.verdict.action, Action::accept);
  EXPECT_EQ(data.decided_at, Stage::data);
  EXPECT_EQ(data.facts.answers().size(), 4U);
  EXPECT_TRUE(house.messages("x@any.example").empty());

  const json shape = json::parse(to_json(rcpt));
  EXPECT_EQ(shape["action"], "reject");
  EXPECT_EQ(shape["decided_at"], "rcpt");
  EXPECT_EQ(shape["facts"].size(), 4U);
  for (const char* key : {"score", "required", "reason", "refusal", "findings", "incomplete"})
    EXPECT_TRUE(shape.contains(key)) << key;
}

}  // namespace
}  // namespace postern::pipeline
