// A queue of a million entries for a thousand destinations: how long until a runner knows who has something to do,
// and what it costs to find the next entry of one destination, to count the books, and in memory.
//
// POSTERN_QUEUE_ENTRIES and POSTERN_QUEUE_FOLDER change the number and the place (default: a temporary folder).
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "storage/store.h"

namespace {

using namespace postern::storage;

constexpr std::uint64_t kNow = 1'700'000'000'000;
constexpr std::size_t kDestinations = 1000;

std::size_t entries_wanted() {
  const char* text = std::getenv("POSTERN_QUEUE_ENTRIES");
  return text != nullptr ? std::strtoul(text, nullptr, 10) : 1'000'000;
}

double resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmRSS:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

class Counted final : public Completion {
 public:
  void done(const std::expected<void, Error>& result) noexcept override {
    if (!result) std::abort();
    left.fetch_sub(1);
  }
  std::atomic<std::size_t> left{0};
};

std::filesystem::path filled() {
  static const std::filesystem::path folder = [] {
    const char* given = std::getenv("POSTERN_QUEUE_FOLDER");
    const std::filesystem::path path = given != nullptr ? given
                                                        : std::filesystem::temp_directory_path() /
                                                              fmt::format("postern-queue-{}", ::getpid());
    auto store = Store::open({.path = path, .free_octets_min = 0});
    if (!store) std::abort();
    Counted counted;
    MessageIdSource ids(0);
    const auto body = std::make_shared<const std::string>(512, 'x');
    for (std::size_t i = 0; i < entries_wanted(); ++i) {
      Transaction transaction;
      transaction.id = ids.next(
          std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(kNow + i / 100)));
      transaction.received_at =
          std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(kNow));
      transaction.mail_from = "sender@client.example";
      transaction.owner = body;
      transaction.body = *body;
      transaction.envelope = transaction.record = "{}";
      transaction.relays.push_back(
          {.destination = fmt::format("d{}.example", i % kDestinations),
           .sender = transaction.mail_from,
           .due_ms = kNow,
           .recipients = {{.address = fmt::format("u{}@d{}.example", i, i % kDestinations)}}});
      counted.left.fetch_add(1);
      while (!(*store)->submit(std::move(transaction), counted)) std::this_thread::yield();
    }
    while (counted.left.load() > 0) std::this_thread::yield();
    return path;
  }();
  return folder;
}

/// From nothing to the list of everybody who waits: what stands between `serve` and the first attempt.
void OpenAndScan(benchmark::State& state) {
  const std::filesystem::path path = filled();
  ::malloc_trim(0);
  double before = resident_mib(), after = 0;
  for (auto unused : state) {
    auto store = Store::open({.path = path, .free_octets_min = 0});
    if (!store) std::abort();
    std::string destination;
    std::uint8_t priority = 0;
    std::size_t found = 0;
    for (bool more = true; more;) {
      const auto heads = (*store)->queue_heads(destination, priority, 1000);
      if (!heads) std::abort();
      found += heads->size();
      more = heads->size() == 1000;
      if (!heads->empty()) {
        destination = heads->back().destination;
        priority = static_cast<std::uint8_t>(heads->back().priority + 1);
      }
    }
    if (found != kDestinations) std::abort();
    after = resident_mib();
  }
  state.counters["rss_before_MiB"] = before;
  state.counters["rss_open_MiB"] = after;
}
BENCHMARK(OpenAndScan)->Unit(benchmark::kMillisecond)->Iterations(3)->UseRealTime();

void NextOfOne(benchmark::State& state) {
  auto store = Store::open({.path = filled(), .free_octets_min = 0});
  if (!store) std::abort();
  for (auto unused : state) {
    const auto due = (*store)->queue_due("d500.example", 0, 0, kNow, 64);
    if (!due || due->empty()) std::abort();
  }
}
BENCHMARK(NextOfOne)->Unit(benchmark::kMicrosecond);

void CountTheBooks(benchmark::State& state) {
  auto store = Store::open({.path = filled(), .free_octets_min = 0});
  if (!store) std::abort();
  for (auto unused : state) {
    const auto audit = (*store)->queue_audit();
    if (!audit || !audit->balanced()) std::abort();
  }
}
BENCHMARK(CountTheBooks)->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();

}  // namespace
