#include "filters/reputation/local_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace postern::filters {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Policy kAllLists{.has_client_list = true, .has_sender_list = true, .has_recipient_list = true};

Envelope envelope() {
  return {.client_ip = *Ip::parse("192.0.2.1"),
          .mail_from = "s@a.example",
          .recipients = {"r1@b.example", "r2@b.example"}};
}

Answer listed(ListKind kind, std::string_view entry) {
  return {.status = AnswerStatus::data, .records = {list_record(kind, entry)}};
}

const Question kClient{.kind = QuestionKind::client_list, .name = "192.0.2.1"};
const Question kSender{.kind = QuestionKind::sender_list, .name = "s@a.example"};
const Question kFirst{.kind = QuestionKind::recipient_list, .name = "r1@b.example"};
const Question kSecond{.kind = QuestionKind::recipient_list, .name = "r2@b.example"};

Findings concluded(Stage stage, Facts facts, const Envelope& of = envelope()) {
  Findings findings;
  Progress progress = check_local_lists(stage, of, kAllLists, facts, findings);
  const auto open = facts.questions();
  for (const Question& question : open) facts.answer(question, {.status = AnswerStatus::no_data});
  if (!open.empty()) {
    EXPECT_EQ(progress, Progress::pending);
    EXPECT_THAT(findings.found, IsEmpty());
    progress = check_local_lists(stage, of, kAllLists, facts, findings);
  }
  EXPECT_EQ(progress, Progress::done);
  return findings;
}

TEST(ListRecord, RoundTrips) {
  for (const std::string_view entry : {"192.0.2.0/24", "a@b.example", "<>", "@.example", "", "allow:x"}) {
    for (const ListKind kind : {ListKind::allow, ListKind::block}) {
      const std::string text = list_record(kind, entry);
      const auto record = parse_list_record(text);
      ASSERT_TRUE(record.has_value()) << text;
      EXPECT_EQ(record->kind, kind) << text;
      EXPECT_EQ(record->entry, entry) << text;
    }
  }
  for (const std::string_view text : {"", "allow", "block", "deny:x", "Allow:x", " allow:x"})
    EXPECT_FALSE(parse_list_record(text).has_value()) << text;
}

TEST(LocalLists, AsksWhatTheStageKnowsAllAtOnce) {
  const auto asked = [](Stage stage, const Policy& policy, const Envelope& of) {
    Facts facts;
    Findings findings;
    const Progress progress = check_local_lists(stage, of, policy, facts, findings);
    EXPECT_EQ(progress, facts.questions().empty() ? Progress::done : Progress::pending);
    return facts.questions();
  };
  EXPECT_THAT(asked(Stage::connect, kAllLists, envelope()), ElementsAre(kClient));
  EXPECT_THAT(asked(Stage::mail, kAllLists, envelope()), ElementsAre(kClient, kSender));
  EXPECT_THAT(asked(Stage::rcpt, kAllLists, envelope()), ElementsAre(kClient, kSender, kSecond));
  EXPECT_THAT(asked(Stage::data, kAllLists, envelope()), ElementsAre(kClient, kSender, kFirst, kSecond));
  EXPECT_THAT(asked(Stage::data, {}, envelope()), IsEmpty());
  EXPECT_THAT(asked(Stage::data, {.has_sender_list = true}, envelope()), ElementsAre(kSender));
  EXPECT_THAT(asked(Stage::connect, kAllLists, {}), IsEmpty()) << "a Unix socket has no address";
  EXPECT_THAT(asked(Stage::rcpt, {.has_recipient_list = true}, {}), IsEmpty());
}

TEST(LocalLists, NamesTheEntry) {
  Facts facts;
  facts.answer(kClient, listed(ListKind::block, "192.0.2.0/24"));
  facts.answer(kSender, listed(ListKind::allow, "@a.example"));
  const Findings findings = concluded(Stage::mail, facts);
  EXPECT_THAT(
      findings.found,
      ElementsAre(Finding{"LOCAL_BLOCK_CLIENT", 100, "client 192.0.2.1 is blocked by 192.0.2.0/24"},
                  Finding{"LOCAL_ALLOW_SENDER", -100, "sender s@a.example is allowed by @a.example"}));
}

TEST(LocalLists, ShowsTheNullSender) {
  Facts facts;
  facts.answer({.kind = QuestionKind::sender_list, .name = ""}, listed(ListKind::block, "<>"));
  Envelope of = envelope();
  of.mail_from = "";
  EXPECT_THAT(concluded(Stage::mail, facts, of).found,
              ElementsAre(Finding{"LOCAL_BLOCK_SENDER", 100, "sender <> is blocked by <>"}));
}

TEST(LocalLists, OneBlockedRecipientBlocks) {
  Facts facts;
  facts.answer(kFirst, listed(ListKind::allow, "r1@b.example"));
  facts.answer(kSecond, listed(ListKind::block, "r2@b.example"));
  EXPECT_THAT(concluded(Stage::data, facts).found,
              ElementsAre(Finding{"LOCAL_BLOCK_RECIPIENT", 100,
                                  "recipient r2@b.example is blocked by r2@b.example"}));
}

TEST(LocalLists, OnlyAllAllowedRecipientsAllow) {
  Facts facts;
  facts.answer(kFirst, listed(ListKind::allow, "r1@b.example"));
  EXPECT_THAT(concluded(Stage::data, facts).found, IsEmpty());
  facts.answer(kSecond, listed(ListKind::allow, "@b.example"));
  EXPECT_THAT(concluded(Stage::data, facts).found,
              ElementsAre(Finding{"LOCAL_ALLOW_RECIPIENT", -100,
                                  "recipient r1@b.example is allowed by r1@b.example"}));
}

TEST(LocalLists, LooksAtTheLastRecipientAtRcpt) {
  Facts facts;
  facts.answer(kFirst, listed(ListKind::block, "r1@b.example"));
  EXPECT_THAT(concluded(Stage::rcpt, facts).found, IsEmpty());
}

TEST(LocalLists, AFailureIsNotUnlisted) {
  Facts facts;
  facts.answer(kClient, {.status = AnswerStatus::timed_out});
  facts.answer(kSender, {.status = AnswerStatus::data, .records = {"what?"}});
  facts.answer(kFirst, {.status = AnswerStatus::servfail});
  facts.answer(kSecond, {.status = AnswerStatus::refused});
  const Findings findings = concluded(Stage::data, facts);
  EXPECT_THAT(findings.found, IsEmpty());
  EXPECT_THAT(findings.incomplete,
              ElementsAre("local_lists: client 192.0.2.1: timed_out",
                          "local_lists: sender s@a.example: an answer that is no list record",
                          "local_lists: recipient r1@b.example: servfail"));
}

TEST(LocalLists, AFailedRecipientIsNotAllowed) {
  Facts facts;
  facts.answer(kFirst, listed(ListKind::allow, "r1@b.example"));
  facts.answer(kSecond, {.status = AnswerStatus::servfail});
  const Findings findings = concluded(Stage::data, facts);
  EXPECT_THAT(findings.found, IsEmpty());
  EXPECT_THAT(findings.incomplete, SizeIs(1));
}

}  // namespace
}  // namespace postern::filters
