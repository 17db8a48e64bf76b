#include "gateway/smtp/client/transaction.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::smtp::client {
namespace {

using Kind = RecipientResult::Kind;

struct Terms {
  std::size_t recipients = 2;
  bool pipelining = true, lmtp = false, chunked = false, reset_first = false;
};

EnvelopePlan plan(const Terms& terms) {
  EnvelopePlan made;
  made.mail_line = "MAIL\r\n";
  made.chunked = terms.chunked;
  for (std::size_t i = 0; i < terms.recipients; ++i)
    made.recipients.push_back({.line = "R" + std::to_string(i) + "\r\n", .refusal = {}});
  return made;
}

struct Outcome {
  std::string said;     ///< groups in brackets, "*" for the body, "." for an end of data alone
  std::string results;  ///< "d", "t", "p", "?" (temporary, in doubt), one for each recipient
  std::vector<RecipientResult> all;
  bool reset_owed = false, unusable = false;
  std::size_t replies_used = 0;
};

std::string shown(std::string text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') continue;
    out.push_back(c == '\r' ? ' ' : c);
  }
  if (!out.empty()) out.pop_back();
  return out;
}

/// Replies by code; when they are used up the connection is lost.
Outcome run(const Terms& terms, const std::vector<int>& codes) {
  TransactionDialogue dialogue(plan(terms), terms.pipelining, terms.lmtp, true, 5, terms.reset_first);
  Outcome outcome;
  for (;;) {
    const TransactionStep step = dialogue.next();
    if (const auto* group = std::get_if<SayGroup>(&step)) {
      outcome.said += "[" + shown(group->lines) + "]";
    } else if (const auto* body = std::get_if<SendBody>(&step)) {
      outcome.said += body->chunked ? "[" + shown(body->lines) + "]" : "";
      outcome.said += body->nothing ? "." : "*";
      dialogue.body_sent();
    } else if (std::holds_alternative<AwaitReply>(step)) {
      if (outcome.replies_used == codes.size()) {
        dialogue.lost("reset by peer");
        continue;
      }
      const int code = codes[outcome.replies_used++];
      dialogue.replied({.code = code, .lines = {"says " + std::to_string(code)}});
    } else {
      break;
    }
  }
  outcome.reset_owed = dialogue.reset_owed();
  outcome.unusable = dialogue.unusable();
  outcome.all = std::move(dialogue).results();
  for (const RecipientResult& one : outcome.all) {
    outcome.results += one.kind == Kind::delivered   ? 'd'
                       : one.kind == Kind::permanent ? 'p'
                       : one.in_doubt                ? '?'
                                                     : 't';
  }
  return outcome;
}

struct Case {
  std::string_view name;
  Terms terms;
  std::vector<int> codes;
  std::string_view said, results;
  bool reset_owed = false, unusable = false;
};

const Case kCases[] = {
    {"pipelined", {}, {250, 250, 250, 354, 250}, "[MAIL R0 R1 DATA]*", "dd"},
    {"one by one", {.pipelining = false}, {250, 250, 250, 354, 250}, "[MAIL][R0][R1][DATA]*", "dd"},
    {"RSET first", {.reset_first = true}, {250, 250, 250, 250, 354, 250}, "[RSET MAIL R0 R1 DATA]*", "dd"},
    {"RSET first, one by one",
     {.recipients = 1, .pipelining = false, .reset_first = true},
     {250, 250, 250, 354, 250},
     "[RSET][MAIL][R0][DATA]*",
     "d"},
    {"251 and 252", {}, {250, 251, 252, 354, 250}, "[MAIL R0 R1 DATA]*", "dd"},
    {"one refused", {}, {250, 550, 250, 354, 250}, "[MAIL R0 R1 DATA]*", "pd"},
    {"one for later", {}, {250, 250, 451, 354, 250}, "[MAIL R0 R1 DATA]*", "dt"},
    {"552 at RCPT is 452", {}, {250, 250, 552, 354, 250}, "[MAIL R0 R1 DATA]*", "dt"},
    {"message refused", {}, {250, 250, 250, 354, 554}, "[MAIL R0 R1 DATA]*", "pp"},
    {"message for later", {}, {250, 250, 250, 354, 452}, "[MAIL R0 R1 DATA]*", "tt"},
    {"an odd reply to the message", {}, {250, 250, 250, 354, 354}, "[MAIL R0 R1 DATA]*", "tt"},
    {"MAIL refused", {}, {550, 503, 503, 503}, "[MAIL R0 R1 DATA]", "pp"},
    {"MAIL refused, and DATA taken all the same", {}, {550, 503, 503, 354, 554}, "[MAIL R0 R1 DATA].", "pp"},
    {"MAIL refused, and RCPT taken", {}, {450, 250, 250, 354, 250}, "[MAIL R0 R1 DATA].", "tt"},
    {"MAIL for later, one by one", {.pipelining = false}, {450}, "[MAIL]", "tt"},
    {"530 at MAIL is our business", {}, {530, 503, 503, 503}, "[MAIL R0 R1 DATA]", "tt"},
    {"all refused", {}, {250, 550, 550, 554}, "[MAIL R0 R1 DATA]", "pp", true},
    {"all refused, DATA taken", {}, {250, 550, 450, 354, 554}, "[MAIL R0 R1 DATA].", "pt"},
    {"all refused, one by one", {.pipelining = false}, {250, 550, 550}, "[MAIL][R0][R1]", "pp", true},
    {"DATA refused", {}, {250, 250, 250, 554}, "[MAIL R0 R1 DATA]", "pp", true},
    {"DATA for later", {}, {250, 250, 550, 451}, "[MAIL R0 R1 DATA]", "tp", true},
    {"2yz to DATA", {}, {250, 250, 250, 250}, "[MAIL R0 R1 DATA]", "tt", true, true},
    {"421 at MAIL", {}, {421}, "[MAIL R0 R1 DATA]", "tt", false, true},
    {"421 at the second RCPT", {}, {250, 550, 421}, "[MAIL R0 R1 DATA]", "pt", true, true},
    {"421 to the message", {}, {250, 250, 250, 354, 421}, "[MAIL R0 R1 DATA]*", "tt", true, true},
    {"lost before MAIL's reply", {}, {}, "[MAIL R0 R1 DATA]", "tt", false, true},
    {"lost before DATA's reply", {}, {250, 550, 250}, "[MAIL R0 R1 DATA]", "pt", true, true},
    {"lost behind the dot", {}, {250, 550, 250, 354}, "[MAIL R0 R1 DATA]*", "p?", true, true},
    {"lost behind an empty end", {}, {250, 550, 550, 354}, "[MAIL R0 R1 DATA].", "pp", true, true},
    {"LMTP", {.lmtp = true}, {250, 250, 250, 354, 250, 552}, "[MAIL R0 R1 DATA]*", "dp"},
    {"LMTP, one refused",
     {.recipients = 3, .lmtp = true},
     {250, 250, 550, 250, 354, 450, 250},
     "[MAIL R0 R1 R2 DATA]*",
     "tpd"},
    {"LMTP, lost between the replies",
     {.lmtp = true},
     {250, 250, 250, 354, 250},
     "[MAIL R0 R1 DATA]*",
     "d?",
     false,
     true},
    {"LMTP, 421 between the replies",
     {.lmtp = true},
     {250, 250, 250, 354, 250, 421},
     "[MAIL R0 R1 DATA]*",
     "dt",
     false,
     true},
    {"LMTP, none taken and yet 354",
     {.lmtp = true},
     {250, 550, 550, 354},
     "[MAIL R0 R1 DATA]",
     "pp",
     true,
     true},
    {"chunk", {.chunked = true}, {250, 250, 250, 250}, "[MAIL R0 R1][BDAT 5 LAST]*", "dd"},
    {"chunk to nobody", {.chunked = true}, {250, 550, 550}, "[MAIL R0 R1]", "pp", true},
    {"chunk refused", {.chunked = true}, {250, 250, 550, 554}, "[MAIL R0 R1][BDAT 5 LAST]*", "pp"},
    {"chunk, one by one",
     {.pipelining = false, .chunked = true},
     {250, 250, 250, 250},
     "[MAIL][R0][R1][BDAT 5 LAST]*",
     "dd"},
};

TEST(TransactionDialogue, GivesEveryRecipientItsResult) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Outcome outcome = run(c.terms, c.codes);
    EXPECT_EQ(outcome.said, c.said);
    EXPECT_EQ(outcome.results, c.results);
    EXPECT_EQ(outcome.reset_owed, c.reset_owed);
    EXPECT_EQ(outcome.unusable, c.unusable);
    EXPECT_EQ(outcome.replies_used, c.codes.size());
  }
}

TEST(TransactionDialogue, KeepsTheLastWord) {
  const Outcome outcome = run({}, {250, 550, 250, 354, 250});
  EXPECT_EQ(outcome.all[0].code, 550);
  EXPECT_EQ(outcome.all[0].text, "says 550");
  EXPECT_EQ(outcome.all[0].stage, AttemptStage::rcpt);
  EXPECT_EQ(outcome.all[0].enhanced, "5.0.0");
  EXPECT_FALSE(outcome.all[0].dsn_passed_on);
  EXPECT_EQ(outcome.all[1].code, 250);
  EXPECT_EQ(outcome.all[1].stage, AttemptStage::message);
  EXPECT_TRUE(outcome.all[1].dsn_passed_on);
}

TEST(TransactionDialogue, AMailboxThatIsFullStaysFull) {
  EXPECT_EQ(refused_recipient({.code = 552, .enhanced = "5.2.2", .lines = {}}).kind, Kind::permanent);
  const RecipientResult many = refused_recipient({.code = 552, .enhanced = "5.5.3", .lines = {}});
  EXPECT_EQ(many.kind, Kind::temporary);
  EXPECT_EQ(many.enhanced, "4.5.3");
}

TEST(TransactionDialogue, GroupsAreBounded) {
  // MAIL and 99 recipients fill a group; one recipient more opens the next.
  const std::size_t full = TransactionDialogue::kGroupCommandsMax - 1;
  for (const std::size_t count : {full - 1, full, full + 1, 3 * full}) {
    SCOPED_TRACE(count);
    std::vector<int> codes(count + 1, 250);
    codes.push_back(354);
    codes.push_back(250);
    const Outcome outcome = run({.recipients = count}, codes);
    EXPECT_EQ(outcome.results, std::string(count, 'd'));
    const auto groups = static_cast<std::size_t>(std::count(outcome.said.begin(), outcome.said.end(), '['));
    const std::size_t commands = count + 2;
    EXPECT_EQ(groups, (commands + TransactionDialogue::kGroupCommandsMax - 1) /
                          TransactionDialogue::kGroupCommandsMax);
  }
}

TEST(TransactionDialogue, RecipientsThatCannotGoThereAreNotSaid) {
  EnvelopePlan made = plan({.recipients = 3});
  made.recipients[1].refusal = RecipientResult{.kind = Kind::permanent, .enhanced = "5.6.7"};
  TransactionDialogue dialogue(std::move(made), true, false, false, 5, false);
  const TransactionStep step = dialogue.next();
  ASSERT_TRUE(std::holds_alternative<SayGroup>(step));
  EXPECT_EQ(std::get<SayGroup>(step).lines, "MAIL\r\nR0\r\nR2\r\nDATA\r\n");
}

TEST(TransactionDialogue, NobodyAtAll) {
  EnvelopePlan made = plan({.recipients = 1});
  made.recipients[0].refusal = RecipientResult{.kind = Kind::permanent, .enhanced = "5.6.7"};
  TransactionDialogue dialogue(std::move(made), true, false, false, 5, false);
  EXPECT_TRUE(std::holds_alternative<TransactionDone>(dialogue.next()));
  EXPECT_FALSE(dialogue.unusable());
}

}  // namespace
}  // namespace postern::smtp::client
