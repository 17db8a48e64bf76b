#include "gateway/pipeline/accept.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "filters/judge.h"
#include "filters/message/header_text.h"
#include "gateway/pipeline/aggregate.h"
#include "gateway/pipeline/classification.h"
#include "gateway/pipeline/parcels.h"
#include "gateway/pipeline/record.h"
#include "gateway/pipeline/relays.h"
#include "gateway/pipeline/replies.h"
#include "gateway/pipeline/submission.h"
#include "gateway/pipeline/trace.h"

namespace postern::pipeline {
namespace {

constexpr std::size_t kMessageIdOctetsMax =
    998;  // of the field Message-ID in the log: one line (RFC 5322 §2.1.1)

/// The door back from the commit thread: the outcome is kept here and the waiting task resumes on its own
/// core. The store calls done() exactly once for each submit() that it took, so the wait ends.
class Commit final : public storage::Completion {
 public:
  Commit() : reactor_(reactor::Reactor::current()) {}
  void done(const std::expected<void, storage::Error>& result) noexcept override {
    result_ = result;
    reactor_.post([this] { event_.open(); });  // the last touch from that thread
  }
  reactor::Task<void> wait() { return event_.wait(); }
  const std::expected<void, storage::Error>& result() const { return result_; }

 private:
  reactor::Reactor& reactor_;
  reactor::Event event_;
  std::expected<void, storage::Error> result_;
};

/// One message's way. Lives in the frame of accept_mail().
class Acceptance {
 public:
  Acceptance(Core& core, Mail& mail) : core_(core), mail_(mail), config_(mail.snapshot->config) {
    const auto now = reactor::Reactor::current().now_utc();
    id_ = core_.ids.next(now);
    mail_.envelope.id = id_.text();
    mail_.envelope.received_at = now;
    body_ = std::make_shared<const smtp::Body>(std::move(mail_.transaction.body));
    if (mail_.own) complete();
  }

  reactor::Task<std::vector<smtp::Decision>> run();

 private:
  const filters::Policy& policy() const {
    return mail_.own ? mail_.snapshot->own_policy : mail_.snapshot->policy;
  }
  void complete();
  reactor::Task<bool> analyse();
  reactor::Task<smtp::Reply> store();
  storage::Transaction entry();
  storage::Transaction copy_for(const Parcel* parcel, storage::MessageId id) const;
  void fill(storage::Transaction& entry, const Parcel& parcel, std::size_t return_path_octets) const;
  std::string header_text(std::string_view name) const;
  filters::Verdict refusal_for(std::size_t recipient) const;
  void keep_refusal();
  bool note_full_mailboxes();
  void sign();
  std::string with_signature(const TracedMessage& traced) const;
  std::vector<smtp::Decision> finish(const smtp::Reply& reply, bool stored);
  const std::string& id() const { return mail_.envelope.id; }
  const filters::Verdict* verdict() const { return verdict_ ? &*verdict_ : nullptr; }

  Core& core_;
  Mail& mail_;
  const config::Config& config_;
  storage::MessageId id_;
  std::shared_ptr<const smtp::Body> body_;
  std::optional<filters::Analysis> analysis_;
  filters::Memo memo_;  ///< of analysis_, which does not move
  std::optional<filters::Verdict> verdict_;
  std::string signature_;   ///< DKIM-Signature fields of ours; empty: none
  std::vector<bool> full_;  ///< LMTP: recipients whose mailbox has no room; empty: none
  Parcels parcels_;
};

reactor::Task<std::vector<smtp::Decision>> Acceptance::run() {
  const bool analysed = co_await analyse();
  if (!analysed) {
    core_.journal.degraded("analysis", "queue_full");
    co_return finish(replies::busy(id()), false);
  }

  const auto start = reactor::Clock::now();
  Answers answers = answers_of(core_, *mail_.snapshot);
  const Answers::Classify classify = [this](const filters::Question& question) {
    return classification_of(core_.services.classifier, *analysis_, question);
  };
  answers.classify_with(&classify);
  verdict_ = co_await mail_.inquiry->judge(filters::Stage::data, mail_.envelope, &*analysis_, policy(),
                                           answers, &memo_);
  mail_.facts = mail_.inquiry->take_facts();
  mail_.timings.judge = since(start);
  if (verdict_->action == filters::Action::reject || verdict_->action == filters::Action::defer) {
    keep_refusal();
    co_return finish(replies::refusal(*verdict_, replies::Moment::data, id()), false);
  }

  if (note_full_mailboxes()) co_return finish(replies::over_quota(config_.over_quota == "refuse"), false);
  parcels_ = parcels_of(mail_, *verdict_, policy(), full_);
  // LMTP: everybody is refused or full, each for his own reason.
  if (parcels_.empty()) co_return finish(replies::over_quota(config_.over_quota == "refuse"), false);
  const smtp::Reply reply = co_await store();
  co_return finish(reply, reply.positive());
}

/// RFC 6409 §8. Where there is no memory for another copy, the message stays as it came.
void Acceptance::complete() {
  const auto now = std::chrono::floor<std::chrono::seconds>(mail_.envelope.received_at);
  const auto better = completed(body_->view(), config_.hostname, id(), now);
  if (!better) return;
  smtp::Body body;
  if (body.append(*better)) body_ = std::make_shared<const smtp::Body>(std::move(body));
}

/// False: the workers have too much to do already.
reactor::Task<bool> Acceptance::analyse() {
  const auto start = reactor::Clock::now();
  if (body_->size() <= config_.limits.analysis_inline_octets_max) {
    analysis_ = filters::analyse(body_->view(), policy());
    sign();
    mail_.timings.analysis = since(start);
    co_return true;
  }
  auto work = [this] {
    analysis_ = filters::analyse(body_->view(), policy());
    sign();
    memo_.prepare(mail_.envelope, *analysis_, policy());
  };
  const auto done = co_await core_.services.workers.run(std::move(work));
  mail_.timings.analysis = since(start);
  co_return done.has_value() && analysis_.has_value();
}

/// Our own users' mail, on whatever thread analyses it.
void Acceptance::sign() {
  if (!mail_.own) return;
  signature_ = mail_.snapshot->signers.sign(
      *analysis_, std::chrono::floor<std::chrono::seconds>(mail_.envelope.received_at));
}

/// Return-Path stays on top, because the queue takes it off again.
std::string Acceptance::with_signature(const TracedMessage& traced) const {
  std::string header = traced.header.substr(0, traced.return_path_octets);
  header.append(signature_).append(traced.header, traced.return_path_octets);
  return header;
}

/// Mailboxes may have filled up since RCPT. In LMTP each recipient hears of its own; in SMTP there is one
/// reply for all, so the message is refused only when nobody has room, and else goes to all who were promised
/// it. True: nobody has room.
bool Acceptance::note_full_mailboxes() {
  std::vector<bool> full(mail_.addresses.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < full.size(); ++i) {
    full[i] = is_over_quota(core_.services.store, mail_.addresses[i], 0);
    if (full[i]) ++count;
  }
  if (count == 0) return false;
  if (count == full.size()) return true;
  if (mail_.lmtp) full_ = std::move(full);
  return false;
}

/// So that explain() can say why, whoever asks with the id of the reply. The client does not wait for it.
void Acceptance::keep_refusal() {
  const bool for_good =
      verdict_->action == filters::Action::reject;  // what is deferred comes again, and counts then
  storage::Counted counted;
  if (for_good) counted = counted_for_dmarc(mail_.envelope, *verdict_);
  core_.services.store.submit({.id = id_,
                               .received_at = mail_.envelope.received_at,
                               .envelope = envelope_json(mail_, body_->size()),
                               .record = decision_json(mail_, *verdict_),
                               .counted = std::move(counted)});
}

/// All parcels in one: the first with the message's own id, the others as its variants. So a 250 stands for all recipients or none.
storage::Transaction Acceptance::entry() {
  const std::vector<Parcel>& parcels = parcels_.parcels;
  storage::Transaction entry = copy_for(parcels.empty() ? nullptr : &parcels.front(), id_);
  entry.discarded = parcels_.discarded;
  entry.counted = counted_for_dmarc(mail_.envelope, *verdict_);
  for (std::size_t i = 1; i < parcels.size(); ++i)
    entry.variants.push_back(std::make_shared<const storage::Transaction>(
        copy_for(&parcels[i], core_.ids.next(mail_.envelope.received_at))));
  return entry;
}

/// Without a parcel: nobody gets it, and only why is kept.
storage::Transaction Acceptance::copy_for(const Parcel* parcel, storage::MessageId id) const {
  storage::Transaction entry;
  entry.id = id;
  entry.received_at = mail_.envelope.received_at;
  entry.mail_from = mail_.envelope.mail_from;
  entry.envelope = envelope_json(mail_, body_->size());
  entry.record = decision_json(mail_, *verdict_);
  if (parcel == nullptr) return entry;
  const bool judged = mail_.snapshot->policy.enabled && !mail_.own;
  const bool as_is = parcel->look.action == verdict_->action && parcel->look.required == verdict_->required;
  std::optional<filters::Verdict> shown;
  if (judged && !as_is) shown = shown_as(*verdict_, parcel->look);
  const filters::Verdict* front = shown ? &*shown : verdict();
  TracedMessage traced =
      put_trace_in_front(mail_.envelope, judged ? front : nullptr, *analysis_,
                         config_.filter.authentication.received_spf, parcel->look.subject_tag);
  const std::size_t return_path_octets = traced.return_path_octets;
  entry.header = signature_.empty() ? std::move(traced.header) : with_signature(traced);
  entry.owner = body_;
  entry.body = traced.body;
  fill(entry, *parcel, return_path_octets);
  return entry;
}

void Acceptance::fill(storage::Transaction& entry, const Parcel& parcel,
                      std::size_t return_path_octets) const {
  entry.deliveries.reserve(parcel.mailboxes.size() + parcel.junk.size());
  for (const std::size_t i : parcel.mailboxes)
    entry.deliveries.push_back({.mailbox = mail_.addresses[i].mailbox});
  for (const std::size_t i : parcel.junk)
    entry.deliveries.push_back({.mailbox = mail_.addresses[i].mailbox, .folder = std::string(kJunkFolder)});
  const std::uint64_t octets = entry.header.size() + entry.body.size();
  entry.relays = relays_of(mail_, parcel.relayed, *verdict_, octets, return_path_octets);
  if (parcel.quarantined.empty()) return;
  const std::string from = header_text("From");
  const std::string subject = header_text("Subject");
  for (const std::size_t i : parcel.quarantined)
    entry.quarantined.push_back(
        quarantine_entry_of(mail_, i, *verdict_, from, subject, octets, return_path_octets));
}

/// The verdict as it is for one recipient.
filters::Verdict Acceptance::refusal_for(std::size_t recipient) const {
  const filters::Disposition& disposition = verdict_->dispositions[recipient];
  filters::Verdict own;
  own.action = disposition.action;
  own.refusal = disposition.refusal;
  own.reason = disposition.reason;
  return own;
}

std::string Acceptance::header_text(std::string_view name) const {
  const filters::HeaderField* field = analysis_->find(name);
  filters::Oddities oddities;
  return field == nullptr ? std::string() : filters::decode_header_text(field->value, oddities);
}

reactor::Task<smtp::Reply> Acceptance::store() {
  const auto start = reactor::Clock::now();
  Commit commit;
  storage::Transaction transaction = entry();
  std::vector<std::tuple<std::string, std::uint8_t, std::uint64_t>> outbound;
  const auto note = [&outbound](const std::vector<storage::QueueEntry>& relays) {
    for (const storage::QueueEntry& relay : relays)
      outbound.emplace_back(relay.destination, relay.priority, relay.due_ms);
  };
  note(transaction.relays);
  for (const auto& variant : transaction.variants) note(variant->relays);
  const bool taken = core_.services.store.submit(std::move(transaction), commit);
  if (!taken) {
    core_.journal.degraded("store", "full");
    co_return replies::no_space(id());
  }
  co_await commit.wait();
  mail_.timings.store = since(start);
  if (commit.result()) {
    if (core_.services.outbound != nullptr)
      for (const auto& [destination, priority, due_ms] : outbound)
        core_.services.outbound->queued(destination, priority, due_ms);
    co_return replies::accepted(id());
  }
  const storage::Error& error = commit.result().error();
  core_.journal.degraded("store", storage::to_string(error.code));
  core_.services.logger.write(
      log::Line(log::Level::error, "store_failed").field("mid", id()).field("error", error.text()));
  co_return error.code == storage::Code::no_space ? replies::no_space(id()) : replies::not_stored(id());
}

std::vector<smtp::Decision> Acceptance::finish(const smtp::Reply& reply, bool stored) {
  std::string message_id;
  const filters::HeaderField* field = analysis_ ? analysis_->find("Message-ID") : nullptr;
  if (field != nullptr) message_id = filters::Analysis::unfolded(field->value.substr(0, kMessageIdOctetsMax));
  core_.journal.message({.mail = mail_,
                         .verdict = verdict(),
                         .octets = body_->size(),
                         .message_id = message_id,
                         .reply = reply,
                         .stored = stored});
  if (!mail_.lmtp) return {smtp::Decision{.reply = reply}};
  std::vector<smtp::Decision> each(mail_.addresses.size(), smtp::Decision{.reply = reply});
  for (std::size_t i = 0; stored && i < full_.size(); ++i) {
    if (full_[i]) each[i].reply = replies::over_quota(config_.over_quota == "refuse");
  }
  // Also where nobody got it: what is refused for good is not said to be full.
  for (std::size_t i = 0; i < parcels_.ways.size(); ++i)
    if (parcels_.ways[i] == Way::refused)
      each[i].reply = replies::refusal(refusal_for(i), replies::Moment::data, id());
  return each;
}

}  // namespace

bool is_over_quota(const storage::Store& store, const AcceptedAddress& address,
                   std::uint64_t declared_octets) {
  if (address.quota_octets == 0) return false;
  const std::uint64_t used = store.usage(address.mailbox).octets;
  return used >= address.quota_octets || declared_octets > address.quota_octets - used;
}

reactor::Task<std::vector<smtp::Decision>> accept_mail(Core& core, Mail mail) {
  Acceptance acceptance(core, mail);
  auto replies = co_await acceptance.run();
  co_return replies;
}

}  // namespace postern::pipeline
