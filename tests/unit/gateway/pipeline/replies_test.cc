#include "gateway/pipeline/replies.h"

#include <gtest/gtest.h>

namespace postern::pipeline::replies {
namespace {

using filters::Action;

struct Row {
  std::string_view name;
  Action action;
  filters::Refusal refusal;
  Moment moment;
  std::string_view id;
  int code;
  std::string_view enhanced, text;
};

TEST(Refusal, SaysWhatMayBeSaidThere) {
  const Row rows[] = {
      {"as asked",
       Action::reject,
       {554, "5.4.6", "Mail loop"},
       Moment::data,
       "ID",
       554,
       "5.4.6",
       "Mail loop (id ID)"},
      {"nothing asked", Action::reject, {}, Moment::data, "ID", 550, "5.7.1", "Refused by policy (id ID)"},
      {"to a command",
       Action::reject,
       {554, "5.7.1", "Blocked"},
       Moment::command,
       "",
       550,
       "5.7.1",
       "Blocked"},
      {"in the greeting",
       Action::reject,
       {550, "5.7.1", "Blocked"},
       Moment::greeting,
       "",
       554,
       "5.7.1",
       "Blocked"},
      {"deferred in the greeting",
       Action::defer,
       {451, "4.7.1", "Later"},
       Moment::greeting,
       "",
       421,
       "4.7.1",
       "Later"},
      {"deferred", Action::defer, {}, Moment::data, "ID", 451, "4.7.1", "Not now, try again later (id ID)"},
      {"deferred is never for good", Action::defer, {550, "5.7.1", "x"}, Moment::data, "", 451, "4.7.1", "x"},
      {"refused is never for now", Action::reject, {451, "4.7.1", "x"}, Moment::data, "", 550, "5.7.1", "x"},
      {"a code that is none", Action::reject, {0, "5.", "x"}, Moment::data, "", 550, "5.7.1", "x"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    filters::Verdict verdict;
    verdict.action = row.action;
    verdict.refusal = row.refusal;
    const smtp::Reply reply = refusal(verdict, row.moment, row.id);
    EXPECT_EQ(reply.code, row.code);
    EXPECT_EQ(reply.enhanced, row.enhanced);
    EXPECT_EQ(reply.text, row.text);
  }
}

TEST(Replies, TheClassOfTheEnhancedCodeIsThatOfTheReply) {
  const smtp::Reply all[] = {no_room(),      busy("ID"),        not_stored("ID"),
                             no_space("ID"), accepted("ID"),    unknown_recipient(),
                             no_relaying(),  over_quota(false), over_quota(true)};
  for (const smtp::Reply& reply : all) {
    EXPECT_EQ(reply.enhanced.front() - '0', reply.code / 100) << reply.text;
  }
  EXPECT_EQ(accepted("ID").text, "Message accepted (id ID)");
}

}  // namespace
}  // namespace postern::pipeline::replies
