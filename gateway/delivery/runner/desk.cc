#include "gateway/delivery/runner/desk.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "gateway/delivery/runner/report.h"

namespace postern::delivery {
namespace {

using storage::QueueState;
using storage::RecipientState;

constexpr std::size_t kRowsPerRead = 1000;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool holds(std::string_view text, std::string_view word) {
  return !std::ranges::search(text, word, [](char x, char y) { return lower(x) == lower(y); }).empty();
}

bool is_of(std::string_view address, std::string_view wanted) {
  if (!wanted.starts_with('@')) return same(address, wanted);
  return address.size() >= wanted.size() && same(address.substr(address.size() - wanted.size()), wanted);
}

std::uint64_t now_ms() {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, now.time_since_epoch().count()));
}

/// A completion that a blocking caller waits for.
class Waiting final : public storage::Completion {
 public:
  void done(const std::expected<void, storage::Error>& result) noexcept override {
    promise_.set_value(result);
  }
  std::expected<void, storage::Error> wait() { return promise_.get_future().get(); }

 private:
  std::promise<std::expected<void, storage::Error>> promise_;
};

}  // namespace

bool QueueFilter::matches(const storage::QueueRow& row, std::uint64_t now) const {
  if (!row.entry)
    return state.empty() ? destination.empty() && sender.empty() && recipient.empty() : state == "damaged";
  const storage::QueueEntry& entry = *row.entry;
  if (!destination.empty() && !same(entry.destination, destination)) return false;
  if (!sender.empty() && !is_of(entry.sender.empty() ? "<>" : std::string_view(entry.sender), sender))
    return false;
  if (!state.empty() && storage::to_string(entry.state) != state) return false;
  if (older_ms > 0 && now < entry.received_ms + older_ms) return false;
  const bool to = recipient.empty() || std::ranges::any_of(entry.recipients, [&](const auto& one) {
                    return one.state == RecipientState::waiting && is_of(one.address, recipient);
                  });
  if (!to) return false;
  return true;
}

std::optional<QueueDesk::Verb> QueueDesk::verb_of(std::string_view name) {
  if (name == "hold") return Verb::hold;
  if (name == "release") return Verb::release;
  if (name == "retry") return Verb::retry;
  if (name == "bounce") return Verb::bounce;
  if (name == "drop") return Verb::drop;
  return std::nullopt;
}

std::expected<QueueDesk::Page, storage::Error> QueueDesk::list(const QueueFilter& filter,
                                                               const std::optional<storage::QueueKey>& after,
                                                               std::size_t count) const {
  Page page;
  page.next = after;
  const std::uint64_t now = now_ms();
  for (std::size_t scanned = 0; scanned < kScannedPerPage;) {
    auto rows = store_.queue_rows(page.next, kRowsPerRead);
    if (!rows) return std::unexpected(std::move(rows.error()));
    for (storage::QueueRow& row : *rows) {
      page.next = row.key;
      ++scanned;
      if (!filter.matches(row, now)) continue;
      if (!filter.reply.empty() && !(row.entry && holds(last_reply(*row.entry), filter.reply))) continue;
      page.rows.push_back(std::move(row));
      if (page.rows.size() >= count) return page;
    }
    if (rows->size() < kRowsPerRead) {
      page.next.reset();
      return page;
    }
  }
  return page;
}

std::expected<std::vector<storage::QueueRow>, storage::Error> QueueDesk::show(
    const storage::MessageId& id) const {
  return store_.queue_outcomes(id);
}

std::optional<std::uint64_t> QueueDesk::next_try_ms(const storage::QueueEntry& entry) const {
  if (entry.state != QueueState::waiting || entry.waiting() == 0) return std::nullopt;
  const auto pause = server_.board != nullptr ? server_.board->paused(entry.destination) : std::nullopt;
  return pause ? std::max(pause->until_ms, entry.due_ms) : entry.due_ms;
}

std::string QueueDesk::last_reply(const storage::QueueEntry& entry) const {
  const storage::QueueRecipient* latest = nullptr;
  for (const storage::QueueRecipient& recipient : entry.recipients) {
    if (recipient.reply.empty() || (latest != nullptr && recipient.tried_ms < latest->tried_ms)) continue;
    if (latest == nullptr || recipient.state == RecipientState::waiting ||
        latest->state != RecipientState::waiting)
      latest = &recipient;
  }
  if (entry.state == QueueState::damaged) return entry.reason;
  if (latest != nullptr) return latest->reply;
  const auto pause = server_.board != nullptr ? server_.board->paused(entry.destination) : std::nullopt;
  return pause ? pause->reason : entry.reason;
}

std::expected<storage::QueueUpdate, std::string> QueueDesk::bounce(const storage::QueueKey& key,
                                                                   const storage::QueueEntry& entry) {
  if (server_.snapshots == nullptr) return std::unexpected("only a running server can write reports");
  Settlement settlement{.update = {.key = key, .now_ms = now_ms()}};
  for (const std::size_t index : waiting_of(entry)) {
    const std::string last = entry.recipients[index].reply;
    settlement.update.outcomes.push_back({.recipient = index,
                                          .state = RecipientState::bounced,
                                          .host = entry.recipients[index].host,
                                          .reply = last.empty() ? "given up by the postmaster" : last});
    settlement.failed.push_back(index);
  }
  const auto message = store_.message(key.id);
  const auto snapshot = server_.snapshots->get();
  const std::scoped_lock lock(mutex_);
  const ReportDesk desk{.snapshot = *snapshot, .ids = ids_, .now_ms = settlement.update.now_ms};
  Reports reports =
      reports_of(desk, key, entry, settlement, {}, message ? std::string_view(*message) : std::string_view());
  settlement.update.reports = std::move(reports.transactions);
  if (server_.board != nullptr) {
    server_.board->reports.add(settlement.update.reports.size());
    server_.board->reports_suppressed.add(reports.suppressed);
  }
  return std::move(settlement.update);
}

QueueDesk::Done QueueDesk::act(Verb verb, const storage::QueueKey& key, std::string* problem) {
  const auto entry = store_.queue_entry(key);
  if (!entry) {
    *problem = entry.error().text();
    if (entry.error().code == storage::Code::not_found) return Done::gone;
    return entry.error().code == storage::Code::corrupt ? Done::damaged : Done::failed;
  }
  storage::QueueUpdate update{.key = key, .now_ms = now_ms()};
  switch (verb) {
    case Verb::hold:
      update.state = QueueState::held;
      break;
    case Verb::release:
      update.state = QueueState::waiting;
      if (entry->state != QueueState::waiting) update.due_ms = update.now_ms;
      break;
    case Verb::retry:
      // What is held stays held: it was somebody's wish.
      if (entry->state == QueueState::damaged) update.state = QueueState::waiting;
      update.due_ms = update.now_ms;
      break;
    case Verb::bounce: {
      auto made = bounce(key, *entry);
      if (!made) {
        *problem = made.error();
        return Done::failed;
      }
      update = std::move(*made);
      break;
    }
    case Verb::drop:
      update.close_rest = RecipientState::dropped;
      break;
  }
  const auto reports = update.reports;
  Waiting waiting;
  if (!store_.update(std::move(update), waiting)) {
    *problem = "the store takes no changes now";
    return Done::failed;
  }
  const auto result = waiting.wait();
  if (!result) {
    *problem = result.error().text();
    return result.error().code == storage::Code::not_found ? Done::gone : Done::failed;
  }
  if (server_.kick && (verb == Verb::retry || verb == Verb::release)) server_.kick(entry->destination);
  if (server_.kick)
    for (const auto& report : reports)
      for (const storage::QueueEntry& relay : report->relays) server_.kick(relay.destination);
  return Done::done;
}

}  // namespace postern::delivery
