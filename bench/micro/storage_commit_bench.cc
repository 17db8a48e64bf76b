// What does an accepted message cost the store? Submitters hand over 4 KiB messages of text, each with a
// bounded number under way (as many connections would), and wait for durability. Like a reactor, a submitter
// sleeps when all are under way, is woken once, and goes on when half of them are done. Counters: messages a
// second, messages per synced write, and CPU per message: of the whole process, of the commit thread, of
// RocksDB's threads (flush and compaction; the run ends with a flush, so that nothing is owed), and of the
// submitters, which a gateway pays elsewhere. Environment: POSTERN_BENCH_DIR, where to put the store.
#include <benchmark/benchmark.h>
#include <dirent.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "storage/store.h"

namespace postern::storage {
namespace {

constexpr std::size_t kMessageOctets = 4096;
constexpr std::size_t kMessagesPerRun = 100'000;
constexpr std::size_t kMailboxes = 100;

std::filesystem::path bench_directory() {
  const char* place = std::getenv("POSTERN_BENCH_DIR");
  const std::filesystem::path base = place != nullptr ? place : std::filesystem::temp_directory_path();
  return base / fmt::format("postern-storage-bench-{}", ::getpid());
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double process_cpu_seconds() {
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// CPU of the threads whose name begins so, in seconds: nanoseconds on the CPU, from the scheduler.
double thread_cpu_seconds(std::string_view beginning) {
  double total = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (!name.starts_with(beginning)) continue;
    std::uint64_t nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    total += static_cast<double>(nanoseconds) / 1e9;
  }
  return total;
}

/// Words in random order from a fixed seed: compresses about as mail text does.
std::string text_body(std::size_t octets) {
  std::mt19937 random(1);
  std::vector<std::string> words(2000);
  for (std::string& word : words)
    for (std::size_t i = 2 + random() % 8; i > 0; --i) word.push_back(static_cast<char>('a' + random() % 26));
  std::string body;
  std::size_t line = 0;
  while (body.size() < octets) {
    const std::string& word = words[random() % words.size()];
    line += word.size() + 1;
    body += word;
    body += line > 70 ? "\r\n" : " ";
    if (line > 70) line = 0;
  }
  body.resize(octets);
  return body;
}

/// One submitter and its window of messages under way.
class Submitter final : public Completion {
 public:
  Submitter(Store& store, std::uint8_t core, std::size_t window)
      : store_(store), ids_(core), window_(window) {}

  void run(std::size_t messages, const std::shared_ptr<const std::string>& body) {
    for (std::size_t i = 0; i < messages; ++i) {
      {
        std::unique_lock lock(mutex_);
        if (under_way_ == window_) wait_for(lock, window_ / 2);
        ++under_way_;
      }
      Transaction transaction;
      const auto now =
          std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      transaction.id = ids_.next(now);
      transaction.received_at = now;
      transaction.mail_from = "sender@load.example";
      transaction.header = kHeader;
      transaction.owner = body;
      transaction.body = *body;
      transaction.envelope = kEnvelope;
      transaction.record = kRecord;
      transaction.deliveries.push_back(Delivery{.mailbox = fmt::format("user{}@load.test", i % kMailboxes)});
      while (!store_.submit(std::move(transaction), *this)) std::this_thread::yield();
    }
    std::unique_lock lock(mutex_);
    wait_for(lock, 0);
  }

  void done(const std::expected<void, Error>& result) noexcept override {
    if (!result) ++failed;
    const std::scoped_lock lock(mutex_);
    if (--under_way_ == awaited_) room_.notify_one();
  }

  std::uint64_t failed = 0;

 private:
  inline static const std::string kHeader =
      "Received: from client.example by mx.test; now\r\n" + std::string(200, 'h') + "\r\n";
  inline static const std::string kEnvelope =
      R"({"mail_from":"sender@load.example","rcpt_to":["user@load.test"],"size":4096})";
  inline static const std::string kRecord =
      R"({"action":"accept","score":0.1,"findings":[)" + std::string(400, ' ') + "]}";

  void wait_for(std::unique_lock<std::mutex>& lock, std::size_t under_way) {
    awaited_ = under_way;
    room_.wait(lock, [&] { return under_way_ <= under_way; });
    awaited_ = kNobodyWaits;
  }

  static constexpr std::size_t kNobodyWaits = std::numeric_limits<std::size_t>::max();
  Store& store_;
  MessageIdSource ids_;
  const std::size_t window_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::size_t under_way_ = 0;
  std::size_t awaited_ = kNobodyWaits;
};

void BM_Commit(benchmark::State& state) {
  const auto submitters = static_cast<std::size_t>(state.range(0));
  const auto window = static_cast<std::size_t>(state.range(1));
  const auto body = std::make_shared<const std::string>(text_body(kMessageOctets));
  for (auto _ : state) {
    state.PauseTiming();
    const std::filesystem::path directory = bench_directory();
    std::filesystem::remove_all(directory);
    auto store = Store::open(Options{.path = directory});
    if (!store) return state.SkipWithError(store.error().text().c_str());
    std::vector<std::unique_ptr<Submitter>> members;
    for (std::size_t i = 0; i < submitters; ++i)
      members.push_back(std::make_unique<Submitter>(**store, static_cast<std::uint8_t>(i), window));
    const double cpu_before = process_cpu_seconds();
    const double commit_before = thread_cpu_seconds("commit");
    const double rocksdb_before = thread_cpu_seconds("rocksdb");
    const auto start = std::chrono::steady_clock::now();
    state.ResumeTiming();

    std::vector<std::thread> threads;
    for (const auto& member : members)
      threads.emplace_back([&] { member->run(kMessagesPerRun / submitters, body); });
    for (std::thread& thread : threads) thread.join();

    state.PauseTiming();
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (const auto flushed = (*store)->flush(); !flushed)
      return state.SkipWithError(flushed.error().text().c_str());
    const Statistics statistics = (*store)->statistics();
    const auto messages = static_cast<double>(statistics.committed_transactions);
    state.counters["messages/s"] = messages / elapsed;
    const double commit = thread_cpu_seconds("commit") - commit_before;
    const double rocksdb = thread_cpu_seconds("rocksdb") - rocksdb_before;
    const double all = process_cpu_seconds() - cpu_before;
    state.counters["cpu_us/message"] = all * 1e6 / messages;
    state.counters["commit_us/message"] = commit * 1e6 / messages;
    state.counters["rocksdb_us/message"] = rocksdb * 1e6 / messages;
    state.counters["submit_us/message"] = (all - commit - rocksdb) * 1e6 / messages;
    state.counters["messages/sync"] = messages / static_cast<double>(statistics.commits);
    std::uint64_t failed = 0;
    for (const auto& member : members) failed += member->failed;
    state.counters["failed"] = static_cast<double>(failed);
    (*store)->close();
    std::filesystem::remove_all(directory);
    state.ResumeTiming();
  }
}

// Submitters × messages each may have under way: groups of about one, twenty, and as many as the batch takes.
BENCHMARK(BM_Commit)
    ->Args({1, 1})
    ->Args({2, 20})
    ->Args({2, 100})
    ->Args({4, 1000})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace postern::storage
