// A learner as octets: its totals, its memory, and those pages of the table that hold anything.
#include <algorithm>

#include "filters/bayes/learner.h"

namespace postern::filters::bayes {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPageSlots = 256;
constexpr std::uint32_t kEnd = UINT32_MAX;

void write_slot(Writer& writer, const Slot& slot) {
  writer.number(slot.gradients);
  writer.number(slot.squares);
  writer.number(std::uint64_t{slot.day} << 48 | std::uint64_t{slot.spam} << 24 | slot.ham);
}

Slot read_slot(Reader& reader) {
  Slot slot;
  slot.gradients = reader.number<std::int32_t>();
  slot.squares = reader.number<std::uint32_t>();
  const auto counts = reader.number<std::uint64_t>();
  slot.ham = Table::ham_of(counts);
  slot.spam = Table::spam_of(counts);
  slot.day = static_cast<std::uint16_t>(counts >> 48);
  return slot;
}

}  // namespace

void Learner::write_memory(std::string& out) const {
  Writer writer(out);
  writer.number(aged_);
  writer.number(static_cast<std::uint32_t>(known_order_.size()));
  for (const Digest& digest : known_order_) {
    const Known& known = known_.at(digest);
    for (const std::uint8_t octet : digest) writer.number(octet);
    writer.step(known.step);
    writer.number(static_cast<std::uint8_t>(known.authority));
    writer.number(known.fingerprint);
  }
  writer.number(static_cast<std::uint32_t>(report_order_.size()));
  for (const Digest& digest : report_order_) {
    const Report& report = reports_.at(digest);
    for (const std::uint8_t octet : digest) writer.number(octet);
    writer.number(static_cast<std::uint8_t>(report.verdict));
    writer.number(report.reporter);
  }
}

void Learner::write_snapshot(const std::function<void(std::string_view)>& sink) const {
  std::string out;
  Writer writer(out);
  writer.number(kVersion);
  writer.number(static_cast<std::uint32_t>(model_.table().bits()));
  for (std::size_t i = 0; i < Model::kTotals; ++i) writer.number(model_.total(i));
  write_memory(out);
  sink(out);
  const Table& table = model_.table();
  for (std::size_t page = 0; page < table.size() / kPageSlots; ++page) {
    out.clear();
    bool empty = true;
    writer.number(static_cast<std::uint32_t>(page));
    for (std::size_t i = 0; i < kPageSlots; ++i) {
      const Slot slot = table.get(page * kPageSlots + i);
      if (slot != Slot()) empty = false;
      write_slot(writer, slot);
    }
    if (!empty) sink(out);
  }
  out.clear();
  writer.number(kEnd);
  sink(out);
}

void Learner::read_memory(Reader& reader) {
  aged_ = reader.number<std::uint16_t>();
  const auto known_count = reader.bounded<std::uint32_t>(kKnownMax, "too many messages");
  for (std::uint32_t i = 0; i < known_count && !reader.failed(); ++i) {
    const Digest digest = reader.digest();
    Known known;
    known.step = reader.step();
    known.authority = static_cast<Authority>(reader.bounded<std::uint8_t>(2, "unknown authority"));
    known.fingerprint = reader.number<std::uint64_t>();
    if (reader.failed()) return;
    if (!known_.emplace(digest, known).second) return reader.fail("a message is there twice");
    known_order_.push_back(digest);
  }
  const auto report_count = reader.bounded<std::uint32_t>(kReportsMax, "too many reports");
  for (std::uint32_t i = 0; i < report_count && !reader.failed(); ++i) {
    const Digest digest = reader.digest();
    Report report;
    report.verdict = static_cast<Class>(reader.bounded<std::uint8_t>(1, "a class is 0 or 1"));
    report.reporter = reader.number<std::uint64_t>();
    if (reader.failed()) return;
    if (!reports_.emplace(digest, report).second) return reader.fail("a report is there twice");
    report_order_.push_back(digest);
  }
}

void Learner::read_table(Reader& reader) {
  Table& table = model_.table();
  const auto pages = static_cast<std::uint32_t>(table.size() / kPageSlots);
  for (std::uint32_t next = 0; !reader.failed();) {
    const auto page = reader.number<std::uint32_t>();
    if (reader.failed() || page == kEnd) break;
    if (page < next || page >= pages) return reader.fail("pages are not in order");
    next = page + 1;
    for (std::size_t i = 0; i < kPageSlots && !reader.failed(); ++i)
      table.set(page * kPageSlots + i, read_slot(reader));
  }
  if (!reader.failed() && reader.left() != 0) reader.fail("goes on after its end");
}

std::optional<unsigned> Learner::snapshot_bits(std::string_view octets) {
  Reader reader(octets);
  (void)reader.number<std::uint32_t>();
  const auto bits = reader.bounded<std::uint32_t>(Table::kBitsMax, "a table that is too large");
  if (reader.failed() || bits < Table::kBitsMin) return std::nullopt;
  return bits;
}

std::expected<void, DecodeError> Learner::read_snapshot(std::string_view octets) {
  Reader reader(octets);
  if (reader.number<std::uint32_t>() != kVersion) reader.fail("unknown version");
  if (reader.number<std::uint32_t>() != model_.table().bits()) reader.fail("a table of another size");
  for (std::size_t i = 0; i < Model::kTotals; ++i) model_.set_total(i, reader.number<std::int64_t>());
  if (!reader.failed()) read_memory(reader);
  if (!reader.failed()) read_table(reader);
  if (reader.failed()) return std::unexpected(reader.error());
  return {};
}

}  // namespace postern::filters::bayes
