#include "storage/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <random>
#include <shared_mutex>
#include <system_error>
#include <utility>

#include "storage/batch.h"
#include "storage/codec.h"
#include "storage/commit_thread.h"
#include "storage/database.h"
#include "storage/directory.h"
#include "storage/health.h"
#include "storage/lock_file.h"
#include "storage/store_impl.h"
#include "storage/verify.h"

namespace postern::storage {
namespace {

/// One batch of an expunge, for new mail waits behind it; a longer list is several batches.
constexpr std::size_t kExpungeUidsMax = 1000;
constexpr std::size_t kGreylistPairsMax = 10'000;  // likewise

Error corrupt(std::string_view where, const DecodeError& error) {
  return Error{.code = Code::corrupt, .context = fmt::format("{}: {}", where, error.text())};
}

std::expected<void, Error> prepare_directory(const Options& options) {
  const std::string path = options.path.string();
  const auto failed = [&](std::string_view what, const std::error_code& error) {
    const Code code = error == std::errc::no_space_on_device ? Code::no_space : Code::io;
    return std::unexpected(
        Error{.code = code, .context = fmt::format("{}: {}: {}", path, what, error.message())});
  };
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(options.path, error);
  if (std::filesystem::is_directory(status)) return {};
  if (std::filesystem::exists(status))
    return std::unexpected(Error{.code = Code::io, .context = path + ": is not a directory"});
  if (status.type() != std::filesystem::file_type::not_found) return failed("cannot be looked at", error);
  if (options.read_only || !options.create_if_missing)
    return std::unexpected(Error{.code = Code::not_found, .context = path + ": there is no store here"});
  const std::filesystem::path parent = std::filesystem::absolute(options.path, error).parent_path();
  if (!error) std::filesystem::create_directories(parent, error);
  if (error) return failed("its parent cannot be made", error);
  // Mail is private: the directory is born with its mode, there is no moment at which others may look in.
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return failed("cannot be made", std::error_code(errno, std::generic_category()));
  return {};
}

Identity new_identity() {
  Identity identity;
  std::random_device random;
  for (std::uint8_t& octet : identity.uuid) octet = static_cast<std::uint8_t>(random());
  identity.uuid[6] =
      static_cast<std::uint8_t>((identity.uuid[6] & 0x0fU) | 0x40U);  // RFC 9562 §5.4: version 4
  identity.uuid[8] = static_cast<std::uint8_t>((identity.uuid[8] & 0x3fU) | 0x80U);
  identity.created_ms =
      to_ms(std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  return identity;
}

std::expected<void, Error> write_birth(const Database& database) {
  rocksdb::WriteBatch writes;
  std::string value;
  const auto put = [&](std::string_view key) {
    (void)writes.Put(database.table(Table::meta), slice(key), slice(value));
  };
  encode_format(kFormat, value);
  put(kFormatKey);
  encode(new_identity(), value);
  put(kIdentityKey);
  encode(Ledger{}, value);
  put(kLedgerKey);
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status status = database.db().Write(options, &writes);
  if (!status.ok()) return std::unexpected(error_of(status, "first write"));
  return {};
}

bool holds_anything(const Database& database) {
  for (std::size_t i = 0; i < kTableNames.size(); ++i) {
    const auto rows = database.iterate(static_cast<Table>(i), rocksdb::ReadOptions());
    rows->SeekToFirst();
    if (rows->Valid() || !rows->status().ok()) return true;
  }
  return false;
}

/// A store that has no format record is either newly made (or was, when the power went) or not ours.
std::expected<void, Error> check_format(const Database& database, const Options& options) {
  const std::string path = options.path.string();
  const auto value = database.get(Table::meta, kFormatKey, path + ": format");
  if (!value) {
    if (value.error().code != Code::not_found) return std::unexpected(value.error());
    if (holds_anything(database) || options.read_only || !options.create_if_missing)
      return std::unexpected(Error{.code = Code::corrupt, .context = path + ": has no format record"});
    return write_birth(database);
  }
  const auto format = decode_format(*value);
  if (!format) return std::unexpected(corrupt(path + ": format record", format.error()));
  if (*format > kFormat)
    return std::unexpected(
        Error{.code = Code::newer_format,
              .context = fmt::format("{}: written by a newer version (format {}; this program reads "
                                     "up to {})",
                                     path, *format, kFormat)});
  return {};
}

}  // namespace

/// A key that is no message id cannot be one that comes again: it is passed over here and named by verify().
std::expected<MessageId, Error> newest_message(const Database& database) {
  const auto rows = database.iterate(Table::messages, rocksdb::ReadOptions());
  for (rows->SeekToLast(); rows->Valid(); rows->Prev())
    if (const auto id = decode_message_key(view(rows->key()))) return *id;
  if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "newest message"));
  return MessageId{};
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() {
  close();
}

std::expected<std::unique_ptr<Store>, Error> Store::open(const Options& options) {
  auto prepared = prepare_directory(options);
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  auto impl = std::make_unique<Impl>();
  if (options.read_only) {
    auto nobody = LockFile::check(options.path);
    if (!nobody) return std::unexpected(std::move(nobody.error()));
    impl->health->set(Trouble::read_only, "the store is open for reading only");
  } else {
    auto lock = LockFile::take(options.path);
    if (!lock) return std::unexpected(std::move(lock.error()));
    impl->lock = std::move(*lock);
  }
  auto database = Database::open(options, impl->health);
  if (!database) return std::unexpected(std::move(database.error()));
  impl->database = std::move(*database);
  auto format = check_format(*impl->database, options);
  if (!format) return std::unexpected(std::move(format.error()));
  auto loaded = impl->directory.load(*impl->database, /*lenient=*/options.read_only);
  if (!loaded) return std::unexpected(std::move(loaded.error()).with(options.path.string()));
  const auto newest = newest_message(*impl->database);
  if (!newest) return std::unexpected(Error(newest.error()).with(options.path.string()));
  if (!options.read_only)
    impl->commit =
        std::make_unique<CommitThread>(options, *impl->database, impl->directory, *newest, impl->health,
                                       [owner = impl.get()] { return owner->reopen(); });
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

bool Store::submit(Transaction&& transaction, Completion& completion) {
  return impl_->commit && impl_->commit->submit(std::move(transaction), completion);
}

bool Store::update(QueueUpdate&& update, Completion& completion) {
  return impl_->commit && impl_->commit->update(std::move(update), completion);
}

void Store::submit(Refusal&& refusal) {
  if (impl_->commit) impl_->commit->submit(std::move(refusal));
}

bool Store::would_refuse() const {
  return !impl_->commit || impl_->commit->would_refuse();
}

MailboxInfo Store::usage(std::string_view mailbox) const {
  return impl_->directory.usage(mailbox);
}

std::expected<std::vector<MailboxInfo>, Error> Store::mailboxes() const {
  return impl_->reading([this](const Database& database) -> std::expected<std::vector<MailboxInfo>, Error> {
    std::vector<MailboxInfo> result;
    const auto rows = database.iterate(Table::mailboxes, rocksdb::ReadOptions());
    for (rows->SeekToFirst(); rows->Valid(); rows->Next()) result.push_back(usage(view(rows->key())));
    if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "mailboxes"));
    return result;
  });
}

std::expected<std::vector<FolderInfo>, Error> Store::folders(std::string_view mailbox) const {
  return impl_->reading([&](const Database& database) -> std::expected<std::vector<FolderInfo>, Error> {
    const std::uint32_t id = impl_->directory.mailbox_id(mailbox);
    if (id == 0)
      return std::unexpected(
          Error{.code = Code::not_found, .context = fmt::format("there is no mailbox \"{}\"", mailbox)});
    std::string prefix;
    folder_key(id, "", prefix);
    std::vector<FolderInfo> result;
    const auto rows = database.iterate(Table::folders, rocksdb::ReadOptions());
    for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
      const std::string name = rows->key().ToString().substr(prefix.size());
      const auto record = decode_folder(view(rows->value()));
      if (!record)
        return std::unexpected(
            corrupt(fmt::format("mailbox \"{}\" folder \"{}\"", mailbox, name), record.error()));
      result.push_back(FolderInfo{.name = name,
                                  .uid_validity = record->uid_validity,
                                  .uid_next = record->uid_next,
                                  .messages = record->messages,
                                  .octets = record->octets});
    }
    if (!rows->status().ok())
      return std::unexpected(error_of(rows->status(), fmt::format("folders of \"{}\"", mailbox)));
    return result;
  });
}

std::expected<std::vector<Entry>, Error> Store::entries(std::string_view mailbox, std::string_view folder,
                                                        std::uint32_t after, std::size_t count) const {
  return impl_->reading([&](const Database& database) -> std::expected<std::vector<Entry>, Error> {
    const std::string where = fmt::format("mailbox \"{}\" folder \"{}\"", mailbox, folder);
    const std::uint32_t mailbox_id = impl_->directory.mailbox_id(mailbox);
    if (mailbox_id == 0)
      return std::unexpected(
          Error{.code = Code::not_found, .context = fmt::format("there is no mailbox \"{}\"", mailbox)});
    std::string key;
    folder_key(mailbox_id, folder_name(folder), key);
    const auto value = database.get(Table::folders, key, where);
    if (!value) return std::unexpected(value.error());
    const auto record = decode_folder(*value);
    if (!record) return std::unexpected(corrupt(where, record.error()));
    std::vector<Entry> result;
    if (after == std::numeric_limits<std::uint32_t>::max()) return result;
    const EntryKey first = entry_key(mailbox_id, record->id, after + 1);
    const std::string_view prefix = view(first).substr(0, 8);
    const auto rows = database.iterate(Table::entries, rocksdb::ReadOptions());
    for (rows->Seek(slice(view(first))); rows->Valid() && rows->key().starts_with(slice(prefix));
         rows->Next()) {
      if (result.size() >= count) break;
      const auto name = decode_entry_key(view(rows->key()));
      if (!name) return std::unexpected(corrupt(where + " entry key", name.error()));
      const auto entry = decode_entry(view(rows->value()));
      if (!entry) return std::unexpected(corrupt(fmt::format("{} uid {}", where, name->uid), entry.error()));
      result.push_back(Entry{.uid = name->uid,
                             .id = entry->id,
                             .flags = entry->flags,
                             .octets = entry->octets,
                             .received_at = from_ms(entry->received_ms)});
    }
    if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), where));
    return result;
  });
}

std::expected<std::string, Error> Store::message(const MessageId& id) const {
  return impl_->reading([&](const Database& database) -> std::expected<std::string, Error> {
    const std::string where = "message " + id.text();
    const auto value = database.get(Table::messages, message_key(id), where);
    if (!value) return std::unexpected(value.error());
    const auto record = decode_message(*value);
    if (!record) return std::unexpected(corrupt(where, record.error()));
    auto body = database.get(Table::bodies, message_key(id), where + ": body");
    if (!body) {
      // Expunged between the two reads, or lost: the message record tells.
      const auto still = database.get(Table::messages, message_key(id), where);
      if (body.error().code == Code::not_found && still)
        return std::unexpected(Error{.code = Code::corrupt, .context = where + ": its body is missing"});
      return body;
    }
    if (body->size() != record->octets)
      return std::unexpected(Error{
          .code = Code::corrupt,
          .context = fmt::format("{}: {} octets stored, {} expected", where, body->size(), record->octets)});
    return body;
  });
}

namespace {

std::expected<std::string, Error> decision_part(const Database& database, const MessageId& id,
                                                std::string_view DecisionView::* part) {
  const std::string where = "message " + id.text() + ": decision";
  auto value = database.get(Table::decisions, message_key(id), where);
  if (!value && value.error().code == Code::not_found)
    value = database.get(Table::refusals, message_key(id), where);
  if (!value) return std::unexpected(value.error());
  const auto decision = decode_decision(*value);
  if (!decision) return std::unexpected(corrupt(where, decision.error()));
  return std::string((*decision).*part);
}

}  // namespace

std::expected<std::string, Error> Store::envelope(const MessageId& id) const {
  return impl_->reading(
      [&](const Database& database) { return decision_part(database, id, &DecisionView::envelope); });
}

std::expected<std::string, Error> Store::record(const MessageId& id) const {
  return impl_->reading(
      [&](const Database& database) { return decision_part(database, id, &DecisionView::record); });
}

std::expected<std::vector<Count>, Error> Store::counts(std::uint32_t first_day, std::uint32_t last_day,
                                                       std::size_t count) const {
  return impl_->reading([&](const Database& database) -> std::expected<std::vector<Count>, Error> {
    std::string first;
    count_key({.day = first_day, .domain = {}, .row = {}}, first);
    std::vector<Count> result;
    const auto rows = database.iterate(Table::counts, rocksdb::ReadOptions());
    for (rows->Seek(slice(first)); rows->Valid() && result.size() < count; rows->Next()) {
      const auto name = decode_count_key(view(rows->key()));
      if (!name) return std::unexpected(corrupt("a counter's key", name.error()));
      if (name->day > last_day) break;
      const auto value = decode_count(view(rows->value()));
      if (!value)
        return std::unexpected(
            corrupt(fmt::format("counter of day {}, domain {}", name->day, name->domain), value.error()));
      result.push_back(Count{.day = name->day,
                             .domain = std::string(name->domain),
                             .row = std::string(name->row),
                             .count = *value});
    }
    if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "counters"));
    return result;
  });
}

std::expected<void, Error> Store::set_flags(std::string_view mailbox, std::string_view folder,
                                            std::uint32_t uid, std::uint32_t set, std::uint32_t clear) {
  const std::vector<std::uint32_t> uids{uid};
  Command command{.kind = Command::Kind::set_flags,
                  .mailbox = mailbox,
                  .folder = folder,
                  .uids = uids,
                  .set = set,
                  .clear = clear};
  auto changed = impl_->run(command);
  if (!changed) return std::unexpected(std::move(changed.error()));
  return {};
}

std::expected<std::uint64_t, Error> Store::expunge(std::string_view mailbox, std::string_view folder,
                                                   const std::vector<std::uint32_t>& uids) {
  std::uint64_t removed = 0;
  for (std::size_t at = 0; at < uids.size(); at += kExpungeUidsMax) {
    const auto first = uids.begin() + static_cast<std::ptrdiff_t>(at);
    const std::vector<std::uint32_t> some(
        first, first + static_cast<std::ptrdiff_t>(std::min(kExpungeUidsMax, uids.size() - at)));
    Command command{.kind = Command::Kind::expunge, .mailbox = mailbox, .folder = folder, .uids = some};
    auto changed = impl_->run(command);
    if (!changed) return changed;
    removed += *changed;
  }
  return removed;
}

std::expected<void, Error> Store::put_greylist(const Pairs& pairs) {
  static const std::vector<std::uint32_t> kNone;
  for (std::size_t at = 0; at < pairs.size(); at += kGreylistPairsMax) {
    const auto first = pairs.begin() + static_cast<std::ptrdiff_t>(at);
    const Pairs some(first,
                     first + static_cast<std::ptrdiff_t>(std::min(kGreylistPairsMax, pairs.size() - at)));
    Command command{
        .kind = Command::Kind::greylist, .mailbox = {}, .folder = {}, .uids = kNone, .pairs = &some};
    auto changed = impl_->run(command);
    if (!changed) return std::unexpected(std::move(changed.error()));
  }
  return {};
}

std::expected<Pairs, Error> Store::greylist() const {
  return impl_->reading([](const Database& database) -> std::expected<Pairs, Error> {
    Pairs pairs;
    const auto rows = database.iterate(Table::greylist, rocksdb::ReadOptions());
    for (rows->SeekToFirst(); rows->Valid(); rows->Next())
      pairs.emplace_back(view(rows->key()), view(rows->value()));
    if (!rows->status().ok()) return std::unexpected(error_of(rows->status(), "greylist: read"));
    return pairs;
  });
}

Ledger Store::ledger() const {
  return impl_->directory.ledger();
}

Statistics Store::statistics() const {
  Statistics statistics;
  if (impl_->commit) impl_->commit->report(statistics);
  statistics.trouble = impl_->health->text();
  return statistics;
}

std::expected<VerifyReport, Error> Store::verify() const {
  return impl_->reading([](const Database& database) { return storage::verify(database); });
}

std::expected<void, Error> Store::flush() {
  return impl_->reading([](const Database& database) -> std::expected<void, Error> {
    const rocksdb::Status status = database.db().Flush(rocksdb::FlushOptions(), database.tables());
    if (!status.ok()) return std::unexpected(error_of(status, "flush"));
    return {};
  });
}

void Store::close() {
  if (impl_->commit) impl_->commit->stop();
  const std::unique_lock guard(impl_->open);
  impl_->health->set(Trouble::stopping, "the store is closed");
  impl_->database.reset();
  impl_->lock.release();
}

}  // namespace postern::storage
