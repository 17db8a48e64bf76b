#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/smtp/session.h"

namespace postern::test {

/// A message the session gave away, as a test compares it.
struct TakenMessage {
  std::string sender, body, protocol;
  std::vector<std::string> recipients;
  bool chunked = false, normalized = false;
  smtp::MailCommand mail;
  std::vector<smtp::AcceptedRecipient> accepted;
};

/// What a driver is asked, and says. The default house: whoever is called "refused" is refused for good, "later" for now;
/// "hangup" closes; DATA of a sender "nodata" is refused, a message with "SPAM" in it, and with "FULL" for now.
struct House {
  bool connect_refused = false;
  std::size_t questions = 0;

  static smtp::Reply judge(std::string_view name, std::string_view enhanced_class) {
    if (name.starts_with("refused")) return {550, "5." + std::string(enhanced_class), "Not you"};
    if (name.starts_with("later")) return {451, "4." + std::string(enhanced_class), "Not now"};
    if (name.starts_with("hangup")) return {421, "4." + std::string(enhanced_class), "Bye"};
    if (name.starts_with("forward")) return {251, "2.1.5", "Will forward"};
    return {250, {}, {}};
  }

  smtp::Reply at(smtp::Stage stage, const smtp::Session& session) {
    ++questions;
    switch (stage) {
      case smtp::Stage::connect:
        if (connect_refused) return {554, "5.7.1", "No mail from you"};
        return {220, {}, {}};
      case smtp::Stage::helo:
        return judge(session.helo(), "7.1");
      case smtp::Stage::mail:
        return judge(session.pending_mail().path.mailbox.local, "1.8");
      case smtp::Stage::rcpt:
        return judge(session.pending_rcpt().path.mailbox.local, "1.1");
      case smtp::Stage::data:
        if (session.mail()->path.mailbox.local == "nodata") return {451, "4.3.2", "No data now"};
        return {354, {}, {}};
      case smtp::Stage::auth:
      case smtp::Stage::message:
        break;
    }
    return {451, "4.3.0", "A message is decided elsewhere"};
  }
};

/// One whole visit: what was said and what was taken.
struct Visit {
  std::string output;
  std::vector<TakenMessage> messages;
  std::string close_cause;  ///< empty: still open
  bool closed = false, abortive = false;
  std::string injected;  ///< what stood behind STARTTLS in the clear
  smtp::SessionCounts counts;
  std::string last_refusal;
  smtp::ClientInfo client;
  bool pipelined_early = false;
};

/// Carries octets between a session and the house, as a driver does, but from strings. Pieces are overwritten after use:
/// whoever keeps a view into them is found by the sanitizer.
class VisitDriver {
 public:
  VisitDriver(smtp::SessionOptions options, smtp::ClientInfo client, smtp::BodyBudget* budget,
              House house = {})
      : lmtp_(options.protocol == smtp::Protocol::lmtp),
        session_(std::move(options), std::move(client), budget),
        house_(house) {
    advance();
  }

  /// False when nothing more is taken: closed, or STARTTLS was answered and the rest of the plaintext is dropped.
  bool feed(std::string_view octets) {
    if (visit_.closed || tls_waiting_) return false;
    const std::vector<char> piece(octets.begin(), octets.end());  // of exactly this size, freed on return
    session_.feed({piece.data(), piece.size()});
    advance();
    return !visit_.closed && !tls_waiting_;
  }
  bool tls_waiting() const { return tls_waiting_; }
  void handshake() {
    tls_waiting_ = false;
    session_.tls_established();
    advance();
  }
  void interrupt(smtp::Reply reply, std::string cause) {
    session_.interrupt(std::move(reply), std::move(cause));
    advance();
  }
  smtp::Session& session() { return session_; }
  Visit finish() {
    visit_.counts = session_.counts();
    visit_.last_refusal = session_.last_refusal();
    visit_.client = session_.client();
    visit_.pipelined_early = session_.pipelined_early();
    return std::move(visit_);
  }

 private:
  void advance() {
    for (;;) {
      const smtp::Step step = session_.next();
      if (const auto* ask = std::get_if<smtp::Ask>(&step)) {
        if (house_.questions % 2 == 1)
          session_.keep_input();  // a driver may release its buffer before it waits, or not
        answer(ask->stage);
        continue;
      }
      visit_.output += session_.take_output();
      if (std::holds_alternative<smtp::StartTls>(step)) {
        visit_.injected = session_.rest_of_input();
        tls_waiting_ = true;
      } else if (const auto* close = std::get_if<smtp::Close>(&step)) {
        visit_.closed = true;
        visit_.close_cause = close->cause;
        visit_.abortive = close->abortive;
      }
      return;
    }
  }

  void answer(smtp::Stage stage) {
    if (stage != smtp::Stage::message) return session_.decide(house_.at(stage, session_));
    ++house_.questions;
    TakenMessage taken;
    taken.protocol = session_.protocol_name();
    smtp::Transaction transaction = session_.take_transaction();
    taken.sender = transaction.mail.path.normal_form();
    taken.body = transaction.body.view();
    taken.chunked = transaction.chunked;
    taken.normalized = transaction.normalized;
    taken.mail = transaction.mail;
    taken.accepted = transaction.recipients;
    std::vector<smtp::Reply> replies;
    for (const smtp::AcceptedRecipient& recipient : transaction.recipients) {
      taken.recipients.push_back(recipient.command.path.normal_form());
      const bool full = recipient.command.path.mailbox.local.starts_with("full");
      replies.push_back(full ? smtp::Reply{452, "4.2.2", "Mailbox full"} : smtp::Reply{250, "2.0.0", "Kept"});
    }
    if (taken.body.find("SPAM") != std::string::npos) replies.assign(1, {550, "5.7.1", "Spam"});
    if (taken.body.find("FULL") != std::string::npos) replies.assign(1, {452, "4.3.1", "Full"});
    if (replies.front().positive()) visit_.messages.push_back(std::move(taken));
    if (lmtp_) return session_.decide_each(std::move(replies));
    session_.decide(replies.front());
  }

  bool lmtp_;
  smtp::Session session_;
  House house_;
  Visit visit_;
  bool tls_waiting_ = false;
};

/// The replies of an output, one line each: code and the text of the first line. "?" in front of what is no reply line.
inline std::vector<std::string> replies_in(std::string_view output) {
  std::vector<std::string> replies;
  bool continued = false;
  while (!output.empty()) {
    const std::size_t end = output.find("\r\n");
    const std::string_view line = output.substr(0, end);
    output.remove_prefix(end == std::string_view::npos ? output.size() : end + 2);
    const bool whole =
        end != std::string_view::npos && line.size() >= 3 && line.size() <= 510 &&
        std::all_of(line.begin(), line.begin() + 3, [](char c) { return c >= '0' && c <= '9'; }) &&
        (line.size() == 3 || line[3] == ' ' || line[3] == '-') &&
        std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (!continued) replies.push_back(whole ? std::string(line) : "?" + std::string(line));
    if (!continued && whole && line.size() > 3) replies.back()[3] = ' ';
    continued = whole && line.size() > 3 && line[3] == '-';
    if (!whole && replies.back().front() != '?') replies.back().insert(0, "?");
  }
  if (continued && !replies.empty()) replies.back().insert(0, "?");
  return replies;
}

}  // namespace postern::test
