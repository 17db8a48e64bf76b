#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/smtp_visit.h"
#include "tests/support/splits.h"

namespace postern::test {

/// A golden dialogue: what the client sends, what it hears, what the house is given. The greeting is the first reply.
struct Dialogue {
  std::string_view name;
  std::string wire;
  std::vector<std::string_view> replies;  ///< each is the beginning of a reply's first line
  /// "sender > recipient recipient: body" for each message taken.
  std::vector<std::string> messages = {};
  std::string_view cause = {};                         ///< why the session closed; empty: it did not
  std::optional<std::string> tls_wire = std::nullopt;  ///< sent inside TLS, once STARTTLS was answered
};

inline smtp::SessionOptions small_options() {
  smtp::SessionOptions options;
  options.hostname = "mx.test.example";
  options.tls_available = true;
  options.limits.message_octets_max = 200;
  return options;
}

inline smtp::ClientInfo client_at(std::string_view address) {
  return {.ip = filters::Ip::parse(address).value_or(filters::Ip{}), .port = 1234, .name = {}};
}

inline std::string text_of(const TakenMessage& message) {
  std::string text = message.sender + " >";
  for (const std::string& recipient : message.recipients) text += " " + recipient;
  return text + ": " + message.body;
}

inline Visit visit_pieces(const smtp::SessionOptions& options, const std::vector<std::string_view>& pieces,
                          const std::optional<std::string>& tls_wire = std::nullopt,
                          const House& house = {}) {
  smtp::BodyBudget budget(1 << 20);
  Visit result;
  {
    VisitDriver driver(options, client_at("192.0.2.1"), &budget, house);
    for (const std::string_view piece : pieces) {
      if (!driver.feed(piece)) break;
    }
    if (driver.tls_waiting() && tls_wire) {
      driver.handshake();
      driver.feed(*tls_wire);
    }
    result = driver.finish();
  }
  EXPECT_EQ(budget.used(), 0u) << "memory for bodies was given back";
  return result;
}

inline Visit visit(const smtp::SessionOptions& options, std::string_view wire) {
  return visit_pieces(options, {wire});
}

inline std::vector<std::string> texts_of(const Visit& visit) {
  std::vector<std::string> texts;
  for (const TakenMessage& message : visit.messages) texts.push_back(text_of(message));
  return texts;
}

inline void expect_replies(const std::vector<std::string>& given,
                           const std::vector<std::string_view>& wanted) {
  const bool same =
      std::ranges::equal(given, wanted, [](const std::string& reply, std::string_view beginning) {
        return reply.starts_with(beginning) &&
               (reply.size() == beginning.size() || reply[beginning.size()] == ' ');
      });
  EXPECT_TRUE(same) << "given: " << testing::PrintToString(given)
                    << "\nwanted: " << testing::PrintToString(wanted);
}

/// Runs the dialogue in one piece and at every split: the right answer, and always the same one.
inline void expect_dialogue(const Dialogue& dialogue, const smtp::SessionOptions& options,
                            const House& house = {}) {
  SCOPED_TRACE(dialogue.name);
  const Visit whole = visit_pieces(options, {dialogue.wire}, dialogue.tls_wire, house);
  expect_replies(replies_in(whole.output), dialogue.replies);
  EXPECT_EQ(texts_of(whole), dialogue.messages);
  EXPECT_EQ(whole.close_cause, dialogue.cause);
  EXPECT_EQ(whole.closed, !dialogue.cause.empty());
  for_each_split(
      dialogue.wire,
      [&](const auto& pieces) {
        const Visit split = visit_pieces(options, pieces, dialogue.tls_wire, house);
        ASSERT_EQ(split.output, whole.output)
            << pieces.size() << " pieces, the first of " << pieces.front().size();
        ASSERT_EQ(texts_of(split), texts_of(whole));
        ASSERT_EQ(split.close_cause, whole.close_cause);
        ASSERT_EQ(split.last_refusal, whole.last_refusal);
        ASSERT_EQ(split.counts.errors, whole.counts.errors);
        ASSERT_EQ(split.counts.bare_line_endings, whole.counts.bare_line_endings);
      },
      256);
}

/// The commands nearly every dialogue begins with, and their replies.
inline const std::string kHello = "EHLO client.example\r\n";
inline const std::string kEnvelope = kHello + "MAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\n";

}  // namespace postern::test
