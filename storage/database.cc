#include "storage/database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "storage/counts.h"
#include "storage/crc32c.h"
#include "storage/info_log.h"

namespace postern::storage {
namespace {

constexpr std::size_t kSmallMemtableOctetsMin = 1U << 20;
constexpr std::uint64_t kBlobOctetsMin =
    1024;  // smaller values stay in the tree, where they are read with their neighbours
constexpr std::uint64_t kBlobFileOctets = 128U << 20;
constexpr std::uint64_t kKeyFileOctets =
    8U << 20;  // tables of keys and blob references: small, so that collecting garbage is fine-grained
constexpr std::size_t kEntryFolderOctets = 8;  // an entry's key up to its uid
constexpr std::size_t kMessageCoreOctet = 6;   // where a message id names its core
constexpr double kBlobAgeCutoff = 0.25;
constexpr int kOpenFilesMax = 1024;
constexpr int kBloomBitsPerKey = 10;
constexpr std::size_t kDeletionWindow = 1024, kDeletionsMax = 256;

/// RocksDB's own threads tell us here before a write of ours runs into it.
class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(std::shared_ptr<Health> health) : health_(std::move(health)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    if (status->ok()) return;
    const Error error = error_of(*status, "background work");
    health_->set(error.code == Code::no_space ? Trouble::no_space : Trouble::failed, error.context);
  }
  /// The commit thread opens the database again; RocksDB's own recovery would be in its way.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status status,
                            bool* automatic) override {
    if (error_of(status, "").code == Code::no_space) *automatic = false;
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo&) override { health_->conditions_changed(); }

 private:
  std::shared_ptr<Health> health_;
};

/// The core of a message id, as the name of a hint; see table_options().
class CoreOfMessage final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "postern.core"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data() + kMessageCoreOctet, 1};
  }
  bool InDomain(const rocksdb::Slice& key) const override { return key.size() > kMessageCoreOctet; }
};

/// Whether the file system lets a file be written past the page cache. RocksDB would refuse to open where it
/// does not.
bool direct_writing_works(const std::filesystem::path& directory) {
  const std::string name = (directory / "postern.probe").string();
  const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC | O_NOFOLLOW, 0600);
  (void)::unlink(name.c_str());  // some file systems make the file and then refuse to open it so
  if (file < 0) return false;
  (void)::close(file);
  return true;
}

rocksdb::DBOptions database_options(const Options& options, std::shared_ptr<Health> health) {
  rocksdb::DBOptions result;
  result.create_if_missing = options.create_if_missing && !options.read_only;
  result.create_missing_column_families = !options.read_only;  // a store of an older program lacks some
  result.max_background_jobs = 2;
  result.max_total_wal_size = options.wal_octets_max;
  result.max_open_files = kOpenFilesMax;
  // Past the page cache: one copy less of every octet, and the log's sync never waits for them to be written
  // back.
  result.use_direct_io_for_flush_and_compaction = !options.read_only && direct_writing_works(options.path);
  result.bytes_per_sync = 1U << 20;  // tables trickle out instead of competing with the log's sync at the end
  result.wal_bytes_per_sync = 0;     // every write of ours syncs the log itself
  // What was synced is always read back: each of our writes syncs before the next is appended, so only the
  // last, which nobody was told about, can be torn. Point-in-time recovery stops exactly there. Recycled logs
  // are off: their stale tails make a torn record and a damaged one look alike.
  result.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  result.recycle_log_file_num = 0;
  // One thread writes; nothing to gain from RocksDB's own ways of sharing a write.
  result.allow_concurrent_memtable_write = false;
  result.enable_pipelined_write = false;
  result.enable_write_thread_adaptive_yield = false;
  result.avoid_unnecessary_blocking_io = true;
  result.stats_dump_period_sec = 0;
  result.stats_persist_period_sec = 0;
  if (options.read_only) {
    result.info_log = std::make_shared<NoInfoLog>();
  } else {
    result.info_log = std::make_shared<InfoLog>(options.path);
  }
  result.max_bgerror_resume_count = 0;  // see Listener::OnErrorRecoveryBegin()
  result.listeners.push_back(std::make_shared<Listener>(std::move(health)));
  return result;
}

/// Where the last key went is where the next belongs, or near: message ids of one core rise, so do the uids
/// of a folder, and a record written again stands beside its former self. Starting from there saves the walk
/// from the top of the memtable. The "prefix" is only the name under which the place is remembered.
std::shared_ptr<const rocksdb::SliceTransform> insert_hint(Table table) {
  switch (table) {
    case Table::entries:
      return std::shared_ptr<const rocksdb::SliceTransform>(
          rocksdb::NewCappedPrefixTransform(kEntryFolderOctets));
    case Table::messages:
    case Table::bodies:
    case Table::decisions:
    case Table::queue:
    case Table::outcomes:
    case Table::refusals:
    case Table::quarantine:
      return std::make_shared<CoreOfMessage>();
    case Table::folders:
    case Table::meta:
      return std::shared_ptr<const rocksdb::SliceTransform>(
          rocksdb::NewCappedPrefixTransform(sizeof(std::uint32_t) + Store::kFolderOctetsMax));
    case Table::mailboxes:  // written once each
    case Table::greylist:   // all over the place
    case Table::due:        // all over the destinations
    case Table::counts:     // all over the domains
      return nullptr;
  }
  return nullptr;
}

rocksdb::ColumnFamilyOptions table_options(Table table, const Options& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_cache = cache;
  blocks.cache_index_and_filter_blocks = true;
  blocks.pin_l0_filter_and_index_blocks_in_cache = true;
  blocks.format_version = 5;
  blocks.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));

  rocksdb::ColumnFamilyOptions result;
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  result.compression = rocksdb::kNoCompression;
  if (table == Table::counts) result.merge_operator = count_adder();
  result.max_write_buffer_number = 4;  // a flush may lag behind by three before writing stops
  if (auto hint = insert_hint(table)) result.memtable_insert_with_hint_prefix_extractor = std::move(hint);
  if (table == Table::queue || table == Table::due) {
    // What is done is deleted at the front, where the runner looks next: tables full of deletions go soon.
    result.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(kDeletionWindow, kDeletionsMax));
  }
  if (table == Table::bodies || table == Table::decisions) {
    result.write_buffer_size = options.memtable_octets;
    result.enable_blob_files = true;
    result.min_blob_size = kBlobOctetsMin;
    result.blob_file_size = kBlobFileOctets;
    result.blob_compression_type = rocksdb::kNoCompression;
    result.enable_blob_garbage_collection = true;
    // A compaction moves every live body out of the oldest files of this share, garbage or not: a larger
    // share writes bodies again and again (at one half, a fifth of all CPU), a smaller one gives space back
    // later.
    result.blob_garbage_collection_age_cutoff = kBlobAgeCutoff;
    result.blob_garbage_collection_force_threshold = 0.5;
    result.target_file_size_base = kKeyFileOctets;
  } else {
    result.write_buffer_size = std::max(options.memtable_octets / 4, kSmallMemtableOctetsMin);
  }
  return result;
}

std::expected<void, Error> check_tables(const rocksdb::DBOptions& db_options, const Options& options) {
  const std::string path = options.path.string();
  std::vector<std::string> names;
  const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(db_options, path, &names);
  if (listed.IsPathNotFound() || listed.IsNotFound()) {
    if (db_options.create_if_missing) return {};
    return std::unexpected(Error{.code = Code::not_found, .context = path + ": there is no store here"});
  }
  if (!listed.ok()) {
    // A directory without CURRENT is an empty one to us, an I/O error to RocksDB.
    std::error_code ignored;
    if (!std::filesystem::exists(options.path / "CURRENT", ignored)) {
      if (db_options.create_if_missing) return {};
      return std::unexpected(Error{.code = Code::not_found, .context = path + ": there is no store here"});
    }
    return std::unexpected(error_of(listed, path + ": list column families"));
  }
  for (const std::string& name : names)
    if (std::ranges::find(kTableNames, name) == kTableNames.end())
      return std::unexpected(
          Error{.code = Code::newer_format,
                .context = fmt::format("{}: written by a newer version (it has a column family "
                                       "\"{}\" that this program does not know)",
                                       path, name)});
  return {};
}

}  // namespace

Error error_of(const rocksdb::Status& status, std::string_view doing) {
  // RocksDB's InvalidArgument and the like are faults of ours, not the sender's: io, which is temporary.
  Code code = Code::io;
  if (status.IsNotFound()) code = Code::not_found;
  if (status.IsCorruption()) code = Code::corrupt;
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kSpaceLimit) code = Code::no_space;
  if (status.IsIncomplete() || status.IsBusy() || status.IsTimedOut() || status.IsTryAgain())
    code = Code::stalled;
  if (status.IsShutdownInProgress()) code = Code::stopping;
  return Error{.code = code, .context = fmt::format("{}: {}", doing, status.ToString())};
}

std::expected<std::unique_ptr<Database>, Error> Database::open(const Options& options,
                                                               std::shared_ptr<Health> health) {
  if (!crc32c_is_sound())
    return std::unexpected(
        Error{.code = Code::io, .context = options.path.string() + ": this build computes wrong checksums"});
  std::unique_ptr<Database> database(new Database(options, std::move(health)));
  auto connected = database->connect(options);
  if (!connected) return std::unexpected(std::move(connected.error()));
  return database;
}

std::expected<void, Error> Database::reopen() {
  disconnect();
  Options options = options_;
  options.create_if_missing = false;  // a store that is gone must not come back empty
  return connect(options);
}

std::expected<void, Error> Database::connect(const Options& options) {
  const std::string path = options.path.string();
  const rocksdb::DBOptions db_options = database_options(options, health_);
  auto checked = check_tables(db_options, options);
  if (!checked) return checked;

  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(options.block_cache_octets);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  std::vector<std::string> there;
  if (options.read_only) (void)rocksdb::DB::ListColumnFamilies(db_options, path, &there);
  std::vector<std::size_t> opens;
  for (std::size_t i = 0; i < kTableNames.size(); ++i) {
    if (options.read_only && std::ranges::find(there, kTableNames[i]) == there.end()) continue;
    opens.push_back(i);
    descriptors.emplace_back(std::string(kTableNames[i]),
                             table_options(static_cast<Table>(i), options, cache));
  }
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status opened =
      options.read_only ? rocksdb::DB::OpenForReadOnly(db_options, path, descriptors, &handles, &db)
                        : rocksdb::DB::Open(db_options, path, descriptors, &handles, &db);
  if (!opened.ok()) {
    Error error = error_of(opened, path + ": open");
    // RocksDB's LOCK, held by a program that does not know ours.
    if (opened.IsIOError() && opened.ToString().find("lock ") != std::string::npos) error.code = Code::locked;
    return std::unexpected(std::move(error));
  }
  db_.reset(db);
  handles_.assign(kTableNames.size(), nullptr);
  for (std::size_t i = 0; i < opens.size(); ++i) handles_[opens[i]] = handles[i];
  return {};
}

void Database::disconnect() {
  if (!db_) return;
  for (rocksdb::ColumnFamilyHandle* handle : std::exchange(handles_, {}))
    if (handle != nullptr) (void)db_->DestroyColumnFamilyHandle(handle);
  (void)db_->Close();  // everything acknowledged is in the synced log: a failure here loses nothing
  db_.reset();
}

std::expected<std::string, Error> Database::get(Table where, std::string_view key,
                                                std::string_view doing) const {
  std::string value;
  if (table(where) == nullptr) return std::unexpected(error_of(rocksdb::Status::NotFound(), doing));
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), table(where), slice(key), &value);
  if (!status.ok()) return std::unexpected(error_of(status, doing));
  return value;
}

std::unique_ptr<rocksdb::Iterator> Database::iterate(Table where, const rocksdb::ReadOptions& options) const {
  if (table(where) == nullptr) return std::unique_ptr<rocksdb::Iterator>(rocksdb::NewEmptyIterator());
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, table(where)));
}

}  // namespace postern::storage
