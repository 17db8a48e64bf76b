#include "gateway/delivery/report/reason.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::delivery::report {
namespace {

using Stage = smtp::client::AttemptStage;

struct ReasonCase {
  std::string_view name;
  Stage stage;
  int code;
  std::string_view enhanced, text;
  Reason reason;
};

constexpr ReasonCase kCases[] = {
    {"5.1.1", Stage::rcpt, 550, "5.1.1", "x", Reason::recipient_unknown},
    {"550 without a status", Stage::rcpt, 550, "5.0.0", "x", Reason::recipient_unknown},
    {"full by status", Stage::rcpt, 552, "5.2.2", "x", Reason::mailbox_full},
    {"full by words", Stage::message, 554, "5.0.0", "Quota exceeded", Reason::mailbox_full},
    {"too big by status", Stage::mail, 552, "5.3.4", "x", Reason::too_big},
    {"too big by code", Stage::message, 552, "5.0.0", "x", Reason::too_big},
    {"too big, never asked", Stage::mail, 0, "5.3.4", "x", Reason::too_big},
    {"5.7.1 alone", Stage::message, 550, "5.7.1", "no", Reason::spam_policy},
    {"5.7.1 relay", Stage::rcpt, 554, "5.7.1", "Relay access denied", Reason::not_permitted},
    {"5.7.1 unknown user", Stage::rcpt, 550, "5.7.1", "No such user here", Reason::recipient_unknown},
    {"DMARC", Stage::message, 550, "5.7.26", "x", Reason::not_permitted},
    {"blocked by words", Stage::greeting, 554, "4.0.0", "Your host is BLOCKED", Reason::spam_policy},
    {"connect", Stage::connect, 0, "4.4.1", "refused", Reason::unreachable},
    {"lost", Stage::data, 0, "4.4.2", "reset", Reason::unreachable},
    {"loop", Stage::message, 554, "5.4.6", "x", Reason::routing_loop},
    {"8 bit", Stage::mail, 0, "5.6.3", "x", Reason::unsupported},
    {"disk full", Stage::mail, 452, "4.3.1", "x", Reason::server_trouble},
    {"greylisted for ever", Stage::rcpt, 450, "4.0.0", "x", Reason::server_trouble},
    {"unspecific", Stage::message, 554, "5.0.0", "no", Reason::other},
};

TEST(Reason, OfReplies) {
  for (const ReasonCase& c : kCases) {
    SCOPED_TRACE(c.name);
    smtp::client::RecipientResult result;
    result.stage = c.stage;
    result.code = c.code;
    result.enhanced = c.enhanced;
    result.text = c.text;
    EXPECT_EQ(to_string(reason_of(result)), to_string(c.reason));
    EXPECT_FALSE(sentence(c.reason).empty());
  }
}

}  // namespace
}  // namespace postern::delivery::report
