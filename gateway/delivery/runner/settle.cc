#include "gateway/delivery/runner/settle.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/smtp/command.h"

namespace postern::delivery {
namespace {

using storage::RecipientState;

bool wants(const storage::QueueRecipient& recipient, smtp::Notify what) {
  return (recipient.notify & what) != 0;
}

/// RFC 3461 §5.2.3: without NOTIFY, failures are reported and, at our choice, delays are not.
bool wants_failure(const storage::QueueRecipient& recipient) {
  return recipient.notify == smtp::kNotifyUnspecified || wants(recipient, smtp::kNotifyFailure);
}

std::uint64_t age_ms(const storage::QueueEntry& entry, std::uint64_t now_ms) {
  return now_ms > entry.received_ms ? now_ms - entry.received_ms : 0;
}

}  // namespace

bool Patience::is_over(const storage::QueueEntry& entry, std::uint64_t now_ms) const {
  const bool report = (entry.flags & storage::kReport) != 0;
  return age_ms(entry, now_ms) >= (report ? report_expire_ms : expire_ms);
}

std::vector<std::size_t> waiting_of(const storage::QueueEntry& entry) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < entry.recipients.size(); ++i)
    if (entry.recipients[i].state == RecipientState::waiting) indices.push_back(i);
  return indices;
}

std::string reply_text(const RecipientResult& result) {
  if (result.code == 0) return result.text;
  return fmt::format("{} {}{}{}", result.code, result.enhanced, result.enhanced.empty() ? "" : " ",
                     result.text);
}

Settlement settle(const storage::QueueKey& key, const storage::QueueEntry& entry,
                  const std::vector<std::size_t>& tried, const std::vector<RecipientResult>& results,
                  const std::string& host, const Patience& patience, const Retries& retries,
                  std::uint64_t now_ms, double chance) {
  Settlement settlement{.update = {.key = key, .now_ms = now_ms, .attempted = true}};
  const bool over = patience.is_over(entry, now_ms);
  std::string reason;
  bool again = false;
  for (std::size_t i = 0; i < tried.size() && i < results.size(); ++i) {
    const storage::QueueRecipient& recipient = entry.recipients[tried[i]];
    const RecipientResult& result = results[i];
    storage::QueueOutcome outcome{.recipient = tried[i], .host = host, .reply = reply_text(result)};
    switch (result.kind) {
      case RecipientResult::Kind::delivered:
        outcome.state = RecipientState::relayed;
        // RFC 3461 §6.2.6: relayed to a host that does not speak DSN, the last that is known.
        if (wants(recipient, smtp::kNotifySuccess) && !result.dsn_passed_on)
          settlement.relayed.push_back(tried[i]);
        break;
      case RecipientResult::Kind::permanent:
        outcome.state = RecipientState::bounced;
        if (wants_failure(recipient)) settlement.failed.push_back(tried[i]);
        break;
      case RecipientResult::Kind::temporary:
        outcome.state = over ? RecipientState::expired : RecipientState::waiting;
        if (over && wants_failure(recipient)) settlement.expired.push_back(tried[i]);
        again = again || !over;
        reason = outcome.reply;
        break;
    }
    settlement.update.outcomes.push_back(std::move(outcome));
  }
  if (!again) return settlement;
  settlement.update.reason = std::move(reason);
  settlement.again_ms = now_ms + retries.wait_ms(entry.attempts + 1, chance);
  settlement.update.due_ms = settlement.again_ms;
  const bool told = (entry.flags & storage::kDelayReported) != 0;
  if (told || age_ms(entry, now_ms) < patience.warn_ms) return settlement;
  for (const std::size_t index : tried)
    if (wants(entry.recipients[index], smtp::kNotifyDelay)) settlement.delayed.push_back(index);
  std::erase_if(settlement.delayed, [&](std::size_t index) {
    return std::ranges::any_of(settlement.update.outcomes, [&](const storage::QueueOutcome& outcome) {
      return outcome.recipient == index && outcome.state != RecipientState::waiting;
    });
  });
  settlement.update.set_flags = storage::kDelayReported;
  return settlement;
}

Settlement give_up(const storage::QueueKey& key, const storage::QueueEntry& entry, const std::string& reason,
                   std::uint64_t now_ms) {
  Settlement settlement{.update = {.key = key, .now_ms = now_ms}};
  for (const std::size_t index : waiting_of(entry)) {
    const storage::QueueRecipient& recipient = entry.recipients[index];
    settlement.update.outcomes.push_back({.recipient = index,
                                          .state = RecipientState::expired,
                                          .host = recipient.host,
                                          .reply = recipient.reply.empty() ? reason : recipient.reply});
    if (wants_failure(recipient)) settlement.expired.push_back(index);
  }
  return settlement;
}

}  // namespace postern::delivery
