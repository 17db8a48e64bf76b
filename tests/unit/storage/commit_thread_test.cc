#include "storage/commit_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <thread>

#include "tests/unit/storage/support.h"
#include "tests/unit/storage/sync_gate.h"

namespace postern::storage {
namespace {

using test::deliver;
using test::HeldSyncs;
using test::open_store;
using test::options_for;
using test::Outcome;
using test::SyncGate;
using test::to;
using test::transaction;
using test::why;

/// For what happens on other threads in its own time. Says whether it did, within half a minute.
bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 30'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(CommitThread, WhatGathersDuringASyncIsOneGroup) {
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch.path()));
  std::vector<Outcome> outcomes(51);
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), outcomes[0]));
    ASSERT_TRUE(SyncGate::wait_until_held());
    for (std::uint32_t n = 1; n < outcomes.size(); ++n)
      ASSERT_TRUE(store->submit(transaction(n, to("a@x.example")), outcomes[n]));
    EXPECT_EQ(store->statistics().queued_transactions, 50U);
    for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.times(), 0) << "told before the sync returned";
    EXPECT_EQ(store->usage("a@x.example").messages, 0U);
  }
  for (Outcome& outcome : outcomes) EXPECT_EQ(why(outcome.wait()), "");
  const Statistics statistics = store->statistics();
  EXPECT_EQ(statistics.commits, 2U);
  EXPECT_EQ(statistics.committed_transactions, 51U);
  EXPECT_EQ(statistics.queued_transactions, 0U);
  EXPECT_EQ(statistics.queued_octets, 0U);
  EXPECT_EQ(store->usage("a@x.example").messages, 51U);
  store->close();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.times(), 1);
}

TEST(CommitThread, OneThatComesAloneDoesNotWaitForOthers) {
  const test::ScratchDirectory scratch;
  Options options = options_for(scratch.path());
  options.gather_time = std::chrono::hours(1);
  const auto store = open_store(options);
  EXPECT_EQ(why(deliver(*store, transaction(0, to("a@x.example")))), "");
}

TEST(CommitThread, WhileManyComeABatchWaitsForMore) {
  const test::ScratchDirectory scratch;
  Options options = options_for(scratch.path());
  options.gather_time = std::chrono::seconds(1);
  const auto store = open_store(options);
  std::vector<Outcome> crowd(20);
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), crowd[0]));
    ASSERT_TRUE(SyncGate::wait_until_held());
    for (std::uint32_t n = 1; n < crowd.size(); ++n)
      ASSERT_TRUE(store->submit(transaction(n, to("a@x.example")), crowd[n]));
  }
  for (Outcome& outcome : crowd) EXPECT_EQ(why(outcome.wait()), "");
  const std::uint64_t before = store->statistics().commits;
  Outcome early;
  Outcome late;
  ASSERT_TRUE(store->submit(transaction(100, to("a@x.example")), early));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(store->submit(transaction(101, to("a@x.example")), late));
  EXPECT_EQ(why(early.wait()), "");
  EXPECT_EQ(why(late.wait()), "");
  EXPECT_EQ(store->statistics().commits, before + 1);
}

TEST(CommitThread, TheQueueEndsAtItsTransactions) {
  const test::ScratchDirectory scratch;
  Options options = options_for(scratch.path());
  options.queue_transactions_max = 5;
  const auto store = open_store(options);
  std::vector<Outcome> outcomes(7);
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), outcomes[0]));
    ASSERT_TRUE(SyncGate::wait_until_held());
    for (std::uint32_t n = 1; n <= 5; ++n) {
      EXPECT_FALSE(store->would_refuse()) << n;
      ASSERT_TRUE(store->submit(transaction(n, to("a@x.example")), outcomes[n])) << n;
    }
    EXPECT_TRUE(store->would_refuse());
    Transaction sixth = transaction(6, to("a@x.example"));
    EXPECT_FALSE(store->submit(std::move(sixth), outcomes[6]));
    EXPECT_EQ(sixth.deliveries.size(), 1U) << "what is refused is left as it was";
    EXPECT_EQ(store->statistics().refused_full, 1U);
  }
  for (std::size_t n = 0; n <= 5; ++n) EXPECT_EQ(why(outcomes[n].wait()), "");
  EXPECT_FALSE(store->would_refuse());
  EXPECT_EQ(why(deliver(*store, transaction(6, to("a@x.example")))), "") << "the refused id is free";
  store->close();
  EXPECT_EQ(outcomes[6].times(), 0);
}

TEST(CommitThread, TheQueueEndsAtItsOctets) {
  const test::ScratchDirectory scratch;
  Options options = options_for(scratch.path());
  options.queue_octets_max = 64U << 10;
  const auto store = open_store(options);
  Outcome first, large, second, small, larger;
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), first));
    ASSERT_TRUE(SyncGate::wait_until_held());
    ASSERT_TRUE(store->submit(transaction(1, to("a@x.example"), std::string(40U << 10, 'x')), large));
    EXPECT_FALSE(store->submit(transaction(2, to("a@x.example"), std::string(40U << 10, 'x')), second));
    EXPECT_TRUE(store->submit(transaction(3, to("a@x.example")), small));
  }
  for (Outcome* outcome : {&first, &large, &small}) EXPECT_EQ(why(outcome->wait()), "");
  // Larger than the bound and the batch: passes when it is alone, or it never would.
  EXPECT_EQ(why(deliver(*store, transaction(4, to("a@x.example"), std::string(200U << 10, 'x')))), "");
  EXPECT_EQ(store->usage("a@x.example").messages, 4U);
}

TEST(CommitThread, ABatchEndsAtItsOctets) {
  const test::ScratchDirectory scratch;
  Options options = options_for(scratch.path());
  options.batch_octets_max = 64U << 10;
  const auto store = open_store(options);
  std::vector<Outcome> outcomes(5);
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), outcomes[0]));
    ASSERT_TRUE(SyncGate::wait_until_held());
    for (std::uint32_t n = 1; n < 5; ++n)  // two fit, the fourth is larger than a batch and goes alone
      ASSERT_TRUE(store->submit(
          transaction(n, to("a@x.example"), std::string((n == 4 ? 100U : 20U) << 10, 'x')), outcomes[n]));
  }
  for (Outcome& outcome : outcomes) EXPECT_EQ(why(outcome.wait()), "");
  EXPECT_EQ(store->statistics().commits, 3U);
}

TEST(CommitThread, OneRefusedTransactionDoesNotFailItsMates) {
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch.path()));
  Outcome first, good, twice, bad, last;
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(0, to("a@x.example")), first));
    ASSERT_TRUE(SyncGate::wait_until_held());
    ASSERT_TRUE(store->submit(transaction(1, to("a@x.example")), good));
    ASSERT_TRUE(store->submit(transaction(1, to("b@x.example")), twice));
    ASSERT_TRUE(store->submit(transaction(2, to("a@x.example", "\xff")), bad));
    ASSERT_TRUE(store->submit(transaction(3, to("a@x.example")), last));
  }
  EXPECT_EQ(why(good.wait()), "");
  EXPECT_EQ(why(last.wait()), "");
  const auto duplicate = twice.wait();
  ASSERT_FALSE(duplicate);
  EXPECT_EQ(duplicate.error().code, Code::invalid);
  EXPECT_NE(duplicate.error().text().find(test::id_of(1).text()), std::string::npos);
  EXPECT_FALSE(bad.wait());
  EXPECT_EQ(store->usage("a@x.example").messages, 3U);
  EXPECT_EQ(store->usage("b@x.example").messages, 0U);
  EXPECT_EQ(why(store->folders("b@x.example")), "there is no mailbox \"b@x.example\" (not found)");
  EXPECT_EQ(store->ledger().opened, 3U);
  EXPECT_EQ(test::problems(*store), "");
}

TEST(CommitThread, ClosingCommitsWhatIsQueued) {
  const test::ScratchDirectory scratch;
  auto store = open_store(options_for(scratch.path()));
  std::vector<Outcome> outcomes(20);
  {
    const HeldSyncs held;
    for (std::uint32_t n = 0; n < outcomes.size(); ++n)
      ASSERT_TRUE(store->submit(transaction(n, to("a@x.example")), outcomes[n]));
    ASSERT_TRUE(SyncGate::wait_until_held());
  }
  store->close();
  for (Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.times(), 1) << "told before close() returned";
    EXPECT_EQ(why(outcome.wait()), "");
  }
  Outcome late;
  EXPECT_FALSE(store->submit(transaction(50, to("a@x.example")), late));
  EXPECT_TRUE(store->would_refuse());
  const auto flags = store->set_flags("a@x.example", "INBOX", 1, kSeen, 0);
  ASSERT_FALSE(flags);
  EXPECT_EQ(flags.error().code, Code::stopping);
  const auto entries = store->entries("a@x.example", "INBOX");
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, Code::stopping);
  EXPECT_EQ(store->statistics().committed_transactions, 20U) << "the counters outlive it";
  store->close();
  store = open_store(options_for(scratch.path()));
  EXPECT_EQ(store->usage("a@x.example").messages, 20U);
}

TEST(CommitThread, CommandsStandInTheQueueWithTheMail) {
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch.path()));
  ASSERT_EQ(why(deliver(*store, transaction(0, to("a@x.example")))), "");
  Outcome before, after;
  std::thread expunging;
  {
    const HeldSyncs held;
    ASSERT_TRUE(store->submit(transaction(1, to("a@x.example")), before));
    ASSERT_TRUE(SyncGate::wait_until_held());
    expunging =
        std::thread([&] { EXPECT_EQ(store->expunge("a@x.example", "INBOX", {1, 2}).value_or(0), 2U); });
  }
  expunging.join();
  ASSERT_EQ(why(deliver(*store, transaction(2, to("a@x.example")))), "");
  EXPECT_EQ(why(before.wait()), "");
  const auto entries = store->entries("a@x.example", "INBOX");
  ASSERT_EQ(why(entries), "");
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ(entries->front().uid, 3U);
  EXPECT_EQ(test::problems(*store), "");
}

/// A commit thread over a RocksDB whose background work can be stopped: memtables of 64 KiB, so that a few
/// messages bring it to a halt.
class StallTest : public ::testing::Test {
 protected:
  void begin(std::chrono::milliseconds patience) {
    Options options = options_for(scratch_.path());
    options.memtable_octets = 64U << 10;
    options.stall_patience = patience;
    auto health = std::make_shared<Health>();
    auto database = Database::open(options, health);
    ASSERT_EQ(why(database), "");
    database_ = std::move(*database);
    std::string ledger;
    encode(Ledger{}, ledger);
    test::put(*database_, Table::meta, kLedgerKey, ledger);
    ASSERT_EQ(why(directory_.load(*database_, false)), "");
    thread_ = std::make_unique<CommitThread>(options, *database_, directory_, MessageId{}, health, [] {
      return std::expected<MessageId, Error>(std::unexpected(Error{.context = "not in this test"}));
    });
    ASSERT_TRUE(database_->db().PauseBackgroundWork().ok());
  }
  /// Submits until a message waits. The last outcome belongs to it.
  void fill() {
    while (!thread_->would_refuse()) {
      ASSERT_LT(outcomes_.size(), 200U) << "RocksDB takes everything";
      outcomes_.push_back(std::make_unique<Outcome>());
      const auto n = static_cast<std::uint32_t>(outcomes_.size());
      if (!thread_->submit(transaction(n, to("a@x.example"), std::string(40U << 10, 'x')),
                           *outcomes_.back())) {
        outcomes_.pop_back();
        break;
      }
      ASSERT_TRUE(eventually([&] { return outcomes_.back()->times() > 0 || thread_->would_refuse(); }));
    }
  }
  Statistics statistics() const {
    Statistics result;
    thread_->report(result);
    return result;
  }
  void TearDown() override {
    thread_.reset();
    database_.reset();
  }

  test::ScratchDirectory scratch_;
  std::unique_ptr<Database> database_;
  Directory directory_;
  std::unique_ptr<CommitThread> thread_;
  std::vector<std::unique_ptr<Outcome>> outcomes_;
};

TEST_F(StallTest, IsSeenBySubmittersAndWaitedFor) {
  begin(std::chrono::minutes(5));
  fill();
  ASSERT_GT(outcomes_.size(), 4U);
  EXPECT_TRUE(statistics().stalled);
  EXPECT_EQ(outcomes_.back()->times(), 0) << "it waits, it has not failed";
  Outcome refused;
  EXPECT_FALSE(thread_->submit(transaction(500, to("a@x.example")), refused));
  ASSERT_TRUE(database_->db().ContinueBackgroundWork().ok());
  for (const auto& outcome : outcomes_) EXPECT_EQ(why(outcome->wait()), "");
  EXPECT_TRUE(eventually([&] { return !thread_->would_refuse(); }));
  EXPECT_FALSE(statistics().stalled);
  EXPECT_EQ(directory_.usage("a@x.example").messages, outcomes_.size());
}

TEST_F(StallTest, EndsInATemporaryFailureWhenItLasts) {
  begin(std::chrono::milliseconds(300));
  fill();
  const auto waited = outcomes_.back()->wait();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Code::stalled);
  EXPECT_TRUE(waited.error().is_temporary());
  EXPECT_TRUE(thread_->would_refuse());
  EXPECT_EQ(directory_.usage("a@x.example").messages, outcomes_.size() - 1);
  ASSERT_TRUE(database_->db().ContinueBackgroundWork().ok());
  ASSERT_TRUE(eventually([&] { return !thread_->would_refuse(); }));
  const auto failed = static_cast<std::uint32_t>(outcomes_.size());
  Outcome again;
  ASSERT_TRUE(thread_->submit(transaction(failed, to("a@x.example")), again));
  EXPECT_EQ(why(again.wait()), "") << "the failed id is free, nothing of it was kept";
  EXPECT_EQ(directory_.usage("a@x.example").messages, outcomes_.size());
}

/// As a crash would leave it: the files as they are now, below a running store.
void copy_files(const std::filesystem::path& from, const std::filesystem::path& to_directory) {
  std::filesystem::create_directory(to_directory);
  for (const auto& file : std::filesystem::directory_iterator(from)) {
    std::error_code gone;  // an obsolete log
    std::filesystem::copy_file(file.path(), to_directory / file.path().filename(), gone);
  }
}

std::size_t readable(const std::filesystem::path& path, std::uint32_t first, std::uint32_t end) {
  const auto store = open_store(options_for(path));
  if (!store) return 0;
  EXPECT_EQ(test::problems(*store), "");
  std::size_t count = 0;
  for (std::uint32_t n = first; n < end; ++n) {
    const auto message = store->message(test::id_of(n));
    if (message && *message == test::message_of(n)) ++count;
  }
  return count;
}

struct SyncFailure {
  std::string_view name;
  int error;
  Code code;
};

TEST(CommitThread, NothingFollowsAFailedSyncInTheSameLog) {
  for (const SyncFailure& c :
       {SyncFailure{"disk full", ENOSPC, Code::no_space}, SyncFailure{"disk broken", EIO, Code::io}}) {
    SCOPED_TRACE(c.name);
    const test::ScratchDirectory scratch;
    const auto store = open_store(options_for(scratch / "store"));
    for (std::uint32_t n = 0; n < 5; ++n)
      ASSERT_EQ(why(deliver(*store, transaction(n, to("a@x.example")))), "");
    Outcome failing, behind;
    SyncGate::fail(c.error, 1);
    {
      const HeldSyncs held;
      ASSERT_TRUE(store->submit(transaction(100, to("a@x.example", "Perhaps")), failing));
      ASSERT_TRUE(SyncGate::wait_until_held());
      ASSERT_TRUE(store->submit(transaction(101, to("a@x.example")), behind));
    }
    const auto failed = failing.wait();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, c.code) << failed.error().text();
    EXPECT_TRUE(failed.error().is_temporary());
    const auto not_tried = behind.wait();
    ASSERT_FALSE(not_tried) << "it was queued behind the failure and must not follow it";
    EXPECT_EQ(not_tried.error().code, c.code);
    EXPECT_EQ(store->statistics().failed_commits, 1U);

    ASSERT_TRUE(eventually([&] { return !store->would_refuse(); })) << store->statistics().trouble;
    EXPECT_EQ(store->statistics().trouble, "");
    for (std::uint32_t n = 5; n < 10; ++n)
      ASSERT_EQ(why(deliver(*store, transaction(n, to("a@x.example")))), "");
    EXPECT_FALSE(store->message(test::id_of(101)));
    // Whether its octets reached the disk is unknown, but all of it is there or nothing.
    const auto perhaps = store->message(test::id_of(100));
    EXPECT_EQ(store->usage("a@x.example").messages, perhaps ? 11U : 10U);
    EXPECT_EQ(test::problems(*store), "");
    copy_files(scratch / "store", scratch / "crashed");
    EXPECT_EQ(readable(scratch / "crashed", 0, 10), 10U);
  }
}

TEST(CommitThread, AStoreThatIsGoneTakesNothingAndDoesNotComeBackEmpty) {
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch / "store"));
  ASSERT_EQ(why(deliver(*store, transaction(0, to("a@x.example")))), "");
  std::filesystem::remove_all(scratch / "store");
  ASSERT_TRUE(eventually([&] { return store->would_refuse(); })) << "files that are gone can be written to";
  ASSERT_TRUE(eventually([&] {
    return store->statistics().trouble.find("no store here") != std::string::npos;
  })) << store->statistics().trouble;
  EXPECT_FALSE(deliver(*store, transaction(1, to("a@x.example"))));
  EXPECT_FALSE(store->message(test::id_of(0)));
  EXPECT_FALSE(store->verify());
  const auto flags = store->set_flags("a@x.example", "INBOX", 1, kSeen, 0);
  ASSERT_FALSE(flags);
  EXPECT_TRUE(flags.error().is_temporary());
  EXPECT_FALSE(std::filesystem::exists(scratch / "store" / "CURRENT"));
}

TEST(CommitThread, ManySubmittersAndReadersAtOnce) {
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kEach = 150;
  const test::ScratchDirectory scratch;
  const auto store = open_store(options_for(scratch.path()));
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      const MailboxInfo usage = store->usage("m1@x.example");
      const auto entries = store->entries("m1@x.example", "INBOX");
      if (entries) {
        EXPECT_GE(entries->size(), std::min<std::uint64_t>(usage.messages, 1000));
      }
      if (entries && !entries->empty()) {
        EXPECT_EQ(why(store->message(entries->back().id)), "");
        EXPECT_EQ(why(store->set_flags("m1@x.example", "INBOX", entries->back().uid, kSeen, 0)), "");
      }
      (void)store->ledger();
      (void)store->statistics();
      (void)store->mailboxes();
      EXPECT_EQ(test::problems(*store), "") << "verify() beside the commit thread";
    }
  });
  std::vector<std::thread> submitters;
  for (std::uint32_t t = 0; t < kThreads; ++t)
    submitters.emplace_back([&, t] {
      for (std::uint32_t n = 0; n < kEach; ++n) {
        Transaction one = transaction(t * kEach + n, to(fmt::format("m{}@x.example", n % 3)));
        one.id.octets[6] = static_cast<std::uint8_t>(t);
        EXPECT_EQ(why(deliver(*store, std::move(one))), "");
      }
    });
  for (std::thread& submitter : submitters) submitter.join();
  done = true;
  reader.join();
  EXPECT_EQ(store->ledger().delivered, kThreads * kEach);
  EXPECT_EQ(store->usage("m0@x.example").messages + store->usage("m1@x.example").messages +
                store->usage("m2@x.example").messages,
            kThreads * kEach);
  EXPECT_EQ(test::problems(*store), "");
}

}  // namespace
}  // namespace postern::storage
