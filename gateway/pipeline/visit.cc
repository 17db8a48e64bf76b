#include "gateway/pipeline/visit.h"

#include <utility>

#include "gateway/pipeline/accept.h"
#include "gateway/pipeline/replies.h"

namespace postern::pipeline {
namespace {

bool refuses(const filters::Verdict& verdict) {
  return verdict.action == filters::Action::reject || verdict.action == filters::Action::defer;
}

std::string_view reason_of(Resolution::Kind kind) {
  switch (kind) {
    case Resolution::Kind::unknown:
      return "no such address";
    case Resolution::Kind::foreign:
      return "not one of our domains";
    case Resolution::Kind::bad_address:
      return "the address asks to be relayed";
    case Resolution::Kind::mailbox:
    case Resolution::Kind::relay:
      break;
  }
  return {};
}

}  // namespace

Visit::Visit(Core& core, const smtp::Arrival& arrival, bool submission)
    : core_(core),
      arrival_(arrival),
      snapshot_(core.services.snapshots.get()),
      inquiry_(core.asking),
      submission_(submission),
      login_(core, arrival_) {}

Visit::~Visit() {
  core_.journal.asked(inquiry_.counts());
}

void Visit::reset() {
  inquiry_.forget_transaction();
  forget_envelope();
}

void Visit::forget_envelope() {
  envelope_.mail_from.clear();
  envelope_.recipients.clear();
  envelope_.smtputf8 = false;
  addresses_.clear();
  timings_ = {};
}

/// What is known of the client now: XCLIENT, EHLO and STARTTLS change it.
void Visit::look_at_client(const smtp::VisitFacts& facts) {
  const smtp::ClientInfo& client = facts.session.client();
  envelope_.receiving_host = snapshot_->config.hostname;
  envelope_.client_ip = client.ip;
  envelope_.client_name = client.name;
  envelope_.helo = facts.session.helo();
  envelope_.protocol = facts.session.protocol_name();
  envelope_.early_talker = facts.early_talker;
  envelope_.pipelined_early = facts.session.pipelined_early();
  envelope_.received_at = reactor::Reactor::current().now_utc();
  if (facts.tls != nullptr) {
    envelope_.tls = {
        .version = facts.tls->version, .cipher = facts.tls->cipher, .server_name = facts.tls->server_name};
  } else {
    envelope_.tls = {};
  }
}

reactor::Task<filters::Verdict> Visit::judge(filters::Stage stage) {
  const Answers answers = answers_of(core_, *snapshot_);
  auto verdict = co_await inquiry_.judge(stage, envelope_, nullptr, policy(), answers);
  co_return verdict;
}

void Visit::ask_ahead(filters::Stage stage) {
  if (submission_) return;  // our own users are not judged by where they come from
  inquiry_.ask_ahead(stage, envelope_, snapshot_, answers_of(core_, *snapshot_));
}

smtp::Decision Visit::reject(std::string_view stage, smtp::Reply reply, std::string_view reason,
                             std::string_view recipient) {
  core_.journal.rejected({.stage = stage,
                          .session_id = arrival_.session_id,
                          .envelope = envelope_,
                          .recipient = recipient,
                          .reply = reply,
                          .reason = reason,
                          .addresses = snapshot_->config.log.addresses});
  return {.reply = std::move(reply)};
}

reactor::Task<smtp::Decision> Visit::at(smtp::Stage stage, const smtp::VisitFacts& facts) {
  switch (stage) {
    case smtp::Stage::connect: {
      auto decision = co_await at_connect(facts);
      co_return decision;
    }
    case smtp::Stage::mail: {
      auto decision = co_await at_mail(facts);
      co_return decision;
    }
    case smtp::Stage::rcpt: {
      auto decision = co_await at_rcpt(facts);
      co_return decision;
    }
    case smtp::Stage::auth: {
      snapshot_ = core_.services.snapshots.get();
      auto decision = co_await login_.step(facts.session.pending_auth(), snapshot_);
      co_return decision;
    }
    case smtp::Stage::helo:
    case smtp::Stage::data:
    case smtp::Stage::message:
      break;
  }
  co_return smtp::Decision{.reply = replies::ok()};
}

reactor::Task<smtp::Decision> Visit::at_connect(const smtp::VisitFacts& facts) {
  const auto start = reactor::Clock::now();
  reset();
  look_at_client(facts);
  const filters::Verdict verdict = co_await judge(filters::Stage::connect);
  core_.journal.took(Journal::Stage::connect, since(start));
  if (!refuses(verdict)) {
    ask_ahead(filters::Stage::connect);  // the greeting does not wait for it
    co_return smtp::Decision{.reply = {.code = 220}};
  }
  smtp::Decision decision = reject(
      "connect", replies::refusal(verdict, replies::Moment::greeting, arrival_.session_id), verdict.reason);
  decision.close = decision.reply.code == 421;  // RFC 5321 §3.8
  co_return decision;
}

/// MAIL: from here on the snapshot in force now decides.
reactor::Task<smtp::Decision> Visit::at_mail(const smtp::VisitFacts& facts) {
  const auto start = reactor::Clock::now();
  reset();
  snapshot_ = core_.services.snapshots.get();
  look_at_client(facts);
  const smtp::MailCommand& command = facts.session.pending_mail();
  envelope_.mail_from = command.path.normal_form();
  envelope_.smtputf8 = command.smtputf8;
  if (core_.services.store.would_refuse()) {
    core_.journal.degraded("mail", "store_full");
    co_return reject("mail", replies::no_room(), "the store takes nothing now");
  }
  if (submission_) {
    if (auto refusal = sender_refusal(command.path))
      co_return reject("mail", std::move(*refusal), "not an address of the account");
  }
  const filters::Verdict verdict = co_await judge(filters::Stage::mail);
  timings_.mail = since(start);
  if (refuses(verdict))
    co_return reject("mail", replies::refusal(verdict, replies::Moment::command, arrival_.session_id),
                     verdict.reason);
  ask_ahead(filters::Stage::mail);
  co_return smtp::Decision{.reply = replies::ok()};
}

/// RFC 6409 §6.1: the account's own addresses, and the null path for disposition notifications.
std::optional<smtp::Reply> Visit::sender_refusal(const smtp::Path& path) const {
  if (!login_.succeeded()) return replies::not_authenticated();
  if (path.null) return std::nullopt;
  const Resolution found = snapshot_->directory.resolve(path, arrival_.local.ip);
  if (found.kind == Resolution::Kind::mailbox && found.mailbox == login_.account()) return std::nullopt;
  return replies::not_your_address();
}

reactor::Task<smtp::Decision> Visit::at_rcpt(const smtp::VisitFacts& facts) {
  const auto start = reactor::Clock::now();
  const smtp::Path& path = facts.session.pending_rcpt().path;
  const std::string address = path.normal_form();
  Resolution found = snapshot_->directory.resolve(path, arrival_.local.ip);
  if (submission_ && login_.succeeded()) {
    if (found.kind == Resolution::Kind::foreign) found = snapshot_->directory.resolve_own(path.mailbox);
    const bool room = core_.services.snapshots.logins.take_recipient(
        login_.account(), snapshot_->config.submission.recipients_per_hour_max,
        reactor::Reactor::current().now());
    if (!room)
      co_return reject("rcpt", replies::too_many_this_hour(), "the account writes to too many", address);
  }
  if (found.kind != Resolution::Kind::mailbox && found.kind != Resolution::Kind::relay)
    co_return reject("rcpt", replies::not_mailbox(found.kind), reason_of(found.kind), address);

  AcceptedAddress accepted{.mailbox = std::move(found.mailbox),
                           .quota_octets = found.quota_octets,
                           .destination = std::move(found.destination)};
  const std::uint64_t declared = facts.session.mail() != nullptr ? facts.session.mail()->size : 0;
  if (is_over_quota(core_.services.store, accepted, declared)) {
    const bool for_good = snapshot_->config.over_quota == "refuse";
    co_return reject("rcpt", replies::over_quota(for_good), "the mailbox is over its quota", address);
  }

  envelope_.recipients.push_back(address);
  const filters::Verdict verdict = co_await judge(filters::Stage::rcpt);
  timings_.rcpt += since(start);
  if (refuses(verdict)) {
    envelope_.recipients.pop_back();
    co_return reject("rcpt", replies::refusal(verdict, replies::Moment::command, arrival_.session_id),
                     verdict.reason, address);
  }
  addresses_.push_back(std::move(accepted));
  co_return smtp::Decision{.reply = replies::ok()};
}

reactor::Task<std::vector<smtp::Decision>> Visit::message(smtp::Transaction transaction,
                                                          const smtp::VisitFacts& facts) {
  envelope_.protocol = facts.session.protocol_name();
  envelope_.pipelined_early = facts.session.pipelined_early();
  if (transaction.recipients.size() != addresses_.size()) {
    // The session and we have lost step: nobody can say whom the message is for.
    core_.services.logger.write(
        log::Line(log::Level::error, "recipients_out_of_step").field("sid", arrival_.session_id));
    co_return std::vector<smtp::Decision>{smtp::Decision{.reply = replies::not_stored({})}};
  }
  Mail mail{.snapshot = snapshot_,
            .session_id = arrival_.session_id,
            .lmtp = envelope_.protocol.find("LMTP") != std::string::npos,  // UTF8LMTPS as well
            .own = submission_ && login_.succeeded(),
            .envelope = envelope_,
            .inquiry = &inquiry_,
            .facts = {},
            .addresses = std::exchange(addresses_, {}),
            .transaction = std::move(transaction),
            .timings = timings_};
  inquiry_.hold();  // from here on the message's own envelope counts, and all is asked in one round
  forget_envelope();
  auto decisions = co_await accept_mail(core_, std::move(mail));
  reset();
  co_return decisions;
}

}  // namespace postern::pipeline
