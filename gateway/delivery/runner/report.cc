#include "gateway/delivery/runner/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/pipeline/json.h"
#include "gateway/smtp/address.h"

namespace postern::delivery {
namespace {

constexpr std::string_view kReturnPath = "Return-Path: <>\r\n";

std::chrono::sys_seconds seconds_of(std::uint64_t ms) {
  return std::chrono::sys_seconds(std::chrono::seconds(static_cast<std::int64_t>(ms / 1000)));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "5.1.1" at the beginning (RFC 3463 §2), or nothing.
std::string_view enhanced_code(std::string_view text) {
  std::size_t at = 0;
  for (int part = 0; part < 3; ++part) {
    if (part > 0 && (at >= text.size() || text[at++] != '.')) return {};
    const std::size_t first = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == first || at - first > 3) return {};
  }
  return at < text.size() && text[at] != ' ' ? std::string_view() : text.substr(0, at);
}

class Writer {
 public:
  Writer(const ReportDesk& desk, const storage::QueueKey& key, const storage::QueueEntry& entry,
         const Settlement& settlement, const std::vector<RecipientResult>& results, std::string_view message)
      : desk_(desk),
        key_(key),
        entry_(entry),
        settlement_(settlement),
        results_(results),
        message_(message) {}

  Reports run() {
    std::vector<std::size_t> failed = settlement_.failed;
    failed.insert(failed.end(), settlement_.expired.begin(), settlement_.expired.end());
    add(report::Action::failed, failed);
    add(report::Action::delayed, settlement_.delayed);
    add(report::Action::relayed, settlement_.relayed);
    return std::move(reports_);
  }

 private:
  void add(report::Action action, const std::vector<std::size_t>& recipients) {
    if (recipients.empty()) return;
    // Success is only reported to whoever asked for it; failure and delay to whoever is likely to have written.
    const bool plausible =
        (entry_.flags & storage::kMayReport) != 0 && (entry_.flags & storage::kReport) == 0;
    const auto mailbox = smtp::parse_mailbox(entry_.sender, true);
    if (!plausible || !mailbox) {
      ++reports_.suppressed;
      return;
    }
    report::Order order = order_for(action, recipients);
    auto written = report::write(order);
    const pipeline::Resolution to = desk_.snapshot.directory.resolve_own(*mailbox);
    const bool reachable =
        to.kind == pipeline::Resolution::Kind::mailbox || to.kind == pipeline::Resolution::Kind::relay;
    if (!written || !reachable) {
      ++reports_.suppressed;
      return;
    }
    reports_.transactions.push_back(transaction(order.report_id, std::move(*written), to));
  }

  report::Order order_for(report::Action action, const std::vector<std::size_t>& recipients) {
    const config::Config& config = desk_.snapshot.config;
    id_ = desk_.ids.next(now());
    report::Order order{
        .reporting_host = config.hostname,
        .postmaster = config.postmaster.empty() ? "postmaster@" + config.hostname : config.postmaster,
        .report_id = id_.text(),
        .sender = entry_.sender,
        .envid = entry_.envid,
        .arrival = seconds_of(entry_.received_ms),
        .now = seconds_of(desk_.now_ms)};
    if ((entry_.flags & storage::kReturnFull) != 0) order.ret = smtp::DsnReturn::full;
    if ((entry_.flags & storage::kReturnHeaders) != 0) order.ret = smtp::DsnReturn::headers;
    order.content = message_.substr(std::min<std::size_t>(entry_.skip_octets, message_.size()));
    const std::uint64_t until_ms = entry_.received_ms + std::uint64_t{config.queue.expire_s} * 1000;
    for (const std::size_t index : recipients) {
      report::Subject subject{.address = entry_.recipients[index].address,
                              .orcpt = entry_.recipients[index].orcpt,
                              .action = action};
      for (std::size_t i = 0; i < settlement_.update.outcomes.size(); ++i) {
        const storage::QueueOutcome& outcome = settlement_.update.outcomes[i];
        if (outcome.recipient != index) continue;
        const auto kind = action == report::Action::failed    ? RecipientResult::Kind::permanent
                          : action == report::Action::relayed ? RecipientResult::Kind::delivered
                                                              : RecipientResult::Kind::temporary;
        subject.result = i < results_.size() ? results_[i] : result_of(outcome.reply, kind);
        subject.remote_host = outcome.host;
      }
      if (settlement_.update.attempted) subject.last_attempt = order.now;
      if (action == report::Action::delayed) subject.will_retry_until = seconds_of(until_ms);
      order.subjects.push_back(std::move(subject));
    }
    return order;
  }

  std::shared_ptr<const storage::Transaction> transaction(const std::string& id, report::Written written,
                                                          const pipeline::Resolution& to) const {
    auto made = std::make_shared<storage::Transaction>();
    made->id = id_;
    made->received_at = now();
    made->header = kReturnPath;
    const auto body = std::make_shared<const std::string>(std::move(written.message));
    made->owner = body;
    made->body = *body;
    std::string destination = to.mailbox;
    if (to.kind == pipeline::Resolution::Kind::mailbox) {
      made->deliveries.push_back({.mailbox = to.mailbox});
    } else {
      storage::QueueEntry entry{.destination = to.destination,
                                .flags = storage::kReport,
                                .skip_octets = kReturnPath.size(),
                                .due_ms = desk_.now_ms};
      if (written.eight_bit) entry.flags |= storage::kEightBit;
      if (written.smtputf8) entry.flags |= storage::kSmtpUtf8;
      // RFC 3461 §6.2: nobody is told about a report.
      entry.recipients.push_back({.address = to.mailbox, .notify = smtp::kNotifyNever});
      made->relays.push_back(std::move(entry));
    }
    made->envelope = envelope(id, destination, body->size());
    made->record = record();
    return made;
  }

  std::string envelope(const std::string& id, const std::string& recipient, std::size_t octets) const {
    pipeline::JsonWriter json(256);
    json.open_object();
    json.field("id", id);
    json.field("received_at_ms", static_cast<std::int64_t>(desk_.now_ms));
    json.field("mail_from", "");
    json.field("octets", octets);
    json.open_array("recipients");
    json.open_object();
    json.field("address", recipient);
    json.close_object();
    json.close_array();
    json.close_object();
    return json.take();
  }

  std::string record() const {
    pipeline::JsonWriter json(256);
    json.open_object();
    json.field("action", "accept");
    json.field("score", 0.0);
    json.field("reason", fmt::format("a delivery report about {}", key_.text()));
    for (const char* list : {"findings", "incomplete", "facts"}) {
      json.open_array(list);
      json.close_array();
    }
    json.close_object();
    return json.take();
  }

  std::chrono::sys_time<std::chrono::milliseconds> now() const {
    return std::chrono::sys_time<std::chrono::milliseconds>(
        std::chrono::milliseconds(static_cast<std::int64_t>(desk_.now_ms)));
  }

  const ReportDesk& desk_;
  const storage::QueueKey& key_;
  const storage::QueueEntry& entry_;
  const Settlement& settlement_;
  const std::vector<RecipientResult>& results_;
  const std::string_view message_;
  storage::MessageId id_;
  Reports reports_;
};

}  // namespace

RecipientResult result_of(std::string_view reply, RecipientResult::Kind kind) {
  RecipientResult result{.kind = kind};
  const bool coded = reply.size() > 4 && reply[3] == ' ' && std::ranges::all_of(reply.substr(0, 3), is_digit);
  if (coded) {
    result.code = (reply[0] - '0') * 100 + (reply[1] - '0') * 10 + (reply[2] - '0');
    reply.remove_prefix(4);
    result.stage = AttemptStage::message;
    const std::string_view enhanced = enhanced_code(reply);
    result.enhanced = enhanced;
    if (!enhanced.empty()) reply.remove_prefix(std::min(enhanced.size() + 1, reply.size()));
  }
  result.text = reply;
  return result;
}

Reports reports_of(const ReportDesk& desk, const storage::QueueKey& key, const storage::QueueEntry& entry,
                   const Settlement& settlement, const std::vector<RecipientResult>& results,
                   std::string_view message) {
  return Writer(desk, key, entry, settlement, results, message).run();
}

}  // namespace postern::delivery
