// kill -9 at random moments. A child commits transactions as fast as it can, with many under way, sets
// flags and expunges beside it, and tells each acknowledged number through a pipe. It is killed; then the
// store opens, every acknowledged message is in its mailboxes, byte for byte, and verify() has nothing to
// say. One store lives through all rounds. Small memtables make flushes, compactions and the collection of
// blobs common among the moments. POSTERN_SEED repeats a run's moments (not the child's progress up to
// them).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "storage/store.h"

namespace postern::storage {
namespace {

constexpr int kRounds = 22;
constexpr std::uint32_t kNumbersPerRound = 200'000;
constexpr std::uint32_t kUnderWayMax = 64;
constexpr std::uint32_t kTrashEvery = 5;
constexpr std::string_view kTrash = "trash@x.example";

MessageId id_of(std::uint32_t n) {
  MessageId id;
  id.octets = {0x01, 0x8b, 0xcf, 0, 0, 0, 1, 0, 0, 0xaa, 0xbb, 0xcc};
  for (std::size_t i = 0; i < 4; ++i) id.octets[2 + i] = static_cast<std::uint8_t>(n >> (8 * (3 - i)));
  return id;
}

std::string header_of(std::uint32_t n) {
  return fmt::format("Received: by crash test; {}\r\n", n);
}

/// Mostly small, some of many pages, all different, all known from their number.
std::string body_of(std::uint32_t n) {
  std::minstd_rand random(n + 1);
  const std::size_t size = random() % 20 == 0 ? random() % 60'000 : random() % 6'000;
  std::string body = fmt::format("Subject: {}\r\n\r\n", n);
  while (body.size() < size) body += fmt::format("{:08x}{}", random(), body.size() % 64 < 9 ? "\r\n" : " ");
  return body;
}

std::vector<Delivery> deliveries_of(std::uint32_t n) {
  if (n % kTrashEvery == 0) return {Delivery{.mailbox = std::string(kTrash)}};
  std::vector<Delivery> result = {Delivery{.mailbox = fmt::format("m{}@x.example", n % 7)}};
  if (n % 3 == 0)
    result.push_back(Delivery{.mailbox = "all@x.example", .folder = fmt::format("Folder {}", n % 11)});
  return result;
}

Options options_for(const std::filesystem::path& path) {
  return Options{
      .path = path, .memtable_octets = 512U << 10, .wal_octets_max = 4U << 20, .free_octets_min = 0};
}

/// Writes each acknowledged number into the pipe, on the commit thread, before anything else can happen.
class Teller final : public Completion {
 public:
  Teller(int pipe, std::atomic<std::uint32_t>& under_way) : pipe_(pipe), under_way_(under_way) {}
  void done(const std::expected<void, Error>& result) noexcept override {
    if (result && ::write(pipe_, &number, sizeof(number)) != sizeof(number)) ::_exit(3);
    if (!result) ::_exit(4);
    taken = false;
    --under_way_;
  }
  std::uint32_t number = 0;
  std::atomic<bool> taken = false;

 private:
  const int pipe_;
  std::atomic<std::uint32_t>& under_way_;
};

/// The child. Ends by being killed.
[[noreturn]] void commit_for_ever(const std::filesystem::path& path, std::uint32_t first, int pipe) {
  auto opened = Store::open(options_for(path));
  if (!opened) {
    (void)std::fputs((opened.error().text() + "\n").c_str(), stderr);
    ::_exit(2);
  }
  Store& store = **opened;
  std::thread([&store] {
    for (std::uint32_t after = 0;;) {
      const auto entries = store.entries(kTrash, "INBOX", after, 20);
      if (!entries || entries->empty()) continue;
      std::vector<std::uint32_t> uids;
      for (const Entry& entry : *entries) uids.push_back(entry.uid);
      (void)store.set_flags(kTrash, "INBOX", uids.back(), kSeen | kDeleted, 0);
      (void)store.expunge(kTrash, "INBOX", uids);
    }
  }).detach();
  std::atomic<std::uint32_t> under_way = 0;
  std::vector<std::unique_ptr<Teller>> tellers;
  for (std::uint32_t i = 0; i < kUnderWayMax; ++i)
    tellers.push_back(std::make_unique<Teller>(pipe, under_way));
  for (std::uint32_t n = first; n < first + kNumbersPerRound;) {
    for (const auto& teller : tellers) {
      if (teller->taken) continue;
      Transaction transaction;
      transaction.id = id_of(n);
      transaction.received_at =
          std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(1'700'000'000'000 + n));
      transaction.header = header_of(n);
      const auto body = std::make_shared<const std::string>(body_of(n));
      transaction.owner = body;
      transaction.body = *body;
      transaction.envelope = "{}";
      transaction.record = "{}";
      transaction.deliveries = deliveries_of(n);
      teller->number = n;
      teller->taken = true;
      ++under_way;
      if (!store.submit(std::move(transaction), *teller)) {
        teller->taken = false;
        --under_way;
        continue;
      }
      ++n;
    }
  }
  for (;;) ::pause();
}

class Child {
 public:
  Child(const std::filesystem::path& path, std::uint32_t first) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      commit_for_ever(path, first, ends[1]);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  /// Kills after `time`, counted from the beginning or from the first acknowledgement, and reads all that was
  /// acknowledged. False: it ended by itself.
  bool kill_after(std::chrono::microseconds time, bool from_the_beginning,
                  std::vector<std::uint32_t>& acknowledged) {
    std::uint32_t number = 0;
    if (!from_the_beginning && ::read(pipe_, &number, sizeof(number)) == sizeof(number))
      acknowledged.push_back(number);
    std::thread killer([&] {
      std::this_thread::sleep_for(time);
      ::kill(pid_, SIGKILL);
    });
    while (::read(pipe_, &number, sizeof(number)) == sizeof(number)) acknowledged.push_back(number);
    killer.join();
    ::close(pipe_);
    int status = 0;
    (void)::waitpid(pid_, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

std::set<MessageId> ids_in(const Store& store, const Delivery& place) {
  std::set<MessageId> ids;
  for (std::uint32_t after = 0;;) {
    const auto entries = store.entries(place.mailbox, place.folder, after, 1000);
    EXPECT_TRUE(entries) << entries.error().text();
    if (!entries || entries->empty()) return ids;
    for (const Entry& entry : *entries) ids.insert(entry.id);
    after = entries->back().uid;
  }
}

void expect_there(const Store& store, const std::vector<std::uint32_t>& numbers) {
  std::map<std::pair<std::string, std::string>, std::set<MessageId>> folders;
  for (const std::uint32_t n : numbers) {
    if (n % kTrashEvery == 0) continue;  // may be expunged by now
    const auto message = store.message(id_of(n));
    ASSERT_TRUE(message) << n << " was acknowledged: " << message.error().text();
    ASSERT_TRUE(*message == header_of(n) + body_of(n)) << n << " is not as it was sent";
    for (const Delivery& delivery : deliveries_of(n)) {
      const auto [folder, fresh] = folders.try_emplace({delivery.mailbox, delivery.folder});
      if (fresh) folder->second = ids_in(store, delivery);
      ASSERT_TRUE(folder->second.contains(id_of(n)))
          << n << " is not in " << delivery.mailbox << " " << delivery.folder;
    }
  }
}

TEST(StorageCrash, WhatWasAcknowledgedOutlivesKill) {
  const char* given = std::getenv("POSTERN_SEED");
  const auto seed = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                     : std::random_device()();
  fmt::print("POSTERN_SEED={}\n", seed);
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  std::string name = (std::filesystem::temp_directory_path() / "postern-crash-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path path = std::filesystem::path(name) / "store";

  std::vector<std::uint32_t> all;
  int busy_rounds = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(fmt::format("round {} of POSTERN_SEED={}", round, seed));
    std::vector<std::uint32_t> acknowledged;
    // Every fourth somewhere in the opening, which takes 10 to 300 ms; the others at work.
    const bool while_opening = round % 4 == 3;
    const std::chrono::microseconds time(random() % (while_opening ? 200'000 : 400'000));
    Child child(path, static_cast<std::uint32_t>(round) * kNumbersPerRound);
    ASSERT_TRUE(child.kill_after(time, while_opening, acknowledged)) << "the child ended by itself";
    if (!acknowledged.empty()) ++busy_rounds;

    auto store = Store::open(options_for(path));
    ASSERT_TRUE(store) << store.error().text();
    expect_there(**store, acknowledged);
    if (HasFatalFailure()) return;
    const auto report = (*store)->verify();
    ASSERT_TRUE(report) << report.error().text();
    ASSERT_TRUE(report->problems.empty())
        << report->problems.size() << " problems, first: " << report->problems.front();
    all.insert(all.end(), acknowledged.begin(), acknowledged.end());
    ASSERT_GE((*store)->ledger().delivered, all.size());
  }
  auto store = Store::open(options_for(path));
  ASSERT_TRUE(store) << store.error().text();
  expect_there(**store, all);
  fmt::print("{} acknowledged in {} rounds of {}\n", all.size(), busy_rounds, kRounds);
  EXPECT_GE(busy_rounds, kRounds / 3)
      << "too few rounds got to work: this machine is too slow for these times";
  (*store)->close();
  std::filesystem::remove_all(name);
}

}  // namespace
}  // namespace postern::storage
