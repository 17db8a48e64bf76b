// Whatever octets are on the disk: reading them is an error that names a place within them, or gives what is
// written as the very same octets.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "storage/codec.h"
#include "storage/quarantine/record.h"
#include "storage/queue/record.h"

namespace {

using namespace postern::storage;

template <class T>
bool is_record(std::string_view in, const Decoded<T>& decoded) {
  if (decoded) return true;
  if (decoded.error().position > in.size() || decoded.error().rule.empty()) std::abort();
  return false;
}

template <class T>
void check(std::string_view in, const Decoded<T>& decoded) {
  if (!is_record(in, decoded)) return;
  std::string out;
  encode(*decoded, out);
  if (out != in) std::abort();
}

void check_format(std::string_view in) {
  const auto format = decode_format(in);
  if (!is_record(in, format)) return;
  std::string out;
  encode_format(*format, out);
  if (out != in) std::abort();
}

void check_decision(std::string_view in) {
  const auto decision = decode_decision(in);
  if (!is_record(in, decision)) return;
  std::string out;
  encode_decision_prefix(decision->envelope.size(), out);
  out.append(decision->envelope).append(decision->record);
  if (out != in) std::abort();
}

void check_count(std::string_view in) {
  const auto count = decode_count(in);
  if (!is_record(in, count)) return;
  std::string out;
  encode_count(*count, out);
  if (out != in) std::abort();
}

void check_keys(std::string_view in) {
  if (const auto name = decode_count_key(in); is_record(in, name)) {
    std::string out;
    count_key(*name, out);
    if (out != in) std::abort();
  }
  if (const auto name = decode_entry_key(in); is_record(in, name))
    if (view(entry_key(name->mailbox, name->folder, name->uid)) != in) std::abort();
  if (const auto id = decode_message_key(in); is_record(in, id)) {
    if (message_key(*id) != in) std::abort();
    if (MessageId::parse(id->text()) != *id) std::abort();
  }
  if (const auto name = decode_folder_key(in); is_record(in, name)) {
    std::string out;
    folder_key(name->mailbox, name->name, out);
    if (out != in || !is_utf8(name->name)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  check_format(in);
  check(in, decode_identity(in));
  check(in, decode_ledger(in));
  check(in, decode_mailbox(in));
  check(in, decode_folder(in));
  check(in, decode_entry(in));
  check(in, decode_message(in));
  check_decision(in);
  check_count(in);
  check_keys(in);
  check(in, decode_queue_entry(in));
  check(in, decode_queue_totals(in));
  check(in, decode_quarantine_entry(in));
  check(in, decode_quarantine_totals(in));
  if (const auto name = decode_due_key(in); is_record(in, name))
    if (due_key(*name) != in) std::abort();
  if (const auto key = decode_queue_key(in); is_record(in, key)) {
    if (queue_key(*key) != in) std::abort();
    if (QueueKey::parse(key->text()) != *key) std::abort();
  }
  if (const auto id = MessageId::parse(in)) {
    const auto again = MessageId::parse(id->text());
    if (!again || *again != *id) std::abort();
  }
  return 0;
}
