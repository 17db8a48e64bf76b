#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "storage/queue/record.h"
#include "tests/unit/storage/support.h"

namespace postern::storage::test {
namespace {

constexpr auto kNow64 = static_cast<std::uint64_t>(kNow);

QueueEntry relay(std::string destination, std::vector<std::string> recipients,
                 std::uint64_t due_ms = kNow64) {
  QueueEntry entry{
      .destination = std::move(destination), .sender = "sender@client.example", .due_ms = due_ms};
  for (std::string& address : recipients) entry.recipients.push_back({.address = std::move(address)});
  return entry;
}

Transaction queued(std::uint32_t n, std::vector<QueueEntry> relays, std::vector<Delivery> deliveries = {}) {
  Transaction result = transaction(n, std::move(deliveries));
  result.relays = std::move(relays);
  return result;
}

std::expected<void, Error> change(Store& store, QueueUpdate&& update) {
  Outcome outcome;
  update.now_ms = kNow64 + 1000;
  if (!store.update(std::move(update), outcome))
    return std::unexpected(Error{.code = Code::stopping, .context = "update() said no"});
  return outcome.wait();
}

QueueUpdate outcome_of(std::uint32_t n, std::vector<QueueOutcome> outcomes, std::uint16_t part = 0) {
  QueueUpdate update{.key = {.id = id_of(n), .part = part}, .attempted = true};
  update.outcomes = std::move(outcomes);
  return update;
}

std::vector<std::string> due_of(const Store& store, std::string_view destination,
                                std::uint64_t to_ms = kNow64 + 1'000'000) {
  std::vector<std::string> names;
  const auto due = store.queue_due(destination, 0, 0, to_ms, 100);
  EXPECT_EQ(why(due), "");
  if (due)
    for (const QueueDue& one : *due) names.push_back(one.key.text());
  return names;
}

class QueueTest : public ::testing::Test {
 protected:
  void open() {
    store.reset();
    store = open_store(options_for(scratch.path()));
  }
  ScratchDirectory scratch{in_memory()};
  std::unique_ptr<Store> store = open_store(options_for(scratch.path()));
};

TEST_F(QueueTest, EntriesSurviveAndAreFoundByDestination) {
  ASSERT_EQ(why(deliver(*store, queued(1, {relay("b.example", {"x@b.example"}, kNow64 + 5),
                                           relay("a.example", {"y@a.example", "z@a.example"})}))),
            "");
  ASSERT_EQ(why(deliver(*store, queued(2, {relay("b.example", {"v@b.example"})}))), "");
  for (int round = 0; round < 2; ++round) {
    const auto heads = store->queue_heads("", 0, 10);
    ASSERT_EQ(why(heads), "");
    ASSERT_EQ(heads->size(), 2U);
    EXPECT_EQ((*heads)[0].destination, "a.example");
    EXPECT_EQ((*heads)[1].destination, "b.example");
    EXPECT_EQ((*heads)[1].due_ms, kNow64);
    EXPECT_EQ(store->queue_heads("a.example", 1, 10)->size(), 1U);
    EXPECT_EQ(due_of(*store, "b.example"), (std::vector<std::string>{id_of(2).text(), id_of(1).text()}));
    EXPECT_EQ(due_of(*store, "b.example", kNow64), (std::vector<std::string>{id_of(2).text()}));
    EXPECT_EQ(due_of(*store, "a.example"), (std::vector<std::string>{id_of(1).text() + ".2"}));
    EXPECT_EQ(store->queue_totals().entries, 3U);
    EXPECT_EQ(store->queue_totals().recipients, 4U);
    EXPECT_EQ(store->ledger().opened, 4U);
    EXPECT_EQ(store->ledger().open(), 4U);
    const auto audit = store->queue_audit();
    ASSERT_EQ(why(audit), "");
    EXPECT_TRUE(audit->balanced());
    EXPECT_EQ(store->message(id_of(1)), message_of(1));
    EXPECT_EQ(problems(*store), "");
    open();
  }
}

TEST_F(QueueTest, AnEntryClosesWhenItsLastRecipientDoes) {
  ASSERT_EQ(
      why(deliver(*store, queued(1, {relay("a.example", {"x@a.example", "y@a.example", "z@a.example"})}))),
      "");
  QueueUpdate first =
      outcome_of(1, {{.recipient = 0, .state = RecipientState::relayed, .host = "mx", .reply = "250 ok"},
                     {.recipient = 1, .state = RecipientState::waiting, .host = "mx", .reply = "450 later"}});
  first.due_ms = kNow64 + 300'000;
  ASSERT_EQ(why(change(*store, std::move(first))), "");
  auto entry = store->queue_entry({.id = id_of(1)});
  ASSERT_EQ(why(entry), "");
  EXPECT_EQ(entry->attempts, 1U);
  EXPECT_EQ(entry->due_ms, kNow64 + 300'000);
  EXPECT_EQ(entry->recipients[0].state, RecipientState::relayed);
  EXPECT_EQ(entry->recipients[0].reply, "250 ok");
  EXPECT_EQ(entry->recipients[1].reply, "450 later");
  EXPECT_EQ(store->ledger().relayed, 1U);
  EXPECT_EQ(store->queue_totals().recipients, 2U);
  EXPECT_EQ(problems(*store), "");

  // What has ended stays ended, whatever a late second result says.
  ASSERT_EQ(why(change(*store, outcome_of(1, {{.recipient = 0, .state = RecipientState::bounced},
                                              {.recipient = 1, .state = RecipientState::bounced},
                                              {.recipient = 2, .state = RecipientState::expired}}))),
            "");
  EXPECT_EQ(store->ledger().relayed, 1U);
  EXPECT_EQ(store->ledger().bounced, 1U);
  EXPECT_EQ(store->ledger().expired, 1U);
  EXPECT_EQ(store->ledger().open(), 0U);
  EXPECT_EQ(store->queue_totals(), QueueTotals{});
  EXPECT_EQ(store->queue_entry({.id = id_of(1)}).error().code, Code::not_found);
  EXPECT_EQ(store->message(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(due_of(*store, "a.example"), std::vector<std::string>{});
  const auto again = change(*store, outcome_of(1, {{.recipient = 0, .state = RecipientState::relayed}}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::not_found);

  // Its story is kept until it is forgotten on purpose.
  auto rows = store->queue_outcomes(id_of(1));
  ASSERT_EQ(rows->size(), 1U);
  ASSERT_TRUE(rows->front().entry);
  EXPECT_EQ(rows->front().entry->recipients[0].reply, "250 ok");
  EXPECT_EQ(why(store->record(id_of(1))), "");
  EXPECT_EQ(problems(*store), "");
  using Time = std::chrono::sys_time<std::chrono::milliseconds>;
  EXPECT_EQ(store->prune_outcomes(Time(std::chrono::milliseconds(kNow + 1)), 100), 0U);
  EXPECT_EQ(store->prune_outcomes(Time(std::chrono::milliseconds(kNow + 2)), 100), 1U);
  EXPECT_EQ(store->record(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QueueTest, TheBodyLivesAsLongAsAnyoneNeedsIt) {
  ASSERT_EQ(why(deliver(*store,
                        queued(1, {relay("a.example", {"x@a.example"}), relay("b.example", {"x@b.example"})},
                               to("anna@our.example")))),
            "");
  const auto end = [&](std::uint16_t part) {
    return change(*store, outcome_of(1, {{.recipient = 0, .state = RecipientState::relayed}}, part));
  };
  ASSERT_EQ(why(end(0)), "");
  EXPECT_EQ(why(store->message(id_of(1))), "");
  EXPECT_EQ(problems(*store), "");
  ASSERT_EQ(why(store->expunge("anna@our.example", "INBOX", {1})), "");
  EXPECT_EQ(why(store->message(id_of(1))), "");
  EXPECT_EQ(problems(*store), "");
  ASSERT_EQ(why(end(1)), "");
  EXPECT_EQ(store->message(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(problems(*store), "");
  EXPECT_EQ(store->ledger().open(), 0U);
}

TEST_F(QueueTest, HeldEntriesAreNotDueAndKeepTheirStateOverAnAttempt) {
  ASSERT_EQ(why(deliver(*store, queued(1, {relay("a.example", {"x@a.example"})}))), "");
  QueueUpdate hold{.key = {.id = id_of(1)}, .state = QueueState::held};
  ASSERT_EQ(why(change(*store, std::move(hold))), "");
  EXPECT_EQ(due_of(*store, "a.example"), std::vector<std::string>{});
  QueueUpdate late = outcome_of(1, {{.recipient = 0, .state = RecipientState::waiting, .reply = "450 no"}});
  late.due_ms = kNow64 + 7;
  ASSERT_EQ(why(change(*store, std::move(late))), "");
  EXPECT_EQ(store->queue_entry({.id = id_of(1)})->state, QueueState::held);
  EXPECT_EQ(due_of(*store, "a.example"), std::vector<std::string>{});
  EXPECT_EQ(problems(*store), "");
  QueueUpdate release{.key = {.id = id_of(1)}, .state = QueueState::waiting, .due_ms = kNow64};
  ASSERT_EQ(why(change(*store, std::move(release))), "");
  EXPECT_EQ(due_of(*store, "a.example"), std::vector<std::string>{id_of(1).text()});
  QueueUpdate drop{.key = {.id = id_of(1)}, .close_rest = RecipientState::dropped, .close_reply = "by hand"};
  ASSERT_EQ(why(change(*store, std::move(drop))), "");
  EXPECT_EQ(store->ledger().dropped, 1U);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QueueTest, AReportIsStoredWithTheEndThatItReportsOrNeitherIs) {
  ASSERT_EQ(why(deliver(*store, queued(1, {relay("a.example", {"x@a.example"})}))), "");
  const auto bounce = [&](std::uint32_t report) {
    QueueUpdate update =
        outcome_of(1, {{.recipient = 0, .state = RecipientState::bounced, .reply = "550 no"}});
    update.reports.push_back(
        std::make_shared<const Transaction>(queued(report, {relay("c.example", {"s@c.example"})})));
    return change(*store, std::move(update));
  };
  const auto refused = bounce(1);  // the id of a message that is there
  ASSERT_FALSE(refused);
  EXPECT_EQ(store->ledger().bounced, 0U);
  EXPECT_EQ(problems(*store), "");
  ASSERT_EQ(why(bounce(2)), "");
  EXPECT_EQ(store->ledger().bounced, 1U);
  EXPECT_EQ(store->ledger().opened, 2U);
  EXPECT_EQ(store->ledger().open(), 1U);
  EXPECT_EQ(due_of(*store, "c.example"), std::vector<std::string>{id_of(2).text()});
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QueueTest, ManyChangesOfOneMessageInOneBatch) {
  std::vector<QueueEntry> parts;
  for (int i = 0; i < 20; ++i)
    parts.push_back(relay(fmt::format("d{}.example", i), {"x@y.example", "z@y.example"}));
  ASSERT_EQ(why(deliver(*store, queued(1, std::move(parts)))), "");
  std::vector<Outcome> outcomes(40);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    QueueUpdate update = outcome_of(1, {{.recipient = i / 20, .state = RecipientState::relayed}},
                                    static_cast<std::uint16_t>(i % 20));
    ASSERT_TRUE(store->update(std::move(update), outcomes[i]));
  }
  for (Outcome& outcome : outcomes) EXPECT_EQ(why(outcome.wait()), "");
  EXPECT_EQ(store->ledger().relayed, 40U);
  EXPECT_EQ(store->queue_totals(), QueueTotals{});
  EXPECT_EQ(store->message(id_of(1)).error().code, Code::not_found);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QueueTest, ADamagedEntryIsNamedAndSetAside) {
  ASSERT_EQ(why(deliver(*store, queued(1, {relay("a.example", {"x@a.example"})}))), "");
  ASSERT_EQ(why(deliver(*store, queued(2, {relay("a.example", {"y@a.example"})}))), "");
  store.reset();
  const std::string key = queue_key({.id = id_of(1)});
  put(*open_database(scratch.path()), Table::queue, key, "\x01garbage");
  open();
  EXPECT_EQ(store->queue_entry({.id = id_of(1)}).error().code, Code::corrupt);
  const auto rows = store->queue_rows(std::nullopt, 10);
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_FALSE((*rows)[0].entry);
  EXPECT_NE((*rows)[0].problem, "");
  EXPECT_TRUE((*rows)[1].entry);
  EXPECT_FALSE(store->queue_audit()->balanced());
  EXPECT_NE(problems(*store), "");
  QueueUpdate aside{.set_aside =
                        due_key({.destination = "a.example", .due_ms = kNow64, .key = {.id = id_of(1)}})};
  ASSERT_EQ(why(change(*store, std::move(aside))), "");
  EXPECT_EQ(due_of(*store, "a.example"), std::vector<std::string>{id_of(2).text()});
}

TEST_F(QueueTest, RefusesWhatNoEntryCanBe) {
  EXPECT_EQ(deliver(*store, queued(1, {})).error().code, Code::invalid);
  EXPECT_EQ(deliver(*store, queued(1, {relay("", {"x@a.example"})})).error().code, Code::invalid);
  EXPECT_EQ(deliver(*store, queued(1, {relay("a.example", {})})).error().code, Code::invalid);
  QueueEntry closed = relay("a.example", {"x@a.example"});
  closed.recipients[0].state = RecipientState::relayed;
  EXPECT_EQ(deliver(*store, queued(1, {closed})).error().code, Code::invalid);
  EXPECT_EQ(store->ledger().opened, 0U);
  EXPECT_EQ(problems(*store), "");
}

TEST_F(QueueTest, AStoreOfAnOlderProgramGetsItsQueue) {
  ASSERT_EQ(why(deliver(*store, transaction(1, to("anna@our.example")))), "");
  store.reset();
  {
    const auto database = open_database(scratch.path());
    for (const Table table : {Table::queue, Table::due, Table::outcomes})
      ASSERT_TRUE(database->db().DropColumnFamily(database->table(table)).ok());
  }
  Options reading = options_for(scratch.path());
  reading.read_only = true;
  reading.create_if_missing = false;
  store = open_store(reading);
  ASSERT_TRUE(store);
  EXPECT_EQ(store->queue_rows(std::nullopt, 10)->size(), 0U);
  EXPECT_EQ(problems(*store), "");
  open();
  EXPECT_EQ(why(deliver(*store, queued(2, {relay("a.example", {"x@a.example"})}))), "");
  EXPECT_EQ(problems(*store), "");
}

}  // namespace
}  // namespace postern::storage::test
