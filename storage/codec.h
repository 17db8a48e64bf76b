#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "storage/message_id.h"
#include "storage/store.h"

namespace postern::storage {

// Every octet that the store writes is made here and read back here; storage/README.md shows the layouts.
// Keys are big-endian so that RocksDB's order of octets is the order of uids. Values begin with the version
// of their layout, then hold varints (LEB128, shortest form only) and texts (varint length, octets). Decoding
// is strict: what encode() would not have written is an error that names the octet and the rule.

struct DecodeError {
  std::size_t position = 0;
  std::string_view rule;
  std::string text() const;  ///< "octet 3: the record ends early"
};
template <class T>
using Decoded = std::expected<T, DecodeError>;

inline constexpr std::uint64_t kFormat = 1;        ///< of the whole store; a newer one is not opened
inline constexpr std::uint8_t kRecordVersion = 1;  ///< first octet of every value but a body
inline constexpr std::uint8_t kLedgerVersion = 2;  ///< of the ledger once something has been discarded
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kIdentityKey = "identity";
inline constexpr std::string_view kLedgerKey = "ledger";

struct Identity {
  std::array<std::uint8_t, 16> uuid{};
  std::uint64_t created_ms = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};
struct MailboxRecord {
  std::uint32_t id = 0;           ///< never 0
  std::uint32_t next_folder = 1;  ///< the id that the next folder gets
  friend bool operator==(const MailboxRecord&, const MailboxRecord&) = default;
};
struct FolderRecord {
  std::uint32_t id = 0;  ///< within its mailbox, never 0
  std::uint32_t uid_validity = 1;
  std::uint32_t uid_next = 1;
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
  friend bool operator==(const FolderRecord&, const FolderRecord&) = default;
};
struct EntryRecord {
  MessageId id;
  std::uint32_t flags = 0;
  std::uint64_t octets = 0;
  std::uint64_t received_ms = 0;
  friend bool operator==(const EntryRecord&, const EntryRecord&) = default;
};
struct MessageRecord {
  std::uint64_t references = 0;  ///< mailbox and queue entries that name it; never 0 on disk
  std::uint64_t octets = 0;      ///< header and body
  std::uint64_t header_octets = 0;
  std::uint64_t received_ms = 0;
  std::string mail_from;
  friend bool operator==(const MessageRecord&, const MessageRecord&) = default;
};
/// Views into the decoded value.
struct DecisionView {
  std::string_view envelope;
  std::string_view record;
};

inline constexpr std::size_t kCountDomainOctetsMax = 253;  ///< RFC 1035 §3.1, as text
inline constexpr std::size_t kCountRowOctetsMax = 8192;
/// Views into the decoded key. Without a domain there is no row either: the overflow.
struct CountName {
  std::uint32_t day = 0;
  std::string_view domain, row;
};

/// Each encode() replaces what `out` held.
void encode_format(std::uint64_t format, std::string& out);
void encode(const Identity& identity, std::string& out);
void encode(const Ledger& ledger, std::string& out);
void encode(const MailboxRecord& record, std::string& out);
void encode(const FolderRecord& record, std::string& out);
void encode(const EntryRecord& record, std::string& out);
void encode(const MessageRecord& record, std::string& out);
/// What goes before the envelope; the value is this, the envelope, the record.
void encode_decision_prefix(std::size_t envelope_octets, std::string& out);
void encode_count(std::uint64_t count, std::string& out);

Decoded<std::uint64_t> decode_format(std::string_view in);
Decoded<Identity> decode_identity(std::string_view in);
Decoded<Ledger> decode_ledger(std::string_view in);
Decoded<MailboxRecord> decode_mailbox(std::string_view in);
Decoded<FolderRecord> decode_folder(std::string_view in);
Decoded<EntryRecord> decode_entry(std::string_view in);
Decoded<MessageRecord> decode_message(std::string_view in);
Decoded<DecisionView> decode_decision(std::string_view in);
Decoded<std::uint64_t> decode_count(std::string_view in);

// Keys. A mailbox's key is its address.
using EntryKey = std::array<char, 12>;  ///< mailbox, folder, uid
struct EntryName {
  std::uint32_t mailbox = 0, folder = 0, uid = 0;
};
struct FolderName {
  std::uint32_t mailbox = 0;
  std::string_view name;
};
EntryKey entry_key(std::uint32_t mailbox, std::uint32_t folder, std::uint32_t uid);
void folder_key(std::uint32_t mailbox, std::string_view name, std::string& out);
void count_key(const CountName& name, std::string& out);
inline std::string_view view(const EntryKey& key) {
  return {key.data(), key.size()};
}
inline std::string_view message_key(const MessageId& id) {
  return {reinterpret_cast<const char*>(id.octets.data()), id.octets.size()};
}
Decoded<EntryName> decode_entry_key(std::string_view in);
Decoded<FolderName> decode_folder_key(std::string_view in);
Decoded<MessageId> decode_message_key(std::string_view in);
Decoded<CountName> decode_count_key(std::string_view in);

std::uint64_t to_ms(std::chrono::sys_time<std::chrono::milliseconds> time);  ///< before 1970 counts as 1970
std::chrono::sys_time<std::chrono::milliseconds> from_ms(std::uint64_t ms);
bool is_utf8(std::string_view text);  ///< RFC 3629: no overlong forms, no surrogates, at most U+10FFFF

}  // namespace postern::storage
