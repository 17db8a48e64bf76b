#include "storage/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "storage/codec.h"
#include "storage/quarantine/record.h"
#include "storage/quarantine/verify.h"
#include "storage/queue/record.h"
#include "storage/queue/verify.h"

namespace postern::storage {
namespace {

/// Messages whose references are counted in one pass over the entries. A store of more takes more passes, not
/// more memory.
constexpr std::size_t kMessagesPerPassMax = 1U << 20;
constexpr std::size_t kReadaheadOctets = 2U << 20;

struct KnownMailbox {
  std::string address;
  MailboxRecord record;
};
struct KnownFolder {
  std::string name;
  FolderRecord record;
  std::uint64_t messages = 0, octets = 0;  ///< sums over its entries
};
struct CountedMessage {
  MessageId id;
  std::optional<MessageRecord> record;  ///< none: undecodable, and already reported
  std::uint64_t seen = 0;
};

std::string hex(std::string_view octets) {
  std::string result;
  for (const char octet : octets.substr(0, 32))
    result += fmt::format("{:02x}", static_cast<unsigned char>(octet));
  return result;
}

class Verifier {
 public:
  explicit Verifier(const Database& database)
      : database_(database),
        snapshot_(database.db().GetSnapshot()),
        queue_{.database = database, .read = read_, .problem = [this](std::string text) {
                 problem(std::move(text));
               }} {
    read_.snapshot = snapshot_;
    read_.fill_cache = false;
    read_.readahead_size = kReadaheadOctets;
  }
  ~Verifier() { database_.db().ReleaseSnapshot(snapshot_); }
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

  VerifyReport run() {
    check_mailboxes();
    check_folders_and_entries();
    check_references();
    check_contents(Table::bodies, "body");
    check_contents(Table::decisions, "decision");
    check_refusals();
    check_counts();
    check_meta();
    report_.queued = queue::verify(queue_, ledger_open_);
    report_.quarantined = quarantine::verify(queue_);
    if (ledger_quarantined_ < report_.quarantined)
      problem(fmt::format("ledger: {} quarantined, but {} entries exist", ledger_quarantined_,
                          report_.quarantined));
    if (problems_left_out_ > 0)
      report_.problems.push_back(fmt::format("and {} problems more", problems_left_out_));
    return std::move(report_);
  }

 private:
  void problem(std::string text) {
    if (report_.problems.size() < Store::kProblemsMax) {
      report_.problems.push_back(std::move(text));
    } else {
      ++problems_left_out_;
    }
  }

  void check_end(const rocksdb::Iterator& rows, Table table) {
    if (!rows.status().ok())
      problem(fmt::format("column family {}: cannot be read further: {}",
                          kTableNames[static_cast<std::size_t>(table)], rows.status().ToString()));
  }

  void check_meta();
  void check_refusals();
  void check_counts();
  void check_mailboxes();
  void check_folders_and_entries();
  void check_folder(std::string_view key, std::string_view value,
                    std::map<std::uint32_t, KnownFolder>& folders);
  void check_entries_up_to(std::uint32_t mailbox, rocksdb::Iterator& rows,
                           std::map<std::uint32_t, KnownFolder>& folders);
  void check_entry(const EntryName& name, std::string_view value,
                   std::map<std::uint32_t, KnownFolder>& folders);
  void check_folder_sums(std::uint32_t mailbox, const std::map<std::uint32_t, KnownFolder>& folders);
  void check_references();
  void count_references(std::vector<CountedMessage>& messages, const MessageId& first,
                        const std::optional<MessageId>& end);
  void check_contents(Table table, std::string_view what);
  bool has_outcome(std::string_view message) const;
  void check_content(Table table, std::string_view what, std::string_view key, std::string_view message,
                     std::string_view content);
  void check_unreadable(Table table, std::string_view what, const rocksdb::Iterator& messages,
                        const std::string& why);

  std::string mailbox_name(std::uint32_t id) const {
    const auto found = mailboxes_.find(id);
    return found == mailboxes_.end() ? fmt::format("mailbox number {}", id)
                                     : fmt::format("mailbox \"{}\"", found->second.address);
  }

  const Database& database_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions read_;
  std::map<std::uint32_t, KnownMailbox> mailboxes_;
  VerifyReport report_;
  std::uint64_t problems_left_out_ = 0;
  std::uint64_t ledger_open_ = 0, ledger_quarantined_ = 0;
  const queue::Verification queue_;
};

void Verifier::check_meta() {
  bool format = false;
  bool identity = false;
  bool ledger = false;
  const auto rows = database_.iterate(Table::meta, read_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const std::string_view key = view(rows->key());
    const std::string_view value = view(rows->value());
    if (key == kFormatKey) {
      format = true;
      if (const auto decoded = decode_format(value); !decoded)
        problem("format record: " + decoded.error().text());
    } else if (key == kIdentityKey) {
      identity = true;
      if (const auto decoded = decode_identity(value); !decoded)
        problem("identity record: " + decoded.error().text());
    } else if (key == kLedgerKey) {
      ledger = true;
      const auto decoded = decode_ledger(value);
      if (!decoded) {
        problem("ledger: " + decoded.error().text());
      } else {
        ledger_open_ = decoded->open();
        ledger_quarantined_ = decoded->quarantined;
        if (decoded->delivered < report_.entries)
          problem(
              fmt::format("ledger: {} delivered, but {} entries exist", decoded->delivered, report_.entries));
      }
    } else if (key != kQueueTotalsKey && key != kQuarantineTotalsKey) {
      problem(fmt::format("column family default: a key that is nobody's: {}", hex(key)));
    }
  }
  check_end(*rows, Table::meta);
  if (!format) problem("the format record is missing");
  if (!identity) problem("the identity record is missing");
  if (!ledger) problem("the ledger is missing");
}

void Verifier::check_refusals() {
  const auto rows = database_.iterate(Table::refusals, read_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto id = decode_message_key(view(rows->key()));
    if (!id) {
      problem(fmt::format("a refusal's key ({}): {}", hex(view(rows->key())), id.error().text()));
    } else if (const auto decision = decode_decision(view(rows->value())); !decision) {
      problem(fmt::format("refusal {}: {}", id->text(), decision.error().text()));
    }
  }
  check_end(*rows, Table::refusals);
}

void Verifier::check_counts() {
  const auto rows = database_.iterate(Table::counts, read_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto name = decode_count_key(view(rows->key()));
    if (!name) {
      problem(fmt::format("a counter's key ({}): {}", hex(view(rows->key())), name.error().text()));
    } else if (const auto count = decode_count(view(rows->value())); !count) {
      problem(fmt::format("counter of day {}, domain {}: {}", name->day, name->domain, count.error().text()));
    }
  }
  check_end(*rows, Table::counts);
}

void Verifier::check_mailboxes() {
  const auto rows = database_.iterate(Table::mailboxes, read_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    ++report_.mailboxes;
    const std::string address = rows->key().ToString();
    if (address.empty() || address.size() > Store::kMailboxOctetsMax)
      problem(fmt::format("a mailbox's key ({}): {} octets, where 1 to {} are", hex(address), address.size(),
                          Store::kMailboxOctetsMax));
    const auto record = decode_mailbox(view(rows->value()));
    if (!record) {
      problem(fmt::format("mailbox \"{}\": {}", address, record.error().text()));
      continue;
    }
    const auto [known, fresh] =
        mailboxes_.emplace(record->id, KnownMailbox{.address = address, .record = *record});
    if (!fresh)
      problem(fmt::format("mailbox \"{}\": has the number {} of mailbox \"{}\"", address, record->id,
                          known->second.address));
  }
  check_end(*rows, Table::mailboxes);
}

/// Folders are in the order of mailbox numbers, and so are entries: one walk over both, the folders of one
/// mailbox in memory.
void Verifier::check_folders_and_entries() {
  const auto folder_rows = database_.iterate(Table::folders, read_);
  const auto entry_rows = database_.iterate(Table::entries, read_);
  folder_rows->SeekToFirst();
  entry_rows->SeekToFirst();
  while (folder_rows->Valid()) {
    const auto first = decode_folder_key(view(folder_rows->key()));
    if (!first) {
      problem(fmt::format("a folder's key ({}): {}", hex(view(folder_rows->key())), first.error().text()));
      folder_rows->Next();
      continue;
    }
    const std::uint32_t mailbox = first->mailbox;
    std::map<std::uint32_t, KnownFolder> folders;
    for (; folder_rows->Valid(); folder_rows->Next()) {
      const auto name = decode_folder_key(view(folder_rows->key()));
      if (!name || name->mailbox != mailbox) break;
      check_folder(view(folder_rows->key()), view(folder_rows->value()), folders);
    }
    check_entries_up_to(mailbox, *entry_rows, folders);
    check_folder_sums(mailbox, folders);
  }
  std::map<std::uint32_t, KnownFolder> none;
  check_entries_up_to(std::numeric_limits<std::uint32_t>::max(), *entry_rows, none);
  check_end(*folder_rows, Table::folders);
  check_end(*entry_rows, Table::entries);
}

void Verifier::check_folder(std::string_view key, std::string_view value,
                            std::map<std::uint32_t, KnownFolder>& folders) {
  ++report_.folders;
  const auto name = decode_folder_key(key);
  const std::string where = fmt::format("{} folder \"{}\"", mailbox_name(name->mailbox), name->name);
  const auto record = decode_folder(value);
  if (!record) return problem(fmt::format("{}: {}", where, record.error().text()));
  const auto [known, fresh] =
      folders.emplace(record->id, KnownFolder{.name = std::string(name->name), .record = *record});
  if (!fresh)
    problem(fmt::format("{}: has the number {} of folder \"{}\"", where, record->id, known->second.name));
  const auto mailbox = mailboxes_.find(name->mailbox);
  if (mailbox == mailboxes_.end()) return problem(fmt::format("{}: there is no such mailbox", where));
  if (record->id >= mailbox->second.record.next_folder)
    problem(fmt::format("{}: has the number {}, which the mailbox has yet to give out", where, record->id));
}

/// Takes the entries of `mailbox`, and of those before it, which belong to no folder at all.
void Verifier::check_entries_up_to(std::uint32_t mailbox, rocksdb::Iterator& rows,
                                   std::map<std::uint32_t, KnownFolder>& folders) {
  std::map<std::uint32_t, KnownFolder> none;
  for (; rows.Valid(); rows.Next()) {
    const auto name = decode_entry_key(view(rows.key()));
    if (!name) {
      problem(fmt::format("an entry's key ({}): {}", hex(view(rows.key())), name.error().text()));
      continue;
    }
    if (name->mailbox > mailbox) return;
    ++report_.entries;
    check_entry(*name, view(rows.value()), name->mailbox == mailbox ? folders : none);
  }
}

void Verifier::check_entry(const EntryName& name, std::string_view value,
                           std::map<std::uint32_t, KnownFolder>& folders) {
  const auto folder = folders.find(name.folder);
  const std::string where =
      folder == folders.end()
          ? fmt::format("{} folder number {} uid {}", mailbox_name(name.mailbox), name.folder, name.uid)
          : fmt::format("{} folder \"{}\" uid {}", mailbox_name(name.mailbox), folder->second.name, name.uid);
  const auto entry = decode_entry(value);
  if (!entry) problem(fmt::format("{}: {}", where, entry.error().text()));
  if (folder == folders.end()) return problem(fmt::format("{}: there is no such folder", where));
  if (name.uid >= folder->second.record.uid_next)
    problem(fmt::format("{}: the folder's next uid is {}", where, folder->second.record.uid_next));
  ++folder->second.messages;
  if (entry) folder->second.octets += entry->octets;
}

void Verifier::check_folder_sums(std::uint32_t mailbox, const std::map<std::uint32_t, KnownFolder>& folders) {
  for (const auto& [id, folder] : folders) {
    if (folder.messages != folder.record.messages || folder.octets != folder.record.octets)
      problem(fmt::format("{} folder \"{}\": says {} messages of {} octets, has {} of {}",
                          mailbox_name(mailbox), folder.name, folder.record.messages, folder.record.octets,
                          folder.messages, folder.octets));
  }
}

/// Entry to message and back. Each pass takes the next messages in the order of their ids and counts the
/// entries that name them; entries between two messages of a pass name nothing.
void Verifier::check_references() {
  const auto rows = database_.iterate(Table::messages, read_);
  rows->SeekToFirst();
  MessageId first;
  for (bool more = true; more;) {
    std::vector<CountedMessage> messages;
    std::optional<MessageId> end;  // the first of the next pass
    for (; rows->Valid(); rows->Next()) {
      const auto id = decode_message_key(view(rows->key()));
      if (!id) {
        ++report_.messages;
        problem(fmt::format("a message's key ({}): {}", hex(view(rows->key())), id.error().text()));
        continue;
      }
      if (messages.size() == kMessagesPerPassMax) {
        end = *id;
        break;
      }
      ++report_.messages;
      auto record = decode_message(view(rows->value()));
      if (!record) problem(fmt::format("message {}: {}", id->text(), record.error().text()));
      messages.push_back(
          CountedMessage{.id = *id, .record = record ? std::optional(std::move(*record)) : std::nullopt});
      if (messages.back().record)
        messages.back().record->mail_from.clear();  // not checked, and memory counts here
    }
    more = end.has_value();
    count_references(messages, first, end);
    for (const CountedMessage& message : messages) {
      if (!message.record || message.seen == message.record->references) continue;
      problem(fmt::format("message {}: says {} entries name it, {} do", message.id.text(),
                          message.record->references, message.seen));
    }
    if (end) first = *end;
  }
  check_end(*rows, Table::messages);
}

void Verifier::count_references(std::vector<CountedMessage>& messages, const MessageId& first,
                                const std::optional<MessageId>& end) {
  const auto rows = database_.iterate(Table::entries, read_);
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    const auto name = decode_entry_key(view(rows->key()));
    const auto entry = decode_entry(view(rows->value()));
    if (!name || !entry) continue;  // reported before
    if (entry->id < first || (end && entry->id >= *end)) continue;
    const auto found = std::ranges::lower_bound(messages, entry->id, {}, &CountedMessage::id);
    const auto where = [&] {
      return fmt::format("{} folder number {} uid {}", mailbox_name(name->mailbox), name->folder, name->uid);
    };
    if (found == messages.end() || found->id != entry->id) {
      problem(fmt::format("{}: message {} is missing", where(), entry->id.text()));
      continue;
    }
    ++found->seen;
    if (!found->record) continue;
    if (entry->octets != found->record->octets)
      problem(fmt::format("{}: says {} octets, message {} says {}", where(), entry->octets, entry->id.text(),
                          found->record->octets));
    if (entry->received_ms != found->record->received_ms)
      problem(fmt::format("{}: received at another time than its message {}", where(), entry->id.text()));
  }
  queue::for_each(queue_, [&](const QueueKey& key, const QueueEntry& entry) {
    if (key.id < first || (end && key.id >= *end)) return;
    const auto found = std::ranges::lower_bound(messages, key.id, {}, &CountedMessage::id);
    if (found == messages.end() || found->id != key.id)
      return problem(fmt::format("queue entry {}: its message is missing", key.text()));
    ++found->seen;
    if (found->record && found->record->octets != entry.octets)
      problem(fmt::format("queue entry {}: says {} octets, its message says {}", key.text(), entry.octets,
                          found->record->octets));
  });
  quarantine::for_each(queue_, [&](const QuarantineKey& key, const QuarantineEntry& entry) {
    if (key.id < first || (end && key.id >= *end)) return;
    const auto found = std::ranges::lower_bound(messages, key.id, {}, &CountedMessage::id);
    if (found == messages.end() || found->id != key.id)
      return problem(fmt::format("quarantine entry {}: its message is missing", key.text()));
    ++found->seen;
    if (found->record &&
        (found->record->octets != entry.octets || found->record->received_ms != entry.received_ms))
      problem(fmt::format("quarantine entry {}: is of another size or time than its message", key.text()));
  });
}

/// Message to body (or decision) and back, reading every octet; RocksDB checks the checksums on the way.
void Verifier::check_contents(Table table, std::string_view what) {
  const auto messages = database_.iterate(Table::messages, read_);
  const auto contents = database_.iterate(table, read_);
  messages->SeekToFirst();
  contents->SeekToFirst();
  while (messages->Valid() || contents->Valid() || !contents->status().ok()) {
    if (!contents->status().ok()) {
      const std::string why = contents->status().ToString();
      if (!messages->Valid()) {
        problem(fmt::format("column family {}: cannot be read further: {}",
                            kTableNames[static_cast<std::size_t>(table)], why));
        break;
      }
      check_unreadable(table, what, *messages, why);
      messages->Next();
      if (!messages->Valid()) break;
      contents->Seek(messages->key());
      continue;
    }
    const int order = !messages->Valid()   ? 1
                      : !contents->Valid() ? -1
                                           : messages->key().compare(contents->key());
    if (order == 0) {
      check_content(table, what, view(messages->key()), view(messages->value()), view(contents->value()));
    } else if (order < 0) {
      const auto id = decode_message_key(view(messages->key()));
      if (id) problem(fmt::format("message {}: its {} is missing", id->text(), what));
    } else if (table != Table::decisions || !has_outcome(view(contents->key()))) {
      const auto id = decode_message_key(view(contents->key()));
      problem(fmt::format("a {} without a message: {}", what, id ? id->text() : hex(view(contents->key()))));
    }
    if (order <= 0) messages->Next();
    if (order >= 0) contents->Next();
  }
}

/// The decision record of a relayed message is kept as long as what became of it.
bool Verifier::has_outcome(std::string_view message) const {
  const auto rows = database_.iterate(Table::outcomes, read_);
  rows->Seek(slice(message));
  return rows->Valid() && rows->key().starts_with(slice(message));
}

void Verifier::check_content(Table table, std::string_view what, std::string_view key,
                             std::string_view message, std::string_view content) {
  const auto id = decode_message_key(key);
  if (!id) return;  // reported before
  if (table == Table::decisions) {
    if (const auto decision = decode_decision(content); !decision)
      problem(fmt::format("message {}: {}: {}", id->text(), what, decision.error().text()));
    return;
  }
  report_.octets += content.size();
  const auto record = decode_message(message);
  if (record && record->octets != content.size())
    problem(fmt::format("message {}: says {} octets, its {} has {}", id->text(), record->octets, what,
                        content.size()));
}

/// The walk over contents broke off without saying where: the next message's own is the likeliest place.
void Verifier::check_unreadable(Table table, std::string_view what, const rocksdb::Iterator& messages,
                                const std::string& why) {
  std::string content;
  const rocksdb::Status status = database_.db().Get(read_, database_.table(table), messages.key(), &content);
  if (status.ok()) {
    problem(fmt::format("a {} that no message has cannot be read: {}", what, why));
    check_content(table, what, view(messages.key()), view(messages.value()), content);
    return;
  }
  const auto id = decode_message_key(view(messages.key()));
  problem(fmt::format("message {}: its {} cannot be read: {}", id ? id->text() : hex(view(messages.key())),
                      what, status.ToString()));
}

}  // namespace

std::expected<VerifyReport, Error> verify(const Database& database) {
  return Verifier(database).run();
}

}  // namespace postern::storage
