#include "storage/commit_thread.h"

#include <fmt/format.h>
#include <pthread.h>
#include <rocksdb/perf_level.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace postern::storage {
namespace {

/// What a queued transaction costs beside its octets; keeps a flood of tiny ones within the bound as well.
constexpr std::size_t kTransactionOverhead = 512;

std::uint64_t microseconds(std::chrono::steady_clock::duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

}  // namespace

CommitThread::CommitThread(const Options& options, const Database& database, Directory& directory,
                           MessageId newest, std::shared_ptr<Health> health, Reopen reopen)
    : options_(options),
      database_(database),
      health_(std::move(health)),
      reopen_(std::move(reopen)),
      batch_(database, directory, newest, options) {
  upkeep(Clock::now());  // so that the first statistics() and the first submit() know the disk
  thread_ = std::thread([this] { loop(); });
}

std::size_t CommitThread::octets_of(const Transaction& transaction) {
  std::size_t octets = kTransactionOverhead + transaction.mail_from.size() + transaction.header.size() +
                       transaction.body.size() + transaction.envelope.size() + transaction.record.size();
  for (const Delivery& delivery : transaction.deliveries)
    octets += sizeof(Delivery) + delivery.mailbox.size() + delivery.folder.size();
  for (const QueueEntry& entry : transaction.relays) {
    octets += sizeof(QueueEntry) + entry.destination.size() + entry.sender.size();
    for (const QueueRecipient& recipient : entry.recipients)
      octets += sizeof(QueueRecipient) + recipient.address.size() + recipient.orcpt.size();
  }
  for (const QuarantineEntry& entry : transaction.quarantined)
    octets += sizeof(QuarantineEntry) + entry.recipient.size() + entry.subject.size() + entry.reason.size();
  for (const auto& variant : transaction.variants) octets += octets_of(*variant);
  return octets;
}

std::size_t CommitThread::octets_of(const QueueUpdate& update) {
  std::size_t octets = kTransactionOverhead;
  for (const QueueOutcome& outcome : update.outcomes)
    octets += sizeof(QueueOutcome) + outcome.host.size() + outcome.reply.size();
  for (const auto& report : update.reports) octets += octets_of(*report);
  return octets;
}

bool CommitThread::full(std::size_t octets) const {
  const std::size_t transactions = queued_transactions_.load(std::memory_order_relaxed);
  if (transactions >= options_.queue_transactions_max) return true;
  if (transactions == 0) return false;  // one that is larger than the whole bound must get through some time
  const std::size_t queued = queued_octets_.load(std::memory_order_relaxed);
  return queued >= options_.queue_octets_max || octets > options_.queue_octets_max - queued;
}

bool CommitThread::would_refuse() const {
  return !health_->well() || full(0);
}

bool CommitThread::submit(Transaction&& transaction, Completion& completion) {
  const std::size_t octets = octets_of(transaction);
  std::unique_lock lock(mutex_);
  if (stopping_ || !health_->well() || full(octets)) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  queued_transactions_.fetch_add(1, std::memory_order_relaxed);
  queued_octets_.fetch_add(octets, std::memory_order_relaxed);
  enqueue(Item{.transaction = std::move(transaction), .completion = &completion, .octets = octets}, lock);
  return true;
}

bool CommitThread::update(QueueUpdate&& update, Completion& completion) {
  const std::size_t octets = octets_of(update);
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  queued_transactions_.fetch_add(1, std::memory_order_relaxed);
  queued_octets_.fetch_add(octets, std::memory_order_relaxed);
  enqueue(Item{.completion = &completion,
               .update = std::make_unique<QueueUpdate>(std::move(update)),
               .octets = octets},
          lock);
  return true;
}

std::expected<void, Error> CommitThread::add(const Item& item) {
  if (log_suspect_) return not_tried();
  if (item.refusal) {
    if (!batch_.add(*item.refusal)) counters_.refusals_dropped.fetch_add(1, std::memory_order_relaxed);
    return {};  // it may have been counted all the same
  }
  return item.update ? batch_.update(*item.update) : batch_.add(item.transaction);
}

void CommitThread::submit(Refusal&& refusal) {
  const std::size_t octets = kTransactionOverhead + refusal.envelope.size() + refusal.record.size() +
                             refusal.counted.domain.size() + refusal.counted.row.size();
  auto kept = std::make_unique<Refusal>(std::move(refusal));
  std::unique_lock lock(mutex_);
  if (stopping_ || !health_->well() || full(octets)) {
    counters_.refusals_dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queued_transactions_.fetch_add(1, std::memory_order_relaxed);
  queued_octets_.fetch_add(octets, std::memory_order_relaxed);
  enqueue(Item{.transaction = {}, .refusal = std::move(kept), .octets = octets}, lock);
}

std::expected<std::uint64_t, Error> CommitThread::run(Command& command) {
  auto outcome = command.result.get_future();
  std::unique_lock lock(mutex_);
  if (stopping_) return std::unexpected(Error{.code = Code::stopping, .context = "the store is closing"});
  enqueue(Item{.command = &command}, lock);
  return outcome.get();
}

void CommitThread::enqueue(Item&& item, std::unique_lock<std::mutex>& lock) {
  pending_.push_back(std::move(item));
  const bool call = std::exchange(asleep_, false);
  lock.unlock();
  if (call) wake_.notify_one();
}

void CommitThread::stop() {
  std::call_once(stopped_, [this] {
    health_->set(Trouble::stopping, "the store is closing");
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      asleep_ = false;
    }
    wake_.notify_one();
    thread_.join();
  });
}

void CommitThread::loop() {
  (void)::pthread_setname_np(::pthread_self(), "commit");
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);  // counters per thread that nobody reads
  while (take()) {
    for (std::size_t at = 0; at < taken_.size();) at = commit_from(at);
    taken_.clear();
    const Clock::time_point now = Clock::now();
    if (now >= next_upkeep_) upkeep(now);
  }
}

/// Everything pending, or nothing after a while. False: stopping, and all is done. Between first arrival and
/// taking it nobody is woken: who submits meanwhile only adds to the queue.
bool CommitThread::take() {
  std::unique_lock lock(mutex_);
  if (pending_.empty() && !stopping_) {
    asleep_ = true;
    wake_.wait_until(lock, next_upkeep_, [this] { return !pending_.empty() || stopping_; });
    asleep_ = false;
  }
  if (worth_gathering()) {
    lock.unlock();
    std::this_thread::sleep_for(options_.gather_time);
    lock.lock();
  }
  taken_.swap(pending_);
  note_arrivals(taken_.size(), Clock::now());
  return !taken_.empty() || !stopping_;
}

bool CommitThread::worth_gathering() const {
  const double seconds = std::chrono::duration<double>(options_.gather_time).count();
  return !stopping_ && arrivals_per_second_ * seconds >= kGatherMin &&
         queued_transactions_.load(std::memory_order_relaxed) < options_.queue_transactions_max / 2 &&
         queued_octets_.load(std::memory_order_relaxed) < options_.batch_octets_max;
}

/// An average that forgets half of what was every kMemory, however many batches that is.
void CommitThread::note_arrivals(std::size_t count, Clock::time_point now) {
  constexpr double kMemory = 0.02;
  const double seconds = std::max(std::chrono::duration<double>(now - taken_at_).count(), 1e-6);
  const double kept = std::exp2(-seconds / kMemory);
  arrivals_per_second_ = arrivals_per_second_ * kept + static_cast<double>(count) / seconds * (1 - kept);
  taken_at_ = now;
}

/// Commits the members from `first` that fit into one batch, or the one command that stands there. Gives the
/// next position.
std::size_t CommitThread::commit_from(std::size_t first) {
  std::size_t end = first;
  std::size_t octets = 0;
  std::uint64_t added = 0, transactions = 0;
  for (; end < taken_.size(); ++end) {
    Item& item = taken_[end];
    if (item.command != nullptr) break;
    if (end > first && octets + item.octets > options_.batch_octets_max) break;
    octets += item.octets;
    const std::expected<void, Error> fits = add(item);
    if (fits) {
      ++added;
      if (!item.refusal) ++transactions;
    } else if (item.completion != nullptr) {
      std::exchange(item.completion, nullptr)->done(fits);
    }
  }
  if (end == first) {
    execute(*std::exchange(taken_[first].command, nullptr));
    return first + 1;
  }
  queued_transactions_.fetch_sub(end - first, std::memory_order_relaxed);
  queued_octets_.fetch_sub(octets, std::memory_order_relaxed);

  const std::expected<void, Error> result = write();
  if (result && added > 0) {
    batch_.publish();
    counters_.refusals_kept.store(batch_.refusals().count(), std::memory_order_relaxed);
    counters_.refusals_octets.store(batch_.refusals().octets(), std::memory_order_relaxed);
    counters_.counts_overflowed.store(batch_.counts_overflowed(), std::memory_order_relaxed);
    counters_.transactions.fetch_add(transactions, std::memory_order_relaxed);
    counters_.octets.fetch_add(octets - (end - first) * kTransactionOverhead, std::memory_order_relaxed);
  } else {
    batch_.roll_back();
    for (std::size_t i = first; i < end; ++i)
      if (taken_[i].refusal) counters_.refusals_dropped.fetch_add(1, std::memory_order_relaxed);
  }
  for (std::size_t i = first; i < end; ++i)
    if (taken_[i].completion != nullptr) taken_[i].completion->done(result);
  // Everyone has been told; giving back the memory of their messages comes after.
  for (std::size_t i = first; i < end; ++i) taken_[i] = Item{};
  return end;
}

void CommitThread::trim() {
  if (log_suspect_ || !database_.is_open()) return;
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  batch_.trim(now);
  if (!write_trimmed()) return;
  for (int i = 0; i < kQuarantineTrimsMax; ++i) {
    const bool more = batch_.trim_quarantine(now);
    if (!write_trimmed() || !more) return;
  }
}

bool CommitThread::write_trimmed() {
  if (!write()) {
    batch_.roll_back();
    return false;
  }
  batch_.publish();
  counters_.refusals_kept.store(batch_.refusals().count(), std::memory_order_relaxed);
  counters_.refusals_octets.store(batch_.refusals().octets(), std::memory_order_relaxed);
  return true;
}

void CommitThread::execute(Command& command) {
  if (log_suspect_) return command.result.set_value(not_tried());
  std::expected<std::uint64_t, Error> changed;
  switch (command.kind) {
    case Command::Kind::set_flags:
      changed =
          batch_.set_flags(command.mailbox, command.folder, command.uids.front(), command.set, command.clear);
      break;
    case Command::Kind::expunge:
      changed = batch_.expunge(command.mailbox, command.folder, command.uids);
      break;
    case Command::Kind::prune:
      changed = batch_.prune(command.before_ms, command.count);
      break;
    case Command::Kind::quarantine:
      changed = batch_.leave_quarantine(*command.keys, command.end, command.before_ms);
      break;
    case Command::Kind::greylist:
      changed = batch_.put_greylist(*command.pairs);
      break;
  }
  if (changed) {
    auto written = write();
    if (!written) changed = std::unexpected(std::move(written.error()));
  }
  if (changed) {
    batch_.publish();
  } else {
    batch_.roll_back();
  }
  command.result.set_value(std::move(changed));  // the command is gone from here on
}

/// What was queued when a write failed must not follow it into the log.
std::unexpected<Error> CommitThread::not_tried() const {
  return std::unexpected(Error{.code = health_->has(Trouble::no_space) ? Code::no_space : Code::io,
                               .context = "commit: not tried after a failure: " + health_->text()});
}

std::expected<void, Error> CommitThread::write() {
  if (batch_.empty()) return {};
  const Clock::time_point before = Clock::now();
  const rocksdb::Status status = write_patiently();
  counters_.sync_microseconds.fetch_add(microseconds(Clock::now() - before), std::memory_order_relaxed);
  if (status.ok()) {
    counters_.commits.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  counters_.failed.fetch_add(1, std::memory_order_relaxed);
  Error error = error_of(status, "commit");
  if (error.code == Code::stalled) return std::unexpected(std::move(error));
  log_suspect_ = true;
  health_->set(error.code == Code::no_space ? Trouble::no_space : Trouble::failed, error.context);
  return std::unexpected(std::move(error));
}

/// RocksDB is told never to make us wait inside; it answers Incomplete instead, and the waiting is here,
/// where it has a bound and where new mail is refused meanwhile.
rocksdb::Status CommitThread::write_patiently() {
  rocksdb::WriteOptions options;
  options.sync = batch_.needs_sync();
  options.no_slowdown = true;
  rocksdb::WriteBatch& writes = batch_.sealed();
  const Clock::time_point start = Clock::now();
  std::chrono::milliseconds pause = kStallBackOffMin;
  for (;;) {
    const rocksdb::Status status = database_.db().Write(options, &writes);
    if (!status.IsIncomplete()) {
      if (status.ok()) {
        health_->clear(Trouble::stalled);
        patience_spent_ = false;
      }
      return status;
    }
    const auto waited = Clock::now() - start;
    if (waited >= kStallNotice) health_->set(Trouble::stalled, "RocksDB is behind with its background work");
    // Once a batch has waited in vain, those behind it try once each: their clients have waited as well.
    if (waited >= options_.stall_patience) patience_spent_ = true;
    if (patience_spent_) {
      health_->set(Trouble::stalled, "RocksDB is behind with its background work");
      return status;
    }
    health_->wait_for_change(pause);
    pause = std::min(pause * 2, kStallBackOffMax);
  }
}

void CommitThread::upkeep(Clock::time_point now) {
  struct statvfs disk{};
  if (::statvfs(options_.path.c_str(), &disk) == 0) {
    const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    counters_.free_octets.store(free, std::memory_order_relaxed);
    if (free < options_.free_octets_min) {
      health_->set(Trouble::low_space,
                   fmt::format("{} octets free on the disk, {} are wanted", free, options_.free_octets_min));
    } else {
      health_->clear(Trouble::low_space);
    }
  }
  // Files that somebody removed can still be written to, and what is written is gone with the process.
  std::error_code error;
  if (!std::filesystem::exists(options_.path / "CURRENT", error)) {
    log_suspect_ = true;
    health_->set(Trouble::failed, fmt::format("{}: the files of the store are gone", options_.path.string()));
  }
  recover();
  if (upkeeps_ % kUpkeepsPerTrim == 0) trim();
  if (upkeeps_++ % kUpkeepsPerDiskCount == 0) count_disk();
  next_upkeep_ = now + (health_->has(Trouble::stalled) ? kStalledUpkeepInterval : kUpkeepInterval);
}

/// While in trouble nothing new is taken, so no write would find out that the trouble is over: ask.
///
/// After a failed write the database is opened again. Recovery after a crash reads a log as far as its
/// first damaged record, and the failed write may have left one: what came behind it in the same log would
/// be acknowledged and lost. Opening again is that recovery, and begins a new log. A transaction whose sync
/// failed may come back with it although its client was told 4xx; the other way round cannot happen.
void CommitThread::recover() {
  if (health_->has(Trouble::stalled)) {
    std::uint64_t stopped = 0;
    if (database_.is_open() &&
        database_.db().GetIntProperty(rocksdb::DB::Properties::kIsWriteStopped, &stopped) && stopped == 0)
      health_->clear(Trouble::stalled);
  }
  if (!log_suspect_ && !health_->has(Trouble::no_space) && !health_->has(Trouble::failed)) return;
  if (!has_room_to_reopen()) return;
  log_suspect_ = true;
  const auto newest = reopen_();
  if (!newest) {
    health_->set(newest.error().code == Code::no_space ? Trouble::no_space : Trouble::failed,
                 newest.error().context);
    return;
  }
  batch_.restart(*newest);
  log_suspect_ = false;
  health_->clear(Trouble::no_space);
  health_->clear(Trouble::failed);
  health_->clear(Trouble::stalled);
}

/// As long as there is none, the database stays open for reading.
bool CommitThread::has_room_to_reopen() const {
  if (health_->has(Trouble::low_space)) return false;
  if (!database_.is_open()) return true;
  std::uint64_t in_memory = 0;
  (void)database_.db().GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &in_memory);
  return counters_.free_octets.load(std::memory_order_relaxed) >= in_memory + kReopenOctetsMin;
}

void CommitThread::count_disk() {
  if (!database_.is_open()) return;
  rocksdb::DB& db = database_.db();
  std::uint64_t tables = 0;
  std::uint64_t blobs = 0;
  (void)db.GetAggregatedIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &tables);
  (void)db.GetAggregatedIntProperty(rocksdb::DB::Properties::kTotalBlobFileSize, &blobs);
  std::uint64_t logs = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at(options_.path, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() != ".log") continue;
    std::error_code gone;  // a log may be dropped while we look
    const std::uintmax_t size = at->file_size(gone);
    if (!gone) logs += size;
  }
  counters_.disk_octets.store(tables + blobs + logs, std::memory_order_relaxed);
}

void CommitThread::report(Statistics& statistics) const {
  const auto value = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  statistics.queued_transactions = value(queued_transactions_);
  statistics.queued_octets = value(queued_octets_);
  statistics.commits = value(counters_.commits);
  statistics.committed_transactions = value(counters_.transactions);
  statistics.committed_octets = value(counters_.octets);
  statistics.failed_commits = value(counters_.failed);
  statistics.sync_microseconds = value(counters_.sync_microseconds);
  statistics.refused_full = value(counters_.refused);
  statistics.refusals_kept = value(counters_.refusals_kept);
  statistics.refusals_octets = value(counters_.refusals_octets);
  statistics.refusals_dropped = value(counters_.refusals_dropped);
  statistics.counts_overflowed = value(counters_.counts_overflowed);
  statistics.disk_octets = value(counters_.disk_octets);
  statistics.free_octets = value(counters_.free_octets);
  statistics.stalled = health_->has(Trouble::stalled);
}

}  // namespace postern::storage
