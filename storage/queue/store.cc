#include "storage/queue/reads.h"
#include "storage/store_impl.h"

// The queue's side of Store. Writing is in queue/batch.cc.

namespace postern::storage {

std::expected<std::vector<QueueHead>, Error> Store::queue_heads(std::string_view destination,
                                                                std::uint8_t priority,
                                                                std::size_t count) const {
  return impl_->reading(
      [&](const Database& database) { return queue::heads(database, destination, priority, count); });
}

std::expected<std::vector<QueueDue>, Error> Store::queue_due(std::string_view destination,
                                                             std::uint8_t priority, std::uint64_t from_ms,
                                                             std::uint64_t to_ms, std::size_t count) const {
  return impl_->reading([&](const Database& database) {
    return queue::due(database, destination, priority, from_ms, to_ms, count);
  });
}

std::expected<QueueEntry, Error> Store::queue_entry(const QueueKey& key) const {
  return impl_->reading([&](const Database& database) { return queue::entry(database, key); });
}

std::expected<std::vector<QueueRow>, Error> Store::queue_rows(const std::optional<QueueKey>& after,
                                                              std::size_t count) const {
  return impl_->reading([&](const Database& database) { return queue::rows(database, after, count); });
}

std::expected<std::vector<QueueRow>, Error> Store::queue_outcomes(const MessageId& id) const {
  return impl_->reading([&](const Database& database) { return queue::outcomes(database, id); });
}

std::expected<QueueAudit, Error> Store::queue_audit() const {
  return impl_->reading([](const Database& database) { return queue::audit(database); });
}

QueueTotals Store::queue_totals() const {
  return impl_->directory.queue();
}

std::pair<Ledger, QueueTotals> Store::books() const {
  return impl_->directory.books();
}

std::expected<std::uint64_t, Error> Store::prune_outcomes(
    std::chrono::sys_time<std::chrono::milliseconds> before, std::size_t count) {
  static const std::vector<std::uint32_t> kNoUids;
  Command command{.kind = Command::Kind::prune,
                  .mailbox = {},
                  .folder = {},
                  .uids = kNoUids,
                  .before_ms = to_ms(before),
                  .count = count};
  return impl_->run(command);
}

}  // namespace postern::storage
