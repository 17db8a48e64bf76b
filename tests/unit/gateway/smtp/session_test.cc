// The order of commands: RFC 5321 §4.1.4, and RFC 2920's groups.
#include "gateway/smtp/session.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/smtp/dialogue.h"

namespace postern::smtp {
namespace {

using test::Dialogue;
using test::expect_dialogue;
using test::kEnvelope;
using test::kHello;
using test::small_options;
using test::visit;
using test::visit_pieces;

const Dialogue kDialogues[] = {
    {"nothing said", "", {"220 mx.test.example ESMTP Postern"}},
    {"the whole of it",
     kEnvelope + "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n",
     {"220", "250 mx.test.example", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221 2.0.0"},
     {"a@client.example > b@test.example: Subject: x\r\n\r\nx\r\n"},
     "quit"},
    {"HELO",
     "HELO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@test.example>\r\nDATA\r\n.\r\n",
     {"220", "250 mx.test.example", "250", "250", "354", "250"},
     {" > b@test.example: "}},
    {"MAIL before EHLO", "MAIL FROM:<>\r\n", {"220", "503 5.5.1"}},
    {"RCPT before EHLO", "RCPT TO:<b@test.example>\r\n", {"220", "503 5.5.1"}},
    {"RCPT before MAIL", kHello + "RCPT TO:<b@test.example>\r\n", {"220", "250", "503 5.5.1"}},
    {"DATA before MAIL", kHello + "DATA\r\n", {"220", "250", "503 5.5.1"}},
    {"DATA before RCPT",
     kHello + "MAIL FROM:<>\r\nDATA\r\nRCPT TO:<b@test.example>\r\n",
     {"220", "250", "250", "554 5.5.1", "250 2.1.5"}},
    {"DATA after refused recipients",
     kHello + "MAIL FROM:<>\r\nRCPT TO:<refused@test.example>\r\nDATA\r\nRSET\r\n",
     {"220", "250", "250", "550 5.1.1", "554 5.5.1", "250 2.0.0"}},
    {"MAIL within a transaction",
     kHello + "MAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT TO:<b@test.example>\r\n",
     {"220", "250", "250", "503 5.5.1", "250"}},
    {"MAIL after a refused MAIL",
     kHello + "MAIL FROM:<refused@client.example>\r\nRCPT TO:<b@test.example>\r\nMAIL FROM:<>\r\n",
     {"220", "250", "550 5.1.8", "503", "250"}},
    {"RSET",
     kHello + "RSET\r\nMAIL FROM:<>\r\nRSET\r\nRCPT TO:<b@test.example>\r\n",
     {"220", "250", "250 2.0.0", "250", "250 2.0.0", "503"}},
    {"RSET before EHLO", "RSET\r\n", {"220", "250 2.0.0"}},
    {"EHLO is RSET",
     kHello + "MAIL FROM:<>\r\n" + kHello + "RCPT TO:<b@test.example>\r\n",
     {"220", "250", "250", "250", "503"}},
    {"a refused EHLO changes nothing",
     kHello + "MAIL FROM:<>\r\nEHLO\r\nEHLO refused.example\r\nRCPT TO:<b@test.example>\r\n",
     {"220", "250", "250", "501 5.5.4", "550 5.7.1", "250"}},
    {"HELO after EHLO takes the extensions away",
     kHello + "HELO client.example\r\nMAIL FROM:<> SIZE=1\r\n",
     {"220", "250", "250", "555 5.5.4"}},
    {"LHLO is for LMTP", "LHLO client.example\r\n", {"220", "500 5.5.1"}},
    {"no argument wanted",
     kHello + "RSET now\r\nDATA now\r\nQUIT now\r\nSTARTTLS now\r\n",
     {"220", "250", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}},
    {"blanks behind the command",
     "EHLO client.example  \r\nRSET \t\r\nMAIL FROM:<> \r\n",
     {"220", "250", "250", "250"}},
    {"talk",
     "NOOP\r\nNOOP well, well\r\nHELP\r\nHELP MAIL\r\nVRFY alice\r\nVRFY\r\nEXPN all\r\n",
     {"220", "250 2.0.0", "250 2.0.0", "214", "214", "252", "501", "502 5.5.1"}},
    {"unknown",
     "FROB\r\n\r\nX\r\nQUITE\r\nTURN\r\nETRN x\r\nAUTH PLAIN\r\nSEND FROM:<>\r\n",
     {"220", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1",
      "500 5.5.1"}},
    {"nothing behind QUIT", "QUIT\r\n" + kEnvelope, {"220", "221 2.0.0"}, {}, "quit"},
    {"QUIT in a transaction", kEnvelope + "QUIT\r\n", {"220", "250", "250", "250", "221"}, {}, "quit"},
    {"a null path and postmaster",
     kHello + "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<>\r\nDATA\r\nx\r\n.\r\n",
     {"220", "250", "250", "250", "501 5.1.3", "354", "250"},
     {" > postmaster: x\r\n"}},
    {"source routes are ignored",
     kHello + "MAIL FROM:<@one.example:a@client.example>\r\nRCPT "
              "TO:<@a.example,@b.example:b@test.example>\r\nDATA\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {"a@client.example > b@test.example: "}},
    {"quoted local parts and literals",
     kHello + "MAIL FROM:<\"a b\"@[192.0.2.1]>\r\nRCPT TO:<\"b\\>\"@[IPv6:2001:db8::1]>\r\nDATA\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {"\"a b\"@[192.0.2.1] > \"b>\"@[IPv6:2001:db8::1]: "}},
    {"another code from the house",
     kHello + "MAIL FROM:<>\r\nRCPT TO:<forward@test.example>\r\nRCPT TO:<later@test.example>\r\n",
     {"220", "250", "250", "251 2.1.5", "451 4.1.1"}},
    {"421 from the house closes",
     kHello + "MAIL FROM:<>\r\nRCPT TO:<hangup@test.example>\r\nNOOP\r\n",
     {"220", "250", "250", "421 4.1.1"},
     {},
     "policy"},
    {"several messages",
     kEnvelope + "DATA\r\n1\r\n.\r\n" +
         "MAIL FROM:<c@client.example>\r\nRCPT TO:<d@test.example>\r\nDATA\r\n2\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250", "250", "250", "354", "250"},
     {"a@client.example > b@test.example: 1\r\n", "c@client.example > d@test.example: 2\r\n"}},
    {"a refused message, then another",
     kEnvelope + "DATA\r\nSPAM\r\n.\r\nRCPT TO:<b@test.example>\r\nMAIL FROM:<>\r\n",
     {"220", "250", "250", "250", "354", "550 5.7.1", "503", "250"}},
    {"a message put off",
     kEnvelope + "DATA\r\nFULL\r\n.\r\n",
     {"220", "250", "250", "250", "354", "452 4.3.1"}},
    {"DATA refused: what follows are commands",
     kHello + "MAIL FROM:<nodata@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nNOOP\r\nRSET\r\n",
     {"220", "250", "250", "250", "451 4.3.2", "250", "250"}},
    {"a group with refusals inside",
     kHello +
         "MAIL FROM:<>\r\nRCPT TO:<refused@test.example>\r\nFROB\r\nRCPT TO:<b@test.example>\r\nNOOP\r\n",
     {"220", "250", "250", "550", "500", "250", "250"}},
    {"NUL in a command",
     kHello + std::string("MAIL FROM:<a\0b@client.example>\r\nNOOP\r\n", 38),
     {"220", "250", "500 5.5.2", "250"}},
    {"controls are not echoed", "FROB \x1b[2J\r\nNOOP a\x7f\r\n", {"220", "500 5.5.2", "500 5.5.2"}},
    {"eight bits outside addresses",
     "EHLO b\xc3\xbc"
     "cher.example\r\nNOOP \xff\r\n",
     {"220", "500 5.5.2", "500 5.5.2"}},
    {"CR alone is no end", "NOOP\rNOOP\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
    {"two CR", "NOOP\r\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
    {"GET", "GET / HTTP/1.1\r\nHost: mx.test.example\r\n\r\n", {"220", "421 4.7.0"}, {}, "http"},
    {"a form", "POST / HTTP/1.1\r\nHost: a\r\n\r\n" + kEnvelope, {"220", "421 4.7.0"}, {}, "http"},
    {"HTTP later on",
     kHello + "GET / HTTP/1.1\r\n" + "MAIL FROM:<>\r\n",
     {"220", "250", "421 4.7.0"},
     {},
     "http"},
    {"SSH", "SSH-2.0-x\r\n", {"220"}, {}, "ssh"},
    {"a TLS ClientHello", std::string("\x16\x03\x01\x00\x05hello\n", 11), {"220"}, {}, "tls"},
};

TEST(Session, Dialogues) {
  for (const Dialogue& dialogue : kDialogues) expect_dialogue(dialogue, small_options());
}

TEST(Session, OneReplyForOneLineWhateverBareLineFeedsItHolds) {
  const Dialogue rejected[] = {
      {"LF inside", "NOOP\nNOOP\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
      {"LF LF inside", "NOOP\n\nNOOP\r\nNOOP\r\n", {"220", "500 5.5.2", "250"}},
      {"nothing behind a bare LF is run",
       kEnvelope + "NOOP\nDATA\r\nNOOP\r\n",
       {"220", "250", "250", "250", "500", "250"}},
      {"BDAT with a bare LF",
       kEnvelope + "BDAT 5\nabcde\r\nNOOP\r\n",
       {"220", "250", "250", "250", "500", "421 4.7.0"},
       {},
       "bdat"},
      {"BDAT behind a bare LF",
       kEnvelope + "NOOP\nBDAT 5\r\nabcde\r\n",
       {"220", "250", "250", "250", "500", "421 4.7.0"},
       {},
       "bdat"},
      {"QUIT after a BDAT with a bare LF",
       kEnvelope + "BDAT 5\nQUIT\r\n",
       {"220", "250", "250", "250", "500", "221"},
       {},
       "quit"},
  };
  for (const Dialogue& dialogue : rejected) expect_dialogue(dialogue, small_options());
  SessionOptions options = small_options();
  options.bare_line_endings = BareLineEndings::normalize;
  expect_dialogue({"normalized", "NOOP\nNOOP\r\nQUIT\n", {"220", "250", "250", "221"}, {}, "quit"}, options);
  EXPECT_EQ(visit(options, "NOOP\nNOOP\r\nNOOP\n").counts.bare_line_endings, 2u);
}

TEST(Session, EhloNamesTheExtensions) {
  SessionOptions options = small_options();
  const std::string all = visit(options, kHello).output;
  for (const std::string_view keyword :
       {"250-mx.test.example\r\n", "250-PIPELINING\r\n", "250-SIZE 200\r\n", "250-8BITMIME\r\n",
        "250-SMTPUTF8\r\n", "250-CHUNKING\r\n", "250-BINARYMIME\r\n", "250-DSN\r\n", "250-STARTTLS\r\n",
        "250-LIMITS RCPTMAX=1000 MAILMAX=10000\r\n", "250 ENHANCEDSTATUSCODES\r\n"}) {
    EXPECT_NE(all.find(keyword), std::string::npos) << keyword << all;
  }
  EXPECT_EQ(all.find("XCLIENT"), std::string::npos);
  EXPECT_EQ(visit(options, "HELO client.example\r\n").output,
            "220 mx.test.example ESMTP Postern\r\n250 mx.test.example\r\n");
  options.tls_available = false;
  options.local_network = true;
  const std::string fewer = visit(options, kHello).output;
  EXPECT_EQ(fewer.find("STARTTLS"), std::string::npos);
  EXPECT_NE(fewer.find("250-LIMITS RCPTMAX=1000\r\n"), std::string::npos);
}

TEST(Session, RefusedAtConnectOnlyQuitHelps) {
  test::House house;
  house.connect_refused = true;
  expect_dialogue({"refused",
                   kHello + "MAIL FROM:<>\r\nBDAT 3\r\nabcSTARTTLS\r\nQUIT\r\n",
                   {"554 5.7.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "221"},
                   {},
                   "quit"},
                  small_options(), house);
}

TEST(Session, AnswersOnlyWhatIsTheHousesToGive) {
  Session session(small_options(), {}, nullptr);
  const auto answered = [&](Reply reply) {
    session.decide(std::move(reply));
    session.next();
    return session.take_output();
  };
  EXPECT_TRUE(std::holds_alternative<Ask>(session.next()));
  EXPECT_EQ(answered({220, "", "mx.test.example here"}), "220 mx.test.example here\r\n");
  session.feed("EHLO client.example\r\n");
  session.next();
  answered({250, "", ""});
  session.feed("MAIL FROM:<a@client.example>\r\n");
  session.next();
  EXPECT_EQ(session.pending_mail().path.mailbox.local, "a");
  EXPECT_EQ(session.mail(), nullptr);
  EXPECT_EQ(answered({0, "", ""}), "451 4.3.0 Internal error, try again\r\n")
      << "a mistake of ours is temporary";
  session.feed("MAIL FROM:<a@client.example>\r\n");
  session.next();
  EXPECT_EQ(answered({354, "", ""}), "451 4.3.0 Internal error, try again\r\n")
      << "an intermediate reply stands behind DATA only";
  session.decide({250, "", ""});
  EXPECT_FALSE(session.has_output()) << "nobody asked";
}

TEST(Session, TellsTheHouseWhatItIsAskedAbout) {
  Session session(small_options(), {}, nullptr);
  session.next();
  session.decide({220, "", ""});
  session.feed("EHLO one.example\r\n");
  session.next();
  EXPECT_EQ(session.helo(), "one.example") << "the name that is asked about";
  session.decide({550, "5.7.1", "No"});
  session.next();
  EXPECT_EQ(session.helo(), "") << "refused, so never said";
  session.feed("EHLO two.example\r\nMAIL FROM:<a@client.example> SIZE=10\r\n");
  session.next();
  session.decide({250, "", ""});
  session.next();
  EXPECT_EQ(session.helo(), "two.example");
  EXPECT_EQ(session.pending_mail().size, 10u);
  session.decide({250, "", ""});
  session.next();
  ASSERT_NE(session.mail(), nullptr);
  session.feed("RCPT TO: <@r.example:b@test.example> NOTIFY=NEVER\r\n");
  session.next();
  EXPECT_EQ(session.pending_rcpt_text(), "<@r.example:b@test.example>");
  EXPECT_EQ(session.recipients(), 0u);
  session.decide({250, "", ""});
  EXPECT_EQ(session.recipients(), 1u);
}

TEST(Session, OctetsThatComeWhileTheHouseThinksWait) {
  Session session(small_options(), {}, nullptr);
  session.next();
  std::string buffer = "EHLO client.example\r\nMAIL FROM:<>\r\nNO";
  session.feed(buffer);
  session.decide({220, "", ""});
  session.next();
  session.keep_input();
  buffer.assign(buffer.size(), 'x');  // the driver's buffer is used for something else
  session.feed("OP\r\nQU");
  session.feed("IT\r\n");
  for (int i = 0; i < 2; ++i) {
    session.decide({250, "", ""});
    session.next();
  }
  test::expect_replies(test::replies_in(session.take_output()), {"220", "250", "250", "250 2.0.0", "221"});
  EXPECT_EQ(session.counts().octets_in, buffer.size() + 10);
}

TEST(Session, AnInterruptionHasTheLastWord) {
  smtp::BodyBudget budget(1 << 20);
  for (const std::string& wire :
       {std::string(), kHello + "MAIL FR", kEnvelope + "DATA\r\nabc", kEnvelope + "BDAT 10\r\nabc"}) {
    SCOPED_TRACE(wire);
    test::VisitDriver driver(small_options(), {}, &budget);
    driver.feed(wire);
    driver.interrupt({421, "4.4.2", "Timeout"}, "timeout");
    const test::Visit visit = driver.finish();
    EXPECT_TRUE(visit.output.ends_with("\r\n421 4.4.2 Timeout\r\n")) << visit.output;
    EXPECT_EQ(visit.close_cause, "timeout");
    EXPECT_EQ(budget.used(), 0u);
  }
}

TEST(Session, KnowsItsCommandBoundaries) {
  const auto boundary_after = [](const std::string& wire) {
    test::VisitDriver driver(small_options(), {}, nullptr);
    driver.feed(wire);
    return driver.session().at_command_boundary();
  };
  EXPECT_TRUE(boundary_after(""));
  EXPECT_TRUE(boundary_after(kEnvelope));
  EXPECT_FALSE(boundary_after("EH"));
  EXPECT_FALSE(boundary_after(kEnvelope + "DATA\r\n"));
  EXPECT_FALSE(boundary_after(kEnvelope + "BDAT 5\r\nab"));
  EXPECT_FALSE(boundary_after(kEnvelope + "BDAT 2\r\nab")) << "more of the message will come";
  EXPECT_TRUE(boundary_after(kEnvelope + "BDAT 2 LAST\r\nab"));
}

TEST(Session, NoticesWhoDoesNotWait) {
  EXPECT_FALSE(visit_pieces(small_options(), {kHello, "MAIL FROM:<>\r\nRCPT TO:<b@test.example>\r\n"})
                   .pipelined_early);
  EXPECT_TRUE(visit_pieces(small_options(), {kHello + "NOOP\r\n"}).pipelined_early)
      << "PIPELINING was not yet told";
  EXPECT_TRUE(visit_pieces(small_options(), {"HELO a\r\n", "NOOP\r\nNOOP\r\n"}).pipelined_early)
      << "nor is it by HELO";
  EXPECT_TRUE(visit_pieces(small_options(), {kEnvelope.substr(0, kHello.size()),
                                             kEnvelope.substr(kHello.size()) + "DATA\r\nx\r\n.\r\n"})
                  .pipelined_early)
      << "354 was not awaited";
}

TEST(Session, CountsAndTheLastRefusal) {
  const test::Visit done =
      visit(small_options(), kHello +
                                 "MAIL FROM:<>\r\nRCPT TO:<refused@test.example>\r\nRCPT "
                                 "TO:<b@test.example>\r\nDATA\r\nx\r\n.\r\nFROB it\r\n");
  EXPECT_EQ(done.counts.commands, 6u);
  EXPECT_EQ(done.counts.errors, 2u);
  EXPECT_EQ(done.counts.transactions, 1u);
  EXPECT_EQ(done.counts.accepted, 1u);
  EXPECT_EQ(done.counts.recipients, 1u);
  EXPECT_EQ(done.counts.refused_recipients, 1u);
  EXPECT_EQ(done.counts.octets_out, done.output.size());
  EXPECT_EQ(done.last_refusal, "FROB it -> 500 5.5.1 Command not recognized");
}

}  // namespace
}  // namespace postern::smtp
