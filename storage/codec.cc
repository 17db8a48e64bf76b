#include "storage/codec.h"

#include <algorithm>
#include <limits>

#include "storage/record.h"

namespace postern::storage {
namespace {

using namespace record;

constexpr std::string_view kHeaderLarger = "a header larger than its message";
constexpr std::string_view kNotUtf8 = "a name that is not UTF-8";
constexpr std::string_view kLongDomain = "a domain longer than a name can be";
constexpr std::string_view kRowOfNobody = "a row without a domain";
constexpr std::string_view kLongRow = "a row beyond its bound";
constexpr std::string_view kLedgerOverdrawn = "a ledger with more closed than opened";

std::uint32_t load_be32(std::string_view in, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = (value << 8U) | static_cast<unsigned char>(in[at + i]);
  return value;
}

void store_be32(std::uint32_t value, char* out) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * (3 - i)));
}

std::unexpected<DecodeError> bad_key(std::size_t position, std::string_view rule) {
  return std::unexpected(DecodeError{.position = position, .rule = rule});
}

}  // namespace

std::string DecodeError::text() const {
  return "octet " + std::to_string(position) + ": " + std::string(rule);
}

void encode_format(std::uint64_t format, std::string& out) {
  begin(out);
  put_varint(format, out);
}

void encode(const Identity& identity, std::string& out) {
  begin(out);
  for (const std::uint8_t octet : identity.uuid) out.push_back(static_cast<char>(octet));
  put_varint(identity.created_ms, out);
}

void encode(const Ledger& ledger, std::string& out) {
  begin(out);
  if (ledger.discarded > 0) out[0] = static_cast<char>(kLedgerVersion);  // what never happened is not written
  for (const std::uint64_t count : {ledger.opened, ledger.delivered, ledger.relayed, ledger.bounced,
                                    ledger.quarantined, ledger.expired, ledger.dropped})
    put_varint(count, out);
  if (ledger.discarded > 0) put_varint(ledger.discarded, out);
}

void encode(const MailboxRecord& record, std::string& out) {
  begin(out);
  put_varint(record.id, out);
  put_varint(record.next_folder, out);
}

void encode(const FolderRecord& record, std::string& out) {
  begin(out);
  put_varint(record.id, out);
  put_varint(record.uid_validity, out);
  put_varint(record.uid_next, out);
  put_varint(record.messages, out);
  put_varint(record.octets, out);
}

void encode(const EntryRecord& record, std::string& out) {
  begin(out);
  out.append(message_key(record.id));
  put_varint(record.flags, out);
  put_varint(record.octets, out);
  put_varint(record.received_ms, out);
}

void encode(const MessageRecord& record, std::string& out) {
  begin(out);
  put_varint(record.references, out);
  put_varint(record.octets, out);
  put_varint(record.header_octets, out);
  put_varint(record.received_ms, out);
  put_varint(record.mail_from.size(), out);
  out.append(record.mail_from);
}

void encode_decision_prefix(std::size_t envelope_octets, std::string& out) {
  begin(out);
  put_varint(envelope_octets, out);
}

void encode_count(std::uint64_t count, std::string& out) {
  begin(out);
  put_varint(count, out);
}

Decoded<std::uint64_t> decode_count(std::string_view in) {
  Reader reader(in);
  const std::uint64_t count = reader.varint();
  reader.require(count != 0, kZero);
  return reader.finish(count);
}

Decoded<std::uint64_t> decode_format(std::string_view in) {
  Reader reader(in);
  const std::uint64_t format = reader.varint();
  reader.require(format != 0, kZero);
  return reader.finish(format);
}

Decoded<Identity> decode_identity(std::string_view in) {
  Reader reader(in);
  Identity identity;
  reader.copy(identity.uuid);
  identity.created_ms = reader.varint(kTimeMax);
  return reader.finish(identity);
}

Decoded<Ledger> decode_ledger(std::string_view in) {
  Reader reader(in, kLedgerVersion);
  Ledger ledger;
  ledger.opened = reader.varint();
  std::uint64_t left = ledger.opened;
  bool balanced = true;
  for (std::uint64_t* closed : {&ledger.delivered, &ledger.relayed, &ledger.bounced, &ledger.quarantined,
                                &ledger.expired, &ledger.dropped}) {
    *closed = reader.varint();
    if (*closed > left) balanced = false;
    left -= std::min(left, *closed);
  }
  if (reader.version() == kLedgerVersion) {
    ledger.discarded = reader.varint();
    reader.require(ledger.discarded != 0, kZero);  // or version 1 would have done
    if (ledger.discarded > left) balanced = false;
  }
  reader.require(balanced, kLedgerOverdrawn);
  return reader.finish(ledger);
}

Decoded<MailboxRecord> decode_mailbox(std::string_view in) {
  Reader reader(in);
  MailboxRecord record;
  record.id = reader.nonzero32();
  record.next_folder = reader.nonzero32();
  return reader.finish(record);
}

Decoded<FolderRecord> decode_folder(std::string_view in) {
  Reader reader(in);
  FolderRecord record;
  record.id = reader.nonzero32();
  record.uid_validity = reader.nonzero32();
  record.uid_next = reader.nonzero32();
  record.messages = reader.varint();
  record.octets = reader.varint();
  return reader.finish(record);
}

Decoded<EntryRecord> decode_entry(std::string_view in) {
  Reader reader(in);
  EntryRecord record;
  reader.copy(record.id.octets);
  record.flags = reader.varint32();
  record.octets = reader.varint();
  record.received_ms = reader.varint(kTimeMax);
  return reader.finish(record);
}

Decoded<MessageRecord> decode_message(std::string_view in) {
  Reader reader(in);
  MessageRecord record;
  record.references = reader.varint();
  reader.require(record.references != 0, kZero);
  record.octets = reader.varint();
  record.header_octets = reader.varint();
  reader.require(record.header_octets <= record.octets, kHeaderLarger);
  record.received_ms = reader.varint(kTimeMax);
  record.mail_from = std::string(reader.octets(reader.varint()));
  return reader.finish(std::move(record));
}

Decoded<DecisionView> decode_decision(std::string_view in) {
  Reader reader(in);
  DecisionView decision;
  decision.envelope = reader.octets(reader.varint());
  decision.record = reader.rest();
  return reader.finish(decision);
}

EntryKey entry_key(std::uint32_t mailbox, std::uint32_t folder, std::uint32_t uid) {
  EntryKey key;
  store_be32(mailbox, key.data());
  store_be32(folder, key.data() + 4);
  store_be32(uid, key.data() + 8);
  return key;
}

void folder_key(std::uint32_t mailbox, std::string_view name, std::string& out) {
  out.resize(4);
  store_be32(mailbox, out.data());
  out.append(name);
}

Decoded<EntryName> decode_entry_key(std::string_view in) {
  if (in.size() < 12) return bad_key(in.size(), kEndsEarly);
  if (in.size() > 12) return bad_key(12, kOctetsLeft);
  const EntryName name{.mailbox = load_be32(in, 0), .folder = load_be32(in, 4), .uid = load_be32(in, 8)};
  if (name.mailbox == 0) return bad_key(0, kZero);
  if (name.folder == 0) return bad_key(4, kZero);
  if (name.uid == 0) return bad_key(8, kZero);
  return name;
}

Decoded<FolderName> decode_folder_key(std::string_view in) {
  if (in.size() < 5) return bad_key(in.size(), kEndsEarly);
  if (in.size() > 4 + Store::kFolderOctetsMax) return bad_key(4 + Store::kFolderOctetsMax, kOctetsLeft);
  const FolderName name{.mailbox = load_be32(in, 0), .name = in.substr(4)};
  if (name.mailbox == 0) return bad_key(0, kZero);
  if (!is_utf8(name.name)) return bad_key(4, kNotUtf8);
  return name;
}

Decoded<MessageId> decode_message_key(std::string_view in) {
  MessageId id;
  if (in.size() < id.octets.size()) return bad_key(in.size(), kEndsEarly);
  if (in.size() > id.octets.size()) return bad_key(id.octets.size(), kOctetsLeft);
  std::ranges::transform(in, id.octets.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  return id;
}

void count_key(const CountName& name, std::string& out) {
  out.resize(4);
  store_be32(name.day, out.data());
  out.push_back(static_cast<char>(name.domain.size()));
  out.append(name.domain).append(name.row);
}

Decoded<CountName> decode_count_key(std::string_view in) {
  if (in.size() < 5) return bad_key(in.size(), kEndsEarly);
  const std::size_t domain = static_cast<unsigned char>(in[4]);
  if (domain > kCountDomainOctetsMax) return bad_key(4, kLongDomain);
  if (in.size() - 5 < domain) return bad_key(in.size(), kEndsEarly);
  const CountName name{.day = load_be32(in, 0), .domain = in.substr(5, domain), .row = in.substr(5 + domain)};
  if (domain == 0 && !name.row.empty()) return bad_key(5, kRowOfNobody);
  if (name.row.size() > kCountRowOctetsMax) return bad_key(5 + domain + kCountRowOctetsMax, kLongRow);
  return name;
}

std::uint64_t to_ms(std::chrono::sys_time<std::chrono::milliseconds> time) {
  const auto count = time.time_since_epoch().count();
  return count > 0 ? static_cast<std::uint64_t>(count) : 0;
}

std::chrono::sys_time<std::chrono::milliseconds> from_ms(std::uint64_t ms) {
  return std::chrono::sys_time<std::chrono::milliseconds>(
      std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80) return false;
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (lead == 0xe0 && second < 0xa0) return false;  // overlong
    if (lead == 0xed && second > 0x9f) return false;  // surrogates
    if (lead == 0xf0 && second < 0x90) return false;  // overlong
    if (lead == 0xf4 && second > 0x8f) return false;  // beyond U+10FFFF
    i += length;
  }
  return true;
}

}  // namespace postern::storage
