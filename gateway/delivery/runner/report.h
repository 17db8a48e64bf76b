#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/delivery/report/write.h"
#include "gateway/delivery/runner/settle.h"
#include "gateway/pipeline/snapshot.h"
#include "storage/message_id.h"
#include "storage/store.h"

namespace postern::delivery {

/// The reports that a settlement owes the sender, each as a transaction for the store: into a mailbox of ours or
/// into the queue again. `message`: the stored octets; empty: they cannot be read, and nothing is returned.
struct ReportDesk {
  const pipeline::Snapshot& snapshot;
  storage::MessageIdSource& ids;
  std::uint64_t now_ms;
};
struct Reports {
  std::vector<std::shared_ptr<const storage::Transaction>> transactions;
  std::size_t suppressed = 0;  ///< owed, but the sender is nobody, not plausible, or an address that is none
};
/// `results` belong to the settlement's outcomes; where there are fewer, the texts of the outcomes count.
Reports reports_of(const ReportDesk& desk, const storage::QueueKey& key, const storage::QueueEntry& entry,
                   const Settlement& settlement, const std::vector<RecipientResult>& results,
                   std::string_view message);

/// A result as it was remembered: "451 4.3.0 later", or a sentence of ours.
RecipientResult result_of(std::string_view reply, RecipientResult::Kind kind);

}  // namespace postern::delivery
