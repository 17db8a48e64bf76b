#include "gateway/control/scan.h"

#include <gtest/gtest.h>

namespace postern::control {
namespace {

constexpr reactor::UtcTime kNow{std::chrono::milliseconds(1'795'521'600'123)};

TEST(ScanEnvelope, TakesWhatWasGiven) {
  const auto envelope = scan_envelope({.ip = "2001:db8::1",
                                       .helo = "client.example",
                                       .mail_from = "A.B@Client.Example",
                                       .rcpt = {"\xC3\xBC@b.example", "c@b.example"}},
                                      "mx.example", kNow);
  ASSERT_TRUE(envelope.has_value());
  EXPECT_EQ(envelope->client_ip.text(), "2001:db8::1");
  EXPECT_EQ(envelope->helo, "client.example");
  EXPECT_EQ(envelope->mail_from, "A.B@client.example");
  EXPECT_EQ(envelope->recipients, (std::vector<std::string>{"\xC3\xBC@b.example", "c@b.example"}));
  EXPECT_EQ(envelope->receiving_host, "mx.example");
  EXPECT_EQ(envelope->received_at, kNow);
  EXPECT_TRUE(envelope->smtputf8);
}

TEST(ScanEnvelope, NothingGivenIsTheNullSenderFromNowhere) {
  const auto envelope = scan_envelope({.mail_from = "<>"}, "mx.example", kNow);
  ASSERT_TRUE(envelope.has_value());
  EXPECT_TRUE(envelope->client_ip.empty());
  EXPECT_EQ(envelope->mail_from, "");
  EXPECT_FALSE(envelope->smtputf8);
}

struct Wrong {
  std::string_view name;
  ScanParameters parameters;
  std::string_view says;
};

TEST(ScanEnvelope, NamesTheParameterThatIsWrong) {
  const Wrong cases[] = {
      {"no address", {.ip = "192.0.2"}, "ip: \"192.0.2\""},
      {"a network", {.ip = "192.0.2.0/24"}, "ip: "},
      {"no sender", {.mail_from = "nobody"}, "mail-from: \"nobody\""},
      {"no recipient", {.rcpt = {"a@b.example", "@b.example"}}, "rcpt: \"@b.example\""},
  };
  for (const Wrong& c : cases) {
    SCOPED_TRACE(c.name);
    const auto envelope = scan_envelope(c.parameters, "mx.example", kNow);
    ASSERT_FALSE(envelope.has_value());
    EXPECT_TRUE(envelope.error().starts_with(c.says)) << envelope.error();
  }
}

TEST(AsReceived, GivesFilesTheLineEndsOfTheWire) {
  EXPECT_EQ(as_received("a: b\n\nc\n"), "a: b\r\n\r\nc\r\n");
  EXPECT_EQ(as_received("a: b\r\n\nc"), "a: b\r\n\nc");  // not a file: judged as it is
  EXPECT_EQ(as_received("a"), "a");
  EXPECT_EQ(as_received(""), "");
}

TEST(MailboxKey, IsTheNormalForm) {
  EXPECT_EQ(mailbox_key("\"anna\"@B.Example").value(), "anna@b.example");
  EXPECT_FALSE(mailbox_key("anna").has_value());
}

}  // namespace
}  // namespace postern::control
