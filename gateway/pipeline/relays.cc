#include "gateway/pipeline/relays.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace postern::pipeline {
std::uint32_t relay_flags(const Mail& mail, const filters::Verdict& verdict) {
  const smtp::MailCommand& command = mail.transaction.mail;
  std::uint32_t flags = 0;
  if (command.smtputf8) flags |= storage::kSmtpUtf8;
  if (command.body == smtp::BodyType::eight_bit_mime) flags |= storage::kEightBit;
  if (command.body == smtp::BodyType::binary_mime) flags |= storage::kBinary;
  if (command.ret == smtp::DsnReturn::full) flags |= storage::kReturnFull;
  if (command.ret == smtp::DsnReturn::headers) flags |= storage::kReturnHeaders;
  // A message from nobody may be a report, and is never reported about (RFC 5321 §4.5.5).
  if (mail.envelope.mail_from.empty()) flags |= storage::kReport;
  if (!mail.envelope.mail_from.empty() && may_report(verdict)) flags |= storage::kMayReport;
  return flags;
}

std::uint8_t relay_priority(const Mail& mail, std::uint32_t flags, std::uint64_t octets) {
  const bool small =
      octets <= mail.snapshot->config.queue.small_octets_max || (flags & storage::kReport) != 0;
  return small ? 0 : 1;
}

bool may_report(const filters::Verdict& verdict) {
  if (verdict.action != filters::Action::accept) return false;
  return std::ranges::none_of(verdict.findings, [](const filters::Finding& finding) {
    return finding.name == "SPF_FAIL" || finding.name.starts_with("DMARC_FAIL");
  });
}

std::vector<storage::QueueEntry> relays_of(const Mail& mail, std::span<const std::size_t> recipients,
                                           const filters::Verdict& verdict, std::uint64_t octets,
                                           std::size_t return_path_octets) {
  std::vector<storage::QueueEntry> entries;
  std::unordered_map<std::string_view, std::size_t> open;  // destination → the entry that still has room
  std::unordered_set<std::string_view> seen;
  const std::uint32_t flags = relay_flags(mail, verdict);
  const std::uint8_t priority = relay_priority(mail, flags, octets);
  for (const std::size_t i : recipients) {
    const AcceptedAddress& address = mail.addresses[i];
    if (!address.relayed() || !seen.insert(address.mailbox).second) continue;
    const auto [place, fresh] = open.try_emplace(address.destination, entries.size());
    if (!fresh && entries[place->second].recipients.size() >= storage::kQueueRecipientsMax)
      place->second = entries.size();
    if (place->second == entries.size()) {
      const auto now = mail.envelope.received_at.time_since_epoch().count();
      entries.push_back({.destination = address.destination,
                         .sender = mail.envelope.mail_from,
                         .envid = mail.transaction.mail.envid,
                         .flags = flags,
                         .priority = priority,
                         .skip_octets = return_path_octets,
                         .due_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now, 0))});
    }
    const smtp::RcptCommand& command = mail.transaction.recipients[i].command;
    entries[place->second].recipients.push_back(
        {.address = address.mailbox, .notify = command.notify, .orcpt = command.orcpt});
  }
  return entries;
}

}  // namespace postern::pipeline
