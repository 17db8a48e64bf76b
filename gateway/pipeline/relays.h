#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "filters/verdict.h"
#include "gateway/pipeline/mail.h"
#include "storage/queue/entry.h"

namespace postern::pipeline {

/// The queue entries of a message: those of its relayed recipients that `recipients` names by their place in Mail.addresses, by
/// destination, at most storage::kQueueRecipientsMax in each. `octets`: the message as stored; `return_path_octets` of it, in front,
/// stay here.
std::vector<storage::QueueEntry> relays_of(const Mail& mail, std::span<const std::size_t> recipients,
                                           const filters::Verdict& verdict, std::uint64_t octets,
                                           std::size_t return_path_octets);

/// storage::QueueFlag of an entry of this message, and its priority.
std::uint32_t relay_flags(const Mail& mail, const filters::Verdict& verdict);
std::uint8_t relay_priority(const Mail& mail, std::uint32_t flags, std::uint64_t octets);

/// Whether a report to this sender would reach who really wrote: not for what we took for spam, nor when the
/// sender's own domain disowns it (SPF or DMARC fail). RFC 3834 §2 and common sense: no backscatter.
bool may_report(const filters::Verdict& verdict);

}  // namespace postern::pipeline
