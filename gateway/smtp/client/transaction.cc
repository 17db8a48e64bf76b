#include "gateway/smtp/client/transaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/smtp/client/opening.h"

namespace postern::smtp::client {
namespace {

constexpr int kServiceClosing = 421;  // RFC 5321 §3.8

}  // namespace

AttemptStage TransactionDialogue::stage_of(What what) {
  switch (what) {
    case What::rset:
    case What::mail:
      return AttemptStage::mail;
    case What::rcpt:
      return AttemptStage::rcpt;
    case What::data:
      return AttemptStage::data;
    case What::message:
    case What::nothing:
      break;
  }
  return AttemptStage::message;
}

RecipientResult refused_recipient(const ServerReply& reply) {
  const bool storage = reply.enhanced == "5.2.2" || reply.enhanced == "5.2.3" || reply.enhanced == "5.3.4";
  const bool too_many = reply.code == 552 && !storage;
  return refused(reply, AttemptStage::rcpt, !too_many);
}

TransactionDialogue::TransactionDialogue(EnvelopePlan plan, bool pipelining, bool lmtp, bool dsn,
                                         std::uint64_t octets, bool reset_first)
    : plan_(std::move(plan)),
      pipelining_(pipelining),
      lmtp_(lmtp),
      dsn_(dsn),
      octets_(octets),
      results_(plan_.recipients.size()),
      settled_(plan_.recipients.size(), 0),
      reset_first_(reset_first) {
  reset_owed_ = reset_first;
  std::size_t left = 0;
  for (std::size_t i = 0; i < plan_.recipients.size(); ++i) {
    if (plan_.recipients[i].refusal) {
      settle(i, std::move(*plan_.recipients[i].refusal));
    } else {
      ++left;
    }
  }
  if (left == 0) finish();
}

TransactionStep TransactionDialogue::next() {
  for (;;) {
    if (phase_ == Phase::done) return TransactionDone{};
    if (!owed_.empty()) return AwaitReply{stage_of(owed_.front().what)};
    if (phase_ == Phase::body) {
      if (!plan_.chunked) return SendBody{.nothing = accepted_.empty()};
      return SendBody{.chunked = true, .lines = fmt::format("BDAT {} LAST\r\n", octets_)};
    }
    if (phase_ == Phase::replies) {
      finish();
      continue;
    }
    std::string group = next_group();
    if (!group.empty()) return SayGroup{std::move(group)};
  }
}

/// The next commands, or a change of phase where there are none.
std::string TransactionDialogue::next_group() {
  std::string lines;
  std::size_t commands = 0;
  const auto room = [&] { return commands == 0 || (pipelining_ && commands < kGroupCommandsMax); };
  const auto add = [&](std::string_view line, Owed owed) {
    lines.append(line);
    owed_.push_back(owed);
    ++commands;
  };
  if (std::exchange(reset_first_, false)) add("RSET\r\n", {What::rset});
  if (!mail_said_ && room()) {
    mail_said_ = true;
    add(plan_.mail_line, {What::mail});
  }
  for (; next_recipient_ < plan_.recipients.size() && room(); ++next_recipient_) {
    if (settled_[next_recipient_] == 0)
      add(plan_.recipients[next_recipient_].line, {What::rcpt, next_recipient_});
  }
  if (next_recipient_ < plan_.recipients.size() || !mail_said_) return lines;

  if (plan_.chunked || data_said_) {
    if (!lines.empty()) return lines;  // the chunk only goes out once somebody is to get it
    if (accepted_.empty()) {
      finish();
    } else {
      phase_ = Phase::body;
    }
    return lines;
  }
  // RFC 2920 §3.1: DATA may be the last of a group, whose RCPTs have no answer yet. Without a group it waits for them.
  if (lines.empty() && accepted_.empty()) {
    finish();
  } else if (room()) {
    data_said_ = true;
    add("DATA\r\n", {What::data});
  }
  return lines;
}

void TransactionDialogue::replied(const ServerReply& reply) {
  if (owed_.empty()) return;
  const Owed owed = owed_.front();
  owed_.pop_front();
  if (reply.code == kServiceClosing) {
    unusable_ = true;
    settle_all(refused(reply, stage_of(owed.what), false));
    return finish();
  }
  switch (owed.what) {
    case What::rset:
      reset_owed_ = false;
      if (!reply.positive()) unusable_ = true;  // MAIL will tell
      break;
    case What::mail:
      mail_accepted_ = reply.positive();
      reset_owed_ = mail_accepted_;
      // RFC 5321 §4.2.2, 530: what the server demands of the session is the manifest's business, not the message's.
      if (!mail_accepted_) settle_all(refused(reply, AttemptStage::mail, reply.code != 530));
      break;
    case What::rcpt:
      if (settled_[owed.recipient] != 0) break;  // MAIL was refused: what is said here means nothing
      if (reply.positive()) {
        accepted_.push_back(owed.recipient);
      } else {
        settle(owed.recipient, refused_recipient(reply));
      }
      break;
    case What::data:
      on_data_reply(reply);
      break;
    case What::message:
      on_message_reply(owed, reply);
      break;
    case What::nothing:
      reset_owed_ = false;
      break;
  }
  if (owed_.empty() && phase_ == Phase::commands && mail_said_ && !mail_accepted_) finish();
}

void TransactionDialogue::on_data_reply(const ServerReply& reply) {
  if (reply.intermediate()) {
    // RFC 2920 §3.1: accepted though nobody is to get it. The dot must follow, and there is nothing in front of it.
    phase_ = Phase::body;
    if (accepted_.empty() && lmtp_) {  // nobody knows how many replies would come
      unusable_ = true;
      finish();
    }
    return;
  }
  if (!reply.temporary() && !reply.permanent()) unusable_ = true;
  settle_all(refused(reply, AttemptStage::data, true));
  finish();
}

void TransactionDialogue::body_sent() {
  body_sent_ = true;
  phase_ = Phase::replies;
  owe_message_replies();
}

void TransactionDialogue::owe_message_replies() {
  if (accepted_.empty()) {
    owed_.push_back({What::nothing});
  } else if (lmtp_) {  // RFC 2033 §4.2: one for each recipient that was accepted, in order
    for (const std::size_t recipient : accepted_) owed_.push_back({What::message, recipient});
  } else {
    owed_.push_back({What::message});
  }
}

void TransactionDialogue::on_message_reply(const Owed& owed, const ServerReply& reply) {
  reset_owed_ = false;
  const auto answer = [&](std::size_t recipient) {
    if (reply.positive()) {
      set_delivered(recipient, reply);
    } else {
      settle(recipient, refused(reply, AttemptStage::message, true));
    }
  };
  if (lmtp_) return answer(owed.recipient);
  for (const std::size_t recipient : accepted_) answer(recipient);
}

void TransactionDialogue::lost(std::string_view text) {
  if (phase_ == Phase::done) return;
  unusable_ = true;
  const What what = owed_.empty() ? What::data : owed_.front().what;
  RecipientResult result =
      local_result(RecipientResult::Kind::temporary, stage_of(what), "4.4.2", std::string(text));
  result.in_doubt = body_sent_ && !accepted_.empty();
  settle_all(result);
  finish();
}

void TransactionDialogue::settle_all(const RecipientResult& result) {
  for (std::size_t i = 0; i < results_.size(); ++i) {
    if (settled_[i] == 0) settle(i, result);
  }
}

void TransactionDialogue::settle(std::size_t recipient, RecipientResult result) {
  results_[recipient] = std::move(result);
  settled_[recipient] = 1;
}

void TransactionDialogue::set_delivered(std::size_t recipient, const ServerReply& reply) {
  RecipientResult result;
  result.kind = RecipientResult::Kind::delivered;
  result.stage = AttemptStage::message;
  result.code = reply.code;
  result.enhanced = reply.enhanced.empty() ? "2.0.0" : reply.enhanced;
  result.text = reply.evidence();
  result.dsn_passed_on = dsn_;
  settle(recipient, std::move(result));
}

}  // namespace postern::smtp::client
