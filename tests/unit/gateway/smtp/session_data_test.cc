// DATA, BDAT, what must not pass for the end of data, and LMTP's replies.
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

const std::string kFrom = "a@client.example > b@test.example: ";

const Dialogue kData[] = {
    {"dots",
     kEnvelope + "DATA\r\n..\r\n...\r\n.. \r\n..x\r\nx.\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {kFrom + ".\r\n..\r\n. \r\n.x\r\nx.\r\n"}},
    {"empty", kEnvelope + "DATA\r\n.\r\n", {"220", "250", "250", "250", "354", "250"}, {kFrom}},
    {"commands inside",
     kEnvelope + "DATA\r\nQUIT\r\nRSET\r\n.\r\nNOOP\r\n",
     {"220", "250", "250", "250", "354", "250", "250 2.0.0"},
     {kFrom + "QUIT\r\nRSET\r\n"}},
    {"the next transaction rides behind the end",
     kEnvelope + "DATA\r\n1\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@test.example>\r\nDATA\r\n2\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250", "250", "250", "354", "250"},
     {kFrom + "1\r\n", " > c@test.example: 2\r\n"}},
    {"no end", kEnvelope + "DATA\r\n1\r\n.\r", {"220", "250", "250", "250", "354"}},
    {"as large as allowed",
     kEnvelope + "DATA\r\n" + std::string(198, 'x') + "\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {kFrom + std::string(198, 'x') + "\r\n"}},
    {"one octet more",
     kEnvelope + "DATA\r\n" + std::string(199, 'x') + "\r\n.\r\nMAIL FROM:<>\r\n",
     {"220", "250", "250", "250", "354", "552 5.3.4", "250"}},
    {"far more",
     kEnvelope + "DATA\r\n" + std::string(3000, 'x') + "\r\n.\r\nNOOP\r\n",
     {"220", "250", "250", "250", "354", "552 5.3.4", "250"}},
    {"stuffed dots do not count",
     kEnvelope + "DATA\r\n." + "." + std::string(197, 'x') + "\r\n.\r\n",
     {"220", "250", "250", "250", "354", "250"},
     {kFrom + "." + std::string(197, 'x') + "\r\n"}},
};

TEST(SessionData, Data) {
  for (const Dialogue& dialogue : kData) expect_dialogue(dialogue, small_options());
}

const std::string kChunks = "250 2.0.0 Chunk received";

const Dialogue kBdat[] = {
    {"one chunk",
     kEnvelope + "BDAT 5 LAST\r\nabc\r\nNOOP\r\n",
     {"220", "250", "250", "250", "250", "250 2.0.0 Ok"},
     {kFrom + "abc\r\n"}},
    {"three chunks, the last one empty",
     kEnvelope + "BDAT 3\r\nabcBDAT 2\r\n\r\nBDAT 0 LAST\r\n",
     {"220", "250", "250", "250", kChunks, kChunks, "250"},
     {kFrom + "abc\r\n"}},
    {"empty chunks",
     kEnvelope + "BDAT 0\r\nBDAT 0\r\nBDAT 1 LAST\r\nx",
     {"220", "250", "250", "250", kChunks, kChunks, "250"},
     {kFrom + "x"}},
    {"nothing at all", kEnvelope + "BDAT 0 LAST\r\n", {"220", "250", "250", "250", "250"}, {kFrom}},
    {"dots and commands are content",
     kEnvelope + "BDAT 17 LAST\r\n.\r\nQUIT\r\n..\r\nab\r\nNOOP\r\n",
     {"220", "250", "250", "250", "250", "250"},
     {kFrom + ".\r\nQUIT\r\n..\r\nab\r\n"}},
    {"CRLF across chunks",
     kEnvelope + "BDAT 2\r\na\rBDAT 2 LAST\r\n\nb",
     {"220", "250", "250", "250", kChunks, "250"},
     {kFrom + "a\r\nb"}},
    {"before MAIL its octets are swallowed",
     kHello + "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
     {"220", "250", "503 5.5.1", "503 5.5.1", "250"}},
    {"before EHLO too", "BDAT 6\r\nQUIT\r\nNOOP\r\n", {"220", "503 5.5.1", "250"}},
    {"after HELO too",
     "HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@test.example>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
     {"220", "250", "250", "250", "503 5.5.1", "250"}},
    {"without a recipient",
     kHello + "MAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n",
     {"220", "250", "250", "554 5.5.1", "503 5.5.1", "250"}},
    {"refused by the house",
     kHello + "MAIL FROM:<nodata@client.example>\r\nRCPT TO:<b@test.example>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 "
              "LAST\r\nQUIT\r\nMAIL FROM:<>\r\n",
     {"220", "250", "250", "250", "451 4.3.2", "503 5.5.1", "250"}},
    {"refused, then RSET",
     kHello + "MAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nRCPT TO:<b@test.example>\r\nRSET\r\nMAIL FROM:<>\r\n",
     {"220", "250", "250", "554", "503 5.5.1", "250", "250"}},
    {"DATA after BDAT",
     kEnvelope + "BDAT 3\r\nabcDATA\r\nBDAT 3 LAST\r\ndefMAIL FROM:<>\r\n",
     {"220", "250", "250", "250", kChunks, "503 5.5.1", "503 5.5.1", "250"}},
    {"MAIL and RCPT between chunks",
     kEnvelope + "BDAT 3\r\nabcMAIL FROM:<>\r\nRCPT TO:<c@test.example>\r\nBDAT 3 LAST\r\ndef",
     {"220", "250", "250", "250", kChunks, "503 5.5.1", "503 5.5.1", "250"},
     {kFrom + "abcdef"}},
    {"RSET between chunks",
     kEnvelope + "BDAT 3\r\nabcRSET\r\nBDAT 0 LAST\r\n",
     {"220", "250", "250", "250", kChunks, "250", "503 5.5.1"}},
    {"EHLO between chunks",
     kEnvelope + "BDAT 3\r\nabc" + kHello + "BDAT 0 LAST\r\n",
     {"220", "250", "250", "250", kChunks, "250", "503 5.5.1"}},
    {"NOOP between chunks",
     kEnvelope + "BDAT 3\r\nabcNOOP\r\nBDAT 3 LAST\r\ndef",
     {"220", "250", "250", "250", kChunks, "250", "250"},
     {kFrom + "abcdef"}},
    {"as large as allowed",
     kEnvelope + "BDAT 100\r\n" + std::string(100, 'x') + "BDAT 100 LAST\r\n" + std::string(100, 'y'),
     {"220", "250", "250", "250", kChunks, "250"},
     {kFrom + std::string(100, 'x') + std::string(100, 'y')}},
    {"the second chunk is one octet too large",
     kEnvelope + "BDAT 100\r\n" + std::string(100, 'x') + "BDAT 101 LAST\r\n" + std::string(101, 'y') +
         "MAIL FROM:<>\r\n",
     {"220", "250", "250", "250", kChunks, "552 5.3.4", "250"}},
    {"a chunk too large, more behind it",
     kEnvelope + "BDAT 201\r\n" + std::string(201, 'x') + "BDAT 3\r\nabcBDAT 3 LAST\r\nabcNOOP\r\n",
     {"220", "250", "250", "250", "552 5.3.4", "503", "503", "250"}},
    {"no count",
     kEnvelope + "BDAT ten LAST\r\nQUIT\r\n",
     {"220", "250", "250", "250", "501 5.5.4", "221"},
     {},
     "quit"},
    {"no count, and something that could be content",
     kEnvelope + "BDAT ten LAST\r\nMAIL FROM:<>\r\nNOOP\r\n",
     {"220", "250", "250", "250", "501 5.5.4", "421 4.7.0"},
     {},
     "bdat"},
    {"a count nobody can hold",
     kEnvelope + "BDAT 99999999999999999999 LAST\r\nabc\r\n",
     {"220", "250", "250", "250", "501 5.5.4", "421 4.7.0"},
     {},
     "bdat"},
    {"a count too large to be thrown away",
     kEnvelope + "BDAT 268435457 LAST\r\nabc",
     {"220", "250", "250", "250", "421 4.7.0"},
     {},
     "bdat"},
    {"BINARYMIME keeps every octet",
     kHello + "MAIL FROM:<a@client.example> BODY=BINARYMIME\r\nRCPT TO:<b@test.example>\r\nBDAT 7 "
              "LAST\r\n\r\n\n\r.\r.",
     {"220", "250", "250", "250", "250"},
     {kFrom + "\r\n\n\r.\r."}},
    {"BINARYMIME needs BDAT",
     kHello + "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@test.example>\r\nDATA\r\nNOOP\r\nRSET\r\n",
     {"220", "250", "250", "250", "503 5.5.1", "250", "250"}},
    {"a bare line feed in a chunk",
     kEnvelope + "BDAT 3 LAST\r\na\nbNOOP\r\n",
     {"220", "250", "250", "250", "550 5.6.11", "250"}},
    {"a bare line feed in the first chunk",
     kEnvelope + "BDAT 3\r\na\nbBDAT 3 LAST\r\nabcMAIL FROM:<>\r\n",
     {"220", "250", "250", "250", "550 5.6.11", "503", "250"}},
    {"a CR as the last octet",
     kEnvelope + "BDAT 2 LAST\r\na\rNOOP\r\n",
     {"220", "250", "250", "250", "550 5.6.11", "250"}},
};

TEST(SessionData, Bdat) {
  for (const Dialogue& dialogue : kBdat) expect_dialogue(dialogue, small_options());
}

struct FalseEnd {
  std::string_view name, octets;
  bool clean = false;  ///< holds no bare CR or LF
  std::string_view inside =
      {};  ///< what it is inside the stored message, normalized; empty for clean ones: as it stands
};

constexpr FalseEnd kFalseEnds[] = {
    {"LF . LF", "\n.\n", false, "\r\n.\r\n"},
    {"LF . CRLF", "\n.\r\n", false, "\r\n.\r\n"},
    {"CR . CR", "\r.\r", false, "\r\n.\r\n"},
    {"CR . CRLF", "\r.\r\n", false, "\r\n.\r\n"},
    {"CRLF . LF", "\r\n.\n", false, "\r\n.\r\n"},
    {"CRLF . CR", "\r\n.\r", false, "\r\n.\r\n"},
    {"LF . CR", "\n.\r", false, "\r\n.\r\n"},
    {"LF CR . CRLF", "\n\r.\r\n", false, "\r\n\r\n.\r\n"},
    {"CRLF . CR CRLF", "\r\n.\r\r\n", false, "\r\n.\r\n\r\n"},
    {"CR LF LF . CRLF", "\r\n\n.\r\n", false, "\r\n\r\n.\r\n"},
    {"CRLF NUL . CRLF", std::string_view("\r\n\0.\r\n", 6), true},
    {"CRLF . NUL CRLF", std::string_view("\r\n.\0\r\n", 6), true, std::string_view("\r\n\0\r\n", 5)},
    {"CRLF .. CRLF", "\r\n..\r\n", true, "\r\n.\r\n"},
    {"CRLF SP . CRLF", "\r\n .\r\n", true},
    {"CRLF . SP CRLF", "\r\n. \r\n", true, "\r\n \r\n"},
    {"U+0085 . U+0085", "\xc2\x85.\xc2\x85", true},
    {"FF . FF", "\x0c.\x0c", true},
};

TEST(SessionData, NothingButTheEndIsTheEnd) {
  const std::string inner = "MAIL FROM:<evil@client.example>\r\nRCPT TO:<b@test.example>\r\nDATA\r\nevil\r\n";
  for (const FalseEnd& end : kFalseEnds) {
    const std::string wire = kEnvelope + "DATA\r\nouter" + std::string(end.octets) + inner + ".\r\nNOOP\r\n";
    const std::string stored =
        kFrom + "outer" + std::string(end.inside.empty() ? end.octets : end.inside) + inner;
    for (const BareLineEndings treatment : {BareLineEndings::reject, BareLineEndings::normalize}) {
      SessionOptions options = small_options();
      options.bare_line_endings = treatment;
      Dialogue dialogue{end.name, wire, {"220", "250", "250", "250", "354", "250", "250 2.0.0 Ok"}, {stored}};
      if (treatment == BareLineEndings::reject && !end.clean) {
        dialogue.replies[5] = "550 5.6.11";
        dialogue.messages.clear();
      }
      expect_dialogue(dialogue, options);
      const test::Visit done = visit(options, wire);
      if (done.messages.size() == 1) {
        EXPECT_EQ(done.messages[0].normalized, !end.clean);
        // What is stored can be sent on and split nowhere else: no CR or LF of its own stands in it.
        const std::string& body = done.messages[0].body;
        for (std::size_t i = 0; i < body.size(); ++i) {
          if (body[i] == '\r') {
            EXPECT_EQ(body.substr(i, 2), "\r\n");
          }
          if (body[i] == '\n') {
            EXPECT_TRUE(i > 0 && body[i - 1] == '\r');
          }
        }
      }
    }
  }
}

TEST(SessionData, NormalizedChunksToo) {
  SessionOptions options = small_options();
  options.bare_line_endings = BareLineEndings::normalize;
  expect_dialogue({"BDAT",
                   kEnvelope + "BDAT 2\r\na\rBDAT 5 LAST\r\n.\n.\nb",
                   {"220", "250", "250", "250", kChunks, "250"},
                   {kFrom + "a\r\n.\r\n.\r\nb"}},
                  options);
}

const std::string kLmtpEnvelope =
    "LHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\nRCPT "
    "TO:<refused@test.example>\r\n"
    "RCPT TO:<full@test.example>\r\n";
const std::string kLmtpMessage = "a@client.example > b@test.example full@test.example: ";

const Dialogue kLmtp[] = {
    {"greeting", "", {"220 mx.test.example LMTP Postern"}},
    {"a reply for each recipient",
     kLmtpEnvelope + "DATA\r\nx\r\n.\r\nQUIT\r\n",
     {"220", "250", "250", "250", "550", "250", "354", "250 2.0.0 Kept", "452 4.2.2", "221"},
     {kLmtpMessage + "x\r\n"},
     "quit"},
    {"the same by BDAT",
     kLmtpEnvelope + "BDAT 1\r\nxBDAT 2 LAST\r\n\r\nNOOP\r\n",
     {"220", "250", "250", "250", "550", "250", kChunks, "250 2.0.0 Kept", "452 4.2.2", "250 2.0.0 Ok"},
     {kLmtpMessage + "x\r\n"}},
    {"one decision stands for all",
     kLmtpEnvelope + "DATA\r\nSPAM\r\n.\r\nNOOP\r\n",
     {"220", "250", "250", "250", "550", "250", "354", "550 5.7.1 Spam", "550 5.7.1 Spam", "250 2.0.0 Ok"}},
    {"octets refused",
     kLmtpEnvelope + "DATA\r\na\nb\r\n.\r\nNOOP\r\n",
     {"220", "250", "250", "250", "550", "250", "354", "550 5.6.11", "550 5.6.11", "250"}},
    {"too large",
     kLmtpEnvelope + "DATA\r\n" + std::string(300, 'x') + "\r\n.\r\nNOOP\r\n",
     {"220", "250", "250", "250", "550", "250", "354", "552 5.3.4", "552 5.3.4", "250"}},
    {"LAST refused",
     kLmtpEnvelope + "BDAT 201 LAST\r\n" + std::string(201, 'x') + "NOOP\r\n",
     {"220", "250", "250", "250", "550", "250", "552 5.3.4", "552 5.3.4", "250"}},
    {"no recipients",
     "LHLO a\r\nMAIL FROM:<>\r\nDATA\r\nBDAT 1\r\nx",
     {"220", "250", "250", "503 5.5.1", "503 5.5.1"}},
    {"LAST without recipients has no replies",
     "LHLO a\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
     {"220", "250", "250", "250 2.0.0 Ok"}},
    {"LAST outside a transaction has one",
     "LHLO a\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
     {"220", "250", "503 5.5.1", "250"}},
    {"EHLO and HELO are for SMTP",
     "EHLO a\r\nHELO a\r\nMAIL FROM:<>\r\n",
     {"220", "500 5.5.1", "500 5.5.1", "503 5.5.1"}},
};

TEST(SessionData, Lmtp) {
  SessionOptions options = small_options();
  options.protocol = Protocol::lmtp;
  for (const Dialogue& dialogue : kLmtp) expect_dialogue(dialogue, options);
}

TEST(SessionData, AMissingDecisionIsAMistakeOfOurs) {
  SessionOptions options = small_options();
  options.protocol = Protocol::lmtp;
  Session session(options, {}, nullptr);
  session.next();
  session.decide({220, "", ""});
  session.feed(
      "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@test.example>\r\nRCPT TO:<b@test.example>\r\nRCPT "
      "TO:<c@test.example>\r\nDATA\r\n.\r\n");
  for (int i = 0; i < 6; ++i) {
    session.next();
    session.decide({250, "", ""});
  }
  const Step step = session.next();
  ASSERT_EQ(std::get<Ask>(step).stage, Stage::message);
  session.take_output();
  const Transaction taken = session.take_transaction();
  EXPECT_EQ(taken.recipients.size(), 3u);
  EXPECT_EQ(session.recipients(), 3u) << "still known while the house decides";
  session.decide_each({{250, "2.0.0", "Kept"}, {0, "", ""}});
  session.next();
  expect_replies(replies_in(session.take_output()), {"250 2.0.0 Kept", "451 4.3.0", "451 4.3.0"});
}

TEST(SessionData, TheEnvelopeTravelsWithTheMessage) {
  const test::Visit done = visit(
      small_options(), kHello +
                           "MAIL FROM:<a@client.example> SIZE=3 BODY=8BITMIME RET=FULL ENVID=e+2B1\r\n"
                           "RCPT TO:<b@test.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@test.example\r\n"
                           "BDAT 1 LAST\r\nx");
  ASSERT_EQ(done.messages.size(), 1u);
  const test::TakenMessage& message = done.messages[0];
  EXPECT_TRUE(message.chunked);
  EXPECT_EQ(message.mail.size, 3u);
  EXPECT_EQ(message.mail.body, BodyType::eight_bit_mime);
  EXPECT_EQ(message.mail.ret, DsnReturn::full);
  EXPECT_EQ(message.mail.envid, "e+1");
  EXPECT_EQ(message.accepted[0].as_given, "<b@test.example>");
  EXPECT_EQ(message.accepted[0].command.notify, kNotifySuccess | kNotifyDelay);
  EXPECT_EQ(message.accepted[0].command.orcpt, "rfc822;c@test.example");
}

}  // namespace
}  // namespace postern::smtp
