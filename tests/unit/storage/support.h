#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <expected>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/database.h"
#include "storage/store.h"

namespace postern::storage::test {

/// A directory of the test's own, removed with all that is in it.
class ScratchDirectory {
 public:
  ScratchDirectory() : ScratchDirectory(std::filesystem::temp_directory_path()) {}
  explicit ScratchDirectory(const std::filesystem::path& below) {
    std::string name = (below / "postern-storage-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// For tests that open many stores and have no business with the disk: its syncs would be all they do.
inline std::filesystem::path in_memory() {
  const std::filesystem::path place = "/dev/shm";
  return ::access(place.c_str(), W_OK) == 0 ? place : std::filesystem::temp_directory_path();
}

/// Remembers how it was told, and lets the test wait for it.
class Outcome final : public Completion {
 public:
  void done(const std::expected<void, Error>& result) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++times_;
    result_ = result;
    told_.notify_all();
  }
  std::expected<void, Error> wait() {
    std::unique_lock lock(mutex_);
    if (!told_.wait_for(lock, std::chrono::seconds(60), [this] { return result_.has_value(); }))
      return std::unexpected(Error{.code = Code::io, .context = "the test was never told"});
    return *result_;
  }
  int times() const {
    const std::scoped_lock lock(mutex_);
    return times_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable told_;
  std::optional<std::expected<void, Error>> result_;
  int times_ = 0;
};

constexpr std::int64_t kNow = 1'700'000'000'123;

/// The nth id of core 1.
inline MessageId id_of(std::uint32_t n) {
  MessageId id;
  id.octets = {0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 1, 0, 0, 0xaa, 0xbb, 0xcc};
  id.octets[4] = static_cast<std::uint8_t>(n >> 16U);
  id.octets[5] = static_cast<std::uint8_t>(n >> 8U);
  id.octets[8] = static_cast<std::uint8_t>(n);
  return id;
}

inline std::string header_of(std::uint32_t n) {
  return fmt::format("Received: by test; number {}\r\n", n);
}
inline std::string body_of(std::uint32_t n) {
  return fmt::format("Subject: number {}\r\n\r\nline\r\n", n);
}
inline std::string message_of(std::uint32_t n) {
  return header_of(n) + body_of(n);
}

inline Transaction transaction(std::uint32_t n, std::vector<Delivery> deliveries, std::string body = {}) {
  Transaction result;
  result.id = id_of(n);
  result.received_at = std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(kNow + n));
  result.mail_from = "sender@client.example";
  result.header = header_of(n);
  const auto owned = std::make_shared<const std::string>(body.empty() ? body_of(n) : std::move(body));
  result.owner = owned;
  result.body = *owned;
  result.envelope = fmt::format(R"({{"number":{}}})", n);
  result.record = R"({"action":"accept"})";
  result.deliveries = std::move(deliveries);
  return result;
}

inline std::vector<Delivery> to(std::string mailbox, std::string folder = "INBOX", std::uint32_t flags = 0) {
  return {Delivery{.mailbox = std::move(mailbox), .folder = std::move(folder), .flags = flags}};
}

/// Small, and without a demand on the disk of whoever runs the tests.
inline Options options_for(const std::filesystem::path& path) {
  return Options{
      .path = path, .memtable_octets = 1U << 20, .block_cache_octets = 1U << 20, .free_octets_min = 0};
}

inline std::unique_ptr<Store> open_store(const Options& options) {
  auto store = Store::open(options);
  if (!store) {
    ADD_FAILURE() << store.error().text();
    return nullptr;
  }
  return std::move(*store);
}

inline std::expected<void, Error> deliver(Store& store, Transaction&& transaction) {
  Outcome outcome;
  if (!store.submit(std::move(transaction), outcome))
    return std::unexpected(Error{.code = Code::stalled, .context = "submit() said no"});
  return outcome.wait();
}

/// "" or the sentence of the error: EXPECT_EQ(why(x), "") prints what went wrong.
template <class T>
std::string why(const std::expected<T, Error>& result) {
  return result ? "" : result.error().text();
}

inline std::string problems(const Store& store) {
  const auto report = store.verify();
  if (!report) return report.error().text();
  std::string text;
  for (const std::string& problem : report->problems) text += problem + "\n";
  return text;
}

/// The RocksDB below a closed store, to damage it.
inline std::unique_ptr<Database> open_database(const std::filesystem::path& path) {
  auto database = Database::open(options_for(path), std::make_shared<Health>());
  if (!database) {
    ADD_FAILURE() << database.error().text();
    return nullptr;
  }
  return std::move(*database);
}
inline void put(const Database& database, Table table, std::string_view key, std::string_view value) {
  ASSERT_TRUE(
      database.db().Put(rocksdb::WriteOptions(), database.table(table), slice(key), slice(value)).ok());
}
inline void remove(const Database& database, Table table, std::string_view key) {
  ASSERT_TRUE(database.db().Delete(rocksdb::WriteOptions(), database.table(table), slice(key)).ok());
}

}  // namespace postern::storage::test
