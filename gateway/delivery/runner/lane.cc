#include "gateway/delivery/runner/lane.h"

#include <algorithm>
#include <utility>

#include "gateway/delivery/runner/commit.h"
#include "gateway/delivery/runner/report.h"
#include "gateway/pipeline/pseudonym.h"
#include "storage/queue/record.h"

namespace postern::delivery {
namespace {

using log::Level;
using log::Line;
using storage::QueueFlag;

constexpr unsigned kPlanRoundsMax = 8;
/// A message up to this size is read together with its entry, in one visit to a worker. So much for each lane is
/// outside of queue.memory_octets_max for a moment.
constexpr std::uint64_t kReadTogetherOctetsMax = 64U << 10;

std::uint64_t ms(std::uint32_t seconds) {
  return std::uint64_t{seconds} * 1000;
}

Patience patience_of(const config::QueueConfig& queue) {
  return {.expire_ms = ms(queue.expire_s),
          .report_expire_ms = ms(queue.report_expire_s),
          .warn_ms = ms(queue.warn_s)};
}

Retries retries_of(const config::QueueConfig& queue) {
  return {.first_ms = ms(queue.retry_first_s),
          .max_ms = ms(queue.retry_max_s),
          .factor = queue.retry_factor,
          .jitter = queue.retry_jitter};
}

OutboundMessage outbound(const storage::QueueEntry& entry, const std::vector<std::size_t>& waiting,
                         const std::shared_ptr<const std::string>& message) {
  const auto has = [&](QueueFlag flag) { return (entry.flags & flag) != 0; };
  OutboundMessage out{.mail_from = entry.sender, .envid = entry.envid, .smtputf8 = has(storage::kSmtpUtf8)};
  if (has(storage::kReturnFull)) out.ret = smtp::DsnReturn::full;
  if (has(storage::kReturnHeaders)) out.ret = smtp::DsnReturn::headers;
  if (has(storage::kEightBit)) out.body = smtp::BodyType::eight_bit_mime;
  if (has(storage::kBinary)) out.body = smtp::BodyType::binary_mime;
  out.content = std::string_view(*message).substr(std::min<std::size_t>(entry.skip_octets, message->size()));
  out.owner = message;
  for (const std::size_t index : waiting) {
    const storage::QueueRecipient& recipient = entry.recipients[index];
    out.recipients.push_back(
        {.address = recipient.address, .notify = recipient.notify, .orcpt = recipient.orcpt});
  }
  return out;
}

RecipientResult trouble(RecipientResult::Kind kind, std::string enhanced, std::string text) {
  return {.kind = kind, .enhanced = std::move(enhanced), .text = std::move(text)};
}

std::string_view word_of(RecipientResult::Kind kind) {
  switch (kind) {
    case RecipientResult::Kind::delivered:
      return "relayed";
    case RecipientResult::Kind::temporary:
      return "deferred";
    case RecipientResult::Kind::permanent:
      return "refused";
  }
  return "";
}

}  // namespace

Lane::Lane(Runner& runner, std::string destination)
    : runner_(runner), destination_(std::move(destination)), snapshot_(runner.services_.snapshots.get()) {}

reactor::Task<void> Lane::run() {
  while (!runner_.stopping_) {
    if (runner_.scheduler_.should_yield(destination_, messages_)) break;
    const Scheduler::Take take = runner_.scheduler_.take(destination_, utc_ms());
    if (take.kind == Scheduler::Take::Kind::fetch) {
      co_await fetch(take);
    } else if (take.kind == Scheduler::Take::Kind::entry) {
      // Only now: what this lane takes is nothing for another one, which would open a connection for it.
      runner_.wake_for_lanes();
      co_await carry(take);
    } else {
      const bool more = co_await linger();
      if (!more) break;
    }
  }
  co_await hang_up();
}

reactor::Task<void> Lane::fetch(Scheduler::Take take) {
  std::expected<std::vector<storage::QueueDue>, storage::Error> due;
  auto work = [&] {
    due = runner_.services_.store.queue_due(destination_, take.priority, take.from_ms, UINT64_MAX >> 1U,
                                            take.count);
  };
  const auto ran = co_await runner_.services_.workers.run(std::move(work));
  if (ran && due) {
    runner_.scheduler_.fetched(destination_, take.priority, *due, utc_ms());
    co_return;
  }
  if (ran)
    runner_.services_.logger.write(Line(Level::error, "queue_read_failed")
                                       .field("destination", destination_)
                                       .field("problem", due.error().text()));
  const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(Runner::kStorePatience);
  runner_.scheduler_.fetch_failed(destination_, take.priority,
                                  utc_ms() + static_cast<std::uint64_t>(pause.count()));
}

/// An open connection waits a moment for the next message. True: there may be one.
reactor::Task<bool> Lane::linger() {
  if (!connection_ || !connection_->reusable() || runner_.scheduler_.should_yield(destination_, messages_))
    co_return false;
  reactor::Scope nap;
  const auto place = runner_.lingering_.emplace(destination_, &nap);
  reactor::Reactor& reactor = reactor::Reactor::current();
  const auto slept = co_await reactor.sleep_until(reactor.now() + Runner::kLinger, &nap);
  if (slept) runner_.lingering_.erase(place);  // else whoever woke us has taken it out
  co_return !slept;
}

reactor::Task<void> Lane::carry(Scheduler::Take take) {
  snapshot_ = runner_.services_.snapshots.get();
  Work work{.due = take.due, .priority = take.priority};
  const bool loaded = co_await load(work);
  if (!loaded) co_return;

  const config::QueueConfig& queue = snapshot_->config.queue;
  const std::uint64_t now_ms = utc_ms();
  const auto pause = runner_.services_.board.paused(destination_);
  const bool tried = work.entry.attempts > 0 || pause.has_value();
  if (tried && patience_of(queue).is_over(work.entry, now_ms)) {
    const std::string reason = pause ? pause->reason : work.entry.reason;
    co_await expire(work, reason);
    co_return;
  }
  const bool reserved = co_await reserve(work.entry.octets);
  if (!reserved) {  // we are to end
    runner_.scheduler_.done(destination_, work.priority, work.due.key, work.due.due_ms);
    co_return;
  }
  work.octets = work.entry.octets;
  const bool there = co_await load_message(work);
  if (there) {
    Attempt made = co_await attempt(work);
    ++messages_;
    co_await conclude(work, std::move(made));
  }
  work.message.reset();
  release(work.octets);
}

/// Given up without a further attempt: what was known of it is the reason.
reactor::Task<void> Lane::expire(Work& work, std::string reason) {
  Settlement settlement = give_up(work.due.key, work.entry, reason, utc_ms());
  if (!settlement.expired.empty() &&
      !work.message) {  // the report returns the message, if it can still be read
    std::expected<std::string, storage::Error> message;
    auto read = [&] { message = runner_.services_.store.message(work.due.key.id); };
    const auto ran = co_await runner_.services_.workers.run(std::move(read));
    if (ran && message) work.message = std::make_shared<const std::string>(std::move(*message));
  }
  runner_.services_.board.expired.add(settlement.update.outcomes.size());
  log_outcomes(work, {}, settlement);
  add_reports(work, {}, settlement);
  (void)co_await write(std::move(settlement.update));
  runner_.scheduler_.done(destination_, work.priority, work.due.key, std::nullopt);
}

void Lane::add_reports(const Work& work, const std::vector<RecipientResult>& results,
                       Settlement& settlement) {
  const ReportDesk desk{.snapshot = *snapshot_, .ids = runner_.report_ids_, .now_ms = utc_ms()};
  const std::string_view message = work.message ? std::string_view(*work.message) : std::string_view();
  Reports reports = reports_of(desk, work.due.key, work.entry, settlement, results, message);
  Board& board = runner_.services_.board;
  board.reports.add(reports.transactions.size());
  board.reports_suppressed.add(reports.suppressed);
  for (const auto& report : reports.transactions)
    runner_.services_.logger.write(
        Line(Level::info, "report").field("mid", report->id.text()).field("about", work.due.key.text()));
  settlement.update.reports = std::move(reports.transactions);
}

/// The entry as it is now. False: there is nothing to do for it, and it has been dealt with.
reactor::Task<bool> Lane::load(Work& work) {
  std::expected<storage::QueueEntry, storage::Error> entry;
  std::expected<std::string, storage::Error> message =
      std::unexpected(storage::Error{.code = storage::Code::not_found, .context = {}});
  auto read = [&] {
    entry = runner_.services_.store.queue_entry(work.due.key);
    const bool together = entry && entry->state == storage::QueueState::waiting &&
                          entry->due_ms == work.due.due_ms && entry->octets <= kReadTogetherOctetsMax;
    if (together) message = runner_.services_.store.message(work.due.key.id);
  };
  const auto ran = co_await runner_.services_.workers.run(std::move(read));
  if (!ran || (!entry && entry.error().code != storage::Code::corrupt &&
               entry.error().code != storage::Code::not_found)) {
    const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(Runner::kStorePatience);
    runner_.scheduler_.done(destination_, work.priority, work.due.key,
                            utc_ms() + static_cast<std::uint64_t>(pause.count()));
    co_return false;
  }
  if (!entry && entry.error().code == storage::Code::corrupt) {
    co_await set_aside(work, entry.error());
    co_return false;
  }
  // What the index said may be history by now: closed, held, tried, moved.
  const bool waits = entry && entry->state == storage::QueueState::waiting;
  if (!waits || entry->due_ms != work.due.due_ms || entry->destination != destination_) {
    runner_.scheduler_.done(destination_, work.priority, work.due.key,
                            waits ? std::optional(entry->due_ms) : std::nullopt);
    co_return false;
  }
  work.entry = std::move(*entry);
  work.waiting = waiting_of(work.entry);
  // Without it load_message() reads again, and says what is wrong.
  if (message) work.message = std::make_shared<const std::string>(std::move(*message));
  co_return true;
}

reactor::Task<bool> Lane::load_message(Work& work) {
  if (work.message) co_return true;
  std::expected<std::string, storage::Error> message;
  auto read = [&] { message = runner_.services_.store.message(work.due.key.id); };
  const auto ran = co_await runner_.services_.workers.run(std::move(read));
  if (ran && message) {
    work.message = std::make_shared<const std::string>(std::move(*message));
    co_return true;
  }
  const bool lost = ran && (message.error().code == storage::Code::corrupt ||
                            message.error().code == storage::Code::not_found);
  if (!lost) {
    const auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(Runner::kStorePatience);
    runner_.scheduler_.done(destination_, work.priority, work.due.key,
                            utc_ms() + static_cast<std::uint64_t>(pause.count()));
    co_return false;
  }
  // Damage of ours is no reason to tell the sender anything: somebody has to look.
  runner_.services_.board.damaged.add();
  runner_.services_.logger.write(Line(Level::error, "queue_entry_damaged")
                                     .field("mid", work.due.key.text())
                                     .field("problem", message.error().text()));
  storage::QueueUpdate update{.key = work.due.key, .now_ms = utc_ms()};
  update.state = storage::QueueState::damaged;
  update.reason = message.error().text();
  (void)co_await write(std::move(update));
  runner_.scheduler_.done(destination_, work.priority, work.due.key, std::nullopt);
  co_return false;
}

/// An entry that cannot be read is taken out of the runner's way; `queue list` and verify() go on naming it.
reactor::Task<void> Lane::set_aside(const Work& work, storage::Error error) {
  runner_.services_.board.damaged.add();
  runner_.services_.logger.write(Line(Level::error, "queue_entry_damaged")
                                     .field("mid", work.due.key.text())
                                     .field("problem", error.text()));
  storage::QueueUpdate update{.key = work.due.key};
  update.set_aside = storage::due_key({.destination = destination_,
                                       .priority = work.priority,
                                       .due_ms = work.due.due_ms,
                                       .key = work.due.key});
  (void)co_await write(std::move(update));
  runner_.scheduler_.done(destination_, work.priority, work.due.key, std::nullopt);
}

/// Waits until the messages in memory leave room. One message passes whatever its size.
reactor::Task<bool> Lane::reserve(std::uint64_t octets) {
  const std::uint64_t max =
      std::max<std::uint64_t>(snapshot_->config.queue.memory_octets_max / runner_.cores_, 1);
  reactor::Reactor& reactor = reactor::Reactor::current();
  while (runner_.octets_ > 0 && (runner_.octets_ >= max || octets > max - runner_.octets_)) {
    if (runner_.stopping_) co_return false;
    reactor::Scope nap;
    runner_.short_of_memory_.push_back(&nap);
    const auto slept = co_await reactor.sleep_until(reactor.now() + Runner::kRescan, &nap);
    if (slept) std::erase(runner_.short_of_memory_, &nap);
  }
  runner_.octets_ += octets;
  runner_.services_.board.octets.fetch_add(static_cast<std::int64_t>(octets), std::memory_order_relaxed);
  co_return true;
}

void Lane::release(std::uint64_t octets) {
  runner_.octets_ -= octets;
  runner_.services_.board.octets.fetch_sub(static_cast<std::int64_t>(octets), std::memory_order_relaxed);
  for (reactor::Scope* nap : std::exchange(runner_.short_of_memory_, {})) nap->cancel();
}

reactor::Task<Lane::Attempt> Lane::attempt(const Work& work) {
  const bool used_up = on_connection_ >= snapshot_->config.queue.messages_per_connection_max ||
                       (connection_ != nullptr && !connection_->reusable());
  if (used_up) co_await hang_up();
  // A connection that was kept may have been closed by the other side meanwhile: then a fresh one.
  for (bool kept = connection_ != nullptr;; kept = false) {
    if (connection_ == nullptr) {
      auto failure = co_await connect(work);
      if (failure) co_return std::move(*failure);
    }
    const OutboundMessage message = outbound(work.entry, work.waiting, work.message);
    Attempt made{.host = connection_->hop().host_name};
    made.results = co_await connection_->send(message);
    ++on_connection_;
    const bool reusable = connection_->reusable();
    if (!reusable) co_await hang_up();
    made.talked = std::ranges::any_of(made.results, [](const RecipientResult& result) {
      return result.code != 0 || result.kind != RecipientResult::Kind::temporary;
    });
    const bool doubt = std::ranges::any_of(made.results, &RecipientResult::in_doubt);
    if (kept && !made.talked && !doubt && !runner_.cancelled_) continue;
    co_return made;
  }
}

reactor::Task<Plan> Lane::make_plan() {
  filters::Facts facts;
  const auto timeout = std::chrono::milliseconds(snapshot_->config.dns.timeout_ms);
  const auto budget = std::chrono::milliseconds(snapshot_->config.dns.budget_ms);
  const pipeline::Answers answers(snapshot_->lists, runner_.source_, timeout, budget);
  const reactor::Deadline end = answers.end();
  const std::uint64_t chance = runner_.random_();
  const Route& route = snapshot_->routes.find(destination_);
  for (unsigned round = 0; round < kPlanRoundsMax; ++round) {
    Plan made = plan(route, destination_, snapshot_->routes.hostname(), facts, chance);
    if (made.kind != Plan::Kind::pending) co_return made;
    co_await answers.answer_all(facts, end);
  }
  co_return Plan{.kind = Plan::Kind::temporary, .enhanced = "4.4.3", .text = "DNS did not come to an end"};
}

/// Opens a connection to the first next hop that will have us. The failure, if none does.
reactor::Task<std::optional<Lane::Attempt>> Lane::connect(const Work& work) {
  Attempt failure;
  const auto fail_all = [&](const RecipientResult& result) {
    failure.results.assign(work.waiting.size(), result);
    return std::optional(std::move(failure));
  };
  Plan made = co_await make_plan();
  if (made.kind != Plan::Kind::hops) {
    const auto kind = made.kind == Plan::Kind::permanent ? RecipientResult::Kind::permanent
                                                         : RecipientResult::Kind::temporary;
    // A domain that is not there is no trouble of the destination's: nothing to pause for.
    failure.talked = made.kind == Plan::Kind::permanent;
    co_return fail_all(trouble(kind, made.enhanced, made.text));
  }
  std::optional<RecipientResult> last;
  for (NextHop& hop : made.hops) {
    if (runner_.cancelled_) break;
    AttemptOptions options{.hello_name = snapshot_->config.hostname, .tls = snapshot_->client_tls};
    const std::string host = hop.host_name;
    auto connection = std::make_unique<Connection>(std::move(options), &runner_.connections_);
    const auto opened = co_await connection->open(std::move(hop));
    if (opened) {
      connection_ = std::move(connection);
      on_connection_ = 0;
      co_return std::nullopt;
    }
    co_await connection->close();
    // A refusal counts only when every host agrees (RFC 5321 §5.1); what may pass is what is remembered.
    const bool milder = opened.error().kind == RecipientResult::Kind::temporary;
    if (!last || milder) {
      last = opened.error();
      failure.host = host;
    }
  }
  if (!last) last = trouble(RecipientResult::Kind::temporary, "4.3.2", "the server is stopping");
  failure.talked = last->kind == RecipientResult::Kind::permanent;
  co_return fail_all(*last);
}

reactor::Task<void> Lane::conclude(Work& work, Attempt attempt) {
  const config::QueueConfig& queue = snapshot_->config.queue;
  Board& board = runner_.services_.board;
  const std::uint64_t now_ms = utc_ms();
  if (runner_.cancelled_ && !attempt.talked) {  // our own doing, which counts for nothing
    runner_.scheduler_.done(destination_, work.priority, work.due.key, work.due.due_ms);
    co_return;
  }
  Settlement settlement = settle(work.due.key, work.entry, work.waiting, attempt.results, attempt.host,
                                 patience_of(queue), retries_of(queue), now_ms, runner_.chance());
  if (attempt.talked) {
    runner_.scheduler_.succeeded(destination_);
    board.resume(destination_);
  } else {
    const std::uint64_t until = runner_.scheduler_.failed(destination_, now_ms, runner_.chance());
    const std::string reason = attempt.results.empty() ? std::string() : reply_text(attempt.results.front());
    board.pause(destination_, {.until_ms = until, .reason = reason});
  }
  const bool busy = std::ranges::all_of(attempt.results, [](const RecipientResult& result) {
    return result.kind == RecipientResult::Kind::temporary && result.code != 0;
  });
  if (busy) runner_.scheduler_.slow_down(destination_);
  for (const RecipientResult& result : attempt.results)
    if (result.in_doubt) board.in_doubt.add();
  for (const storage::QueueOutcome& outcome : settlement.update.outcomes) {
    if (outcome.state == storage::RecipientState::relayed) board.relayed.add();
    if (outcome.state == storage::RecipientState::bounced) board.bounced.add();
    if (outcome.state == storage::RecipientState::expired) board.expired.add();
    if (outcome.state == storage::RecipientState::waiting) board.deferred.add();
  }
  log_outcomes(work, attempt, settlement);
  add_reports(work, attempt.results, settlement);
  const std::optional<std::uint64_t> again = settlement.again_ms;
  const bool written = co_await write(std::move(settlement.update));
  runner_.scheduler_.done(destination_, work.priority, work.due.key, written ? again : std::nullopt);
}

/// Whatever it takes: what a next hop has taken must not be sent again because our disk was full for a moment.
reactor::Task<bool> Lane::write(storage::QueueUpdate update) {
  reactor::Reactor& reactor = reactor::Reactor::current();
  for (;;) {
    storage::QueueUpdate copy = update;
    Commit commit;
    const bool taken = runner_.services_.store.update(std::move(copy), commit);
    if (!taken) co_return false;
    co_await commit.wait();
    if (commit.result()) {
      for (const auto& report : update.reports)
        for (const storage::QueueEntry& relay : report->relays)
          runner_.outbound_.queued(relay.destination, relay.priority, relay.due_ms);
      co_return true;
    }
    const storage::Error& error = commit.result().error();
    if (error.code == storage::Code::not_found) co_return false;  // closed by hand meanwhile
    runner_.services_.board.commit_retries.add();
    runner_.services_.logger.write(Line(Level::error, "queue_write_failed")
                                       .field("mid", update.key.text())
                                       .field("problem", error.text()));
    if (!error.is_temporary() || runner_.cancelled_) co_return false;
    (void)co_await reactor.sleep_until(reactor.now() + Runner::kStorePatience, &runner_.connections_);
  }
}

reactor::Task<void> Lane::hang_up() {
  if (connection_ == nullptr) co_return;
  const std::unique_ptr<Connection> connection = std::move(connection_);
  co_await connection->close();
}

void Lane::log_outcomes(const Work& work, const Attempt& attempt, const Settlement& settlement) const {
  const bool plain = snapshot_->config.log.addresses;
  const auto shown = [&](const std::string& address) {
    return plain ? address : pipeline::pseudonym(address);
  };
  for (std::size_t i = 0; i < settlement.update.outcomes.size(); ++i) {
    const storage::QueueOutcome& outcome = settlement.update.outcomes[i];
    const bool has_result = i < attempt.results.size();
    const std::string_view result = outcome.state == storage::RecipientState::expired ? "expired"
                                    : has_result ? word_of(attempt.results[i].kind)
                                                 : storage::to_string(outcome.state);
    const std::uint64_t now_ms = settlement.update.now_ms;
    Line line = Line(Level::info, "relay")
                    .field("mid", work.due.key.text())
                    .field("from", shown(work.entry.sender))
                    .field("to", shown(work.entry.recipients[outcome.recipient].address))
                    .field("destination", destination_)
                    .field("host", outcome.host)
                    .field("result", result)
                    .field("reply", outcome.reply)
                    .field("attempts", work.entry.attempts + (settlement.update.attempted ? 1 : 0))
                    .field("age_ms", now_ms > work.entry.received_ms ? now_ms - work.entry.received_ms : 0);
    if (has_result && attempt.results[i].in_doubt) (void)std::move(line).field("in_doubt", true);
    runner_.services_.logger.write(std::move(line));
  }
}

}  // namespace postern::delivery
