// Every limit by its name: at it, and one beyond.
#include <gtest/gtest.h>

#include "tests/unit/gateway/smtp/dialogue.h"

namespace postern::smtp {
namespace {

using test::Dialogue;
using test::expect_dialogue;
using test::expect_replies;
using test::kEnvelope;
using test::kHello;
using test::replies_in;
using test::small_options;
using test::visit;

std::string times(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(SessionLimits, CommandOctets) {
  SessionOptions options = small_options();
  options.limits.command_octets_max = 100;
  expect_dialogue({"at the limit", "NOOP " + std::string(93, 'x') + "\r\nNOOP\r\n", {"220", "250", "250"}},
                  options);
  expect_dialogue({"one more", "NOOP " + std::string(94, 'x') + "\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
                  options);
  expect_dialogue(
      {"far more", "NOOP " + std::string(5000, 'x') + "\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}}, options);
  expect_dialogue(
      {"with a bare LF", "NOOP " + std::string(500, 'x') + "\nNOOP\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
      options);
  expect_dialogue({"a long BDAT",
                   kEnvelope + "BDAT " + std::string(500, '1') + "\r\nabc\r\n",
                   {"220", "250", "250", "250", "500", "421"},
                   {},
                   "bdat"},
                  options);
  expect_dialogue(
      {"a long request", "GET /" + std::string(500, 'x') + " HTTP/1.1\r\n", {"220", "421"}, {}, "http"},
      options);
}

TEST(SessionLimits, ALineWithoutEnd) {
  test::VisitDriver driver(small_options(), {}, nullptr);
  const std::string piece(65536, 'x');
  std::size_t sent = 0;
  while (driver.feed(piece) && sent < (8u << 20)) sent += piece.size();
  const test::Visit done = driver.finish();
  EXPECT_EQ(done.close_cause, "line");
  EXPECT_LE(sent, 1u << 20);
  expect_replies(replies_in(done.output), {"220", "421 4.7.0"});
}

TEST(SessionLimits, Recipients) {
  SessionOptions options = small_options();
  options.limits.recipients_max = 3;
  const std::string rcpt = "RCPT TO:<b@test.example>\r\n";
  expect_dialogue({"the fourth is put off, the others get the message",
                   kHello + "MAIL FROM:<>\r\n" + times(rcpt, 2) + "RCPT TO:<refused@test.example>\r\n" +
                       times(rcpt, 2) + "DATA\r\n.\r\nMAIL FROM:<>\r\n" + rcpt,
                   {"220", "250", "250", "250", "250", "550", "250", "452 4.5.3", "354", "250", "250", "250"},
                   {" > b@test.example b@test.example b@test.example: "}},
                  options);
}

TEST(SessionLimits, Errors) {
  SessionOptions options = small_options();
  options.limits.errors_max = 3;
  expect_dialogue({"at the limit the session ends",
                   "FROB\r\nFROB\r\nNOOP\r\nFROB\r\nNOOP\r\n",
                   {"220", "500", "500", "250", "500", "421 4.7.0"},
                   {},
                   "errors"},
                  options);
  expect_dialogue({"one fewer", "FROB\r\nFROB\r\nNOOP\r\n", {"220", "500", "500", "250"}}, options);
  expect_dialogue({"what is put off is no error",
                   kHello + "MAIL FROM:<>\r\n" + times("RCPT TO:<later@test.example>\r\n", 4),
                   {"220", "250", "250", "451", "451", "451", "451"}},
                  options);
  expect_dialogue({"refused recipients are",
                   kHello + "MAIL FROM:<>\r\n" + times("RCPT TO:<refused@test.example>\r\n", 4),
                   {"220", "250", "250", "550", "550", "550", "421"},
                   {},
                   "errors"},
                  options);
  options.local_network = true;
  expect_dialogue({"who is exempt", times("FROB\r\n", 5), {"220", "500", "500", "500", "500", "500"}},
                  options);
}

TEST(SessionLimits, Commands) {
  SessionOptions options = small_options();
  options.limits.commands_max = 4;
  expect_dialogue({"at the limit",
                   times("NOOP\r\n", 4) + "QUIT\r\n",
                   {"220", "250", "250", "250", "250", "221"},
                   {},
                   "quit"},
                  options);
  expect_dialogue({"one more",
                   times("NOOP\r\n", 5) + "NOOP\r\n",
                   {"220", "250", "250", "250", "250", "421 4.7.0"},
                   {},
                   "commands"},
                  options);
  options.local_network = true;
  expect_dialogue({"who is exempt", times("NOOP\r\n", 6), {"220", "250", "250", "250", "250", "250", "250"}},
                  options);
}

TEST(SessionLimits, IdleCommands) {
  SessionOptions options = small_options();
  options.limits.idle_commands_max = 3;
  expect_dialogue(
      {"one too many", times("NOOP\r\n", 4), {"220", "250", "250", "250", "421 4.7.0"}, {}, "idle"}, options);
  expect_dialogue({"mail makes up for it",
                   kHello + "NOOP\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nNOOP\r\nMAIL FROM:<>\r\n",
                   {"220", "250", "250", "250", "250", "250", "250", "250", "250"}},
                  options);
  expect_dialogue({"lines too long count",
                   times("NOOP " + std::string(3000, 'x') + "\r\n", 3) + "NOOP\r\n",
                   {"220", "500", "500", "500", "421"},
                   {},
                   "idle"},
                  options);
}

TEST(SessionLimits, Transactions) {
  SessionOptions options = small_options();
  options.limits.transactions_max = 2;
  const std::string mail = "MAIL FROM:<>\r\nRSET\r\n";
  expect_dialogue({"one too many",
                   kHello + mail + mail + mail,
                   {"220", "250", "250", "250", "250", "250", "421 4.7.0"},
                   {},
                   "transactions"},
                  options);
  options.local_network = true;
  expect_dialogue({"who is exempt",
                   kHello + mail + mail + mail,
                   {"220", "250", "250", "250", "250", "250", "250", "250"}},
                  options);
}

TEST(SessionLimits, TextLineOctets) {
  SessionOptions options = small_options();
  options.limits.text_line_octets_max = 20;
  expect_dialogue({"at the limit",
                   kEnvelope + "DATA\r\n" + std::string(18, 'x') + "\r\n.\r\n",
                   {"220", "250", "250", "250", "354", "250"},
                   {"a@client.example > b@test.example: " + std::string(18, 'x') + "\r\n"}},
                  options);
  expect_dialogue({"one more",
                   kEnvelope + "DATA\r\n" + std::string(19, 'x') + "\r\n.\r\nNOOP\r\n",
                   {"220", "250", "250", "250", "354", "554 5.6.0", "250"}},
                  options);
}

TEST(SessionLimits, SizeAnnouncedAtMail) {
  expect_dialogue({"at the limit and over",
                   kHello + "MAIL FROM:<> SIZE=201\r\nMAIL FROM:<> SIZE=200\r\n",
                   {"220", "250", "552 5.3.4", "250"}},
                  small_options());
}

TEST(SessionLimits, DataWithoutEnd) {
  BodyBudget budget(1 << 20);
  test::VisitDriver driver(small_options(), {}, &budget);
  driver.feed(kEnvelope + "DATA\r\n");
  const std::string piece(4 << 20, 'x');
  std::uint64_t sent = 0;
  while (driver.feed(piece) && sent < (1u << 30)) {
    sent += piece.size();
    ASSERT_EQ(budget.used(), 0u) << "what is too large is not kept";
  }
  const test::Visit done = driver.finish();
  EXPECT_EQ(done.close_cause, "data");
  EXPECT_LE(sent, 257u << 20);
  EXPECT_TRUE(done.messages.empty());
}

TEST(SessionLimits, MemoryOfAllSessions) {
  BodyBudget budget(5000);
  SessionOptions options = small_options();
  options.limits.message_octets_max = 100'000;
  ASSERT_TRUE(budget.take(2000));  // other sessions
  test::VisitDriver driver(options, {}, &budget);
  driver.feed(kEnvelope + "DATA\r\n" + std::string(4000, 'x') + "\r\n.\r\n");
  driver.feed("MAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nsmall\r\n.\r\n");
  driver.feed("MAIL FROM:<>\r\nRCPT TO:<b@test.example>\r\nBDAT 4000\r\n" + std::string(4000, 'x') +
              "RSET\r\n");
  expect_replies(replies_in(driver.finish().output), {"220", "250", "250", "250", "354", "452 4.3.1", "250",
                                                      "250", "354", "250", "250", "250", "452 4.3.1", "250"});
  EXPECT_EQ(budget.used(), 2000u);
}

TEST(SessionLimits, Timeouts) {
  SessionOptions options = small_options();
  options.limits.command_timeout = std::chrono::seconds(7);
  options.limits.data_timeout = std::chrono::seconds(9);
  Session session(options, {}, nullptr);
  session.next();
  session.decide({220, "", ""});
  EXPECT_EQ(std::get<NeedInput>(session.next()).timeout.count(), 7);
  const std::string wire = kEnvelope + "DATA\r\n";
  session.feed(wire);
  for (int i = 0; i < 4; ++i) {
    session.next();
    session.decide({250, "", ""});
  }
  EXPECT_EQ(std::get<NeedInput>(session.next()).timeout.count(), 9);
}

}  // namespace
}  // namespace postern::smtp
