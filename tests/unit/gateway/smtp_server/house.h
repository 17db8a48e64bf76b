#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/reactor/reactor.h"
#include "gateway/smtp/server/handler.h"

namespace postern::test {

inline std::string_view stage_name(smtp::Stage stage) {
  switch (stage) {
    case smtp::Stage::connect:
      return "connect";
    case smtp::Stage::helo:
    case smtp::Stage::auth:
      return "helo";
    case smtp::Stage::mail:
      return "mail";
    case smtp::Stage::rcpt:
      return "rcpt";
    case smtp::Stage::data:
      return "data";
    case smtp::Stage::message:
      return "message";
  }
  return "?";
}

/// A house that says yes, writes down what it was asked, and can be told to think for a while. The test's thread sets it up
/// before the server starts; after that hold(), release() and the log are for any thread.
class TestHouse final : public smtp::House {
 public:
  smtp::Terms terms_of_all;
  std::function<void(const filters::Ip&, smtp::Terms&)> adjust_terms;
  std::function<bool(const filters::Ip&)> expects_proxy = [](const filters::Ip&) { return false; };
  /// Another answer than yes. Runs on the server's thread.
  std::function<std::optional<smtp::Decision>(smtp::Stage, const smtp::VisitFacts&)> decide;
  /// The replies to a message; the default is one 250.
  std::function<std::vector<smtp::Decision>(const smtp::Transaction&)> decide_message;

  TestHouse() {
    terms_of_all.session.hostname = "mx.test.example";
    terms_of_all.admission.unlimited = true;
  }

  // What the driver asks.
  bool proxy_expected(std::size_t, const filters::Ip& peer) const override { return expects_proxy(peer); }
  smtp::Terms terms(std::size_t, const filters::Ip& client) const override {
    smtp::Terms terms = terms_of_all;
    if (adjust_terms) adjust_terms(client, terms);
    return terms;
  }
  std::unique_ptr<smtp::Visit> visit(const smtp::Arrival& arrival) override;

  // What a test asks.
  void hold(smtp::Stage stage) {
    const std::lock_guard lock(mutex_);
    held_stages_.insert(stage);
  }
  /// On the server's thread.
  void release() {
    const std::lock_guard lock(mutex_);
    held_stages_.clear();
    for (reactor::Event* event : waiting_) event->open();
    waiting_.clear();
  }
  bool wait_until_held(std::size_t visits = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_.size() >= visits; });
  }
  std::vector<std::string> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  bool wait_for(std::string_view entry) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return std::ranges::find(log_, entry) != log_.end(); });
  }
  std::size_t times(std::string_view entry) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count(log_, entry));
  }

  void note(std::string entry) {
    const std::lock_guard lock(mutex_);
    log_.push_back(std::move(entry));
    changed_.notify_all();
  }
  reactor::Task<void> think(smtp::Stage stage) {
    reactor::Event event;
    {
      const std::lock_guard lock(mutex_);
      if (!held_stages_.contains(stage)) co_return;
      waiting_.push_back(&event);
      changed_.notify_all();
    }
    co_await event.wait();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<smtp::Stage> held_stages_;
  std::vector<reactor::Event*> waiting_;
  std::vector<std::string> log_;
};

class TestVisit final : public smtp::Visit {
 public:
  explicit TestVisit(TestHouse& house) : house_(house) {}
  ~TestVisit() override { house_.note("gone"); }

  reactor::Task<smtp::Decision> at(smtp::Stage stage, const smtp::VisitFacts& facts) override {
    std::string entry(stage_name(stage));
    if (stage == smtp::Stage::mail) entry += " " + facts.session.pending_mail().path.normal_form();
    if (stage == smtp::Stage::rcpt) entry += " " + facts.session.pending_rcpt().path.normal_form();
    if (stage == smtp::Stage::connect) entry += " " + facts.session.client().ip.text();
    if (facts.early_talker) entry += " early";
    if (facts.tls != nullptr) entry += " tls";
    house_.note(std::move(entry));
    co_await house_.think(stage);
    if (house_.decide) {
      auto decision = house_.decide(stage, facts);
      if (decision) co_return std::move(*decision);
    }
    const int yes = stage == smtp::Stage::connect ? 220 : 250;
    co_return smtp::Decision{.reply = {.code = yes}};
  }

  reactor::Task<std::vector<smtp::Decision>> message(smtp::Transaction transaction,
                                                     const smtp::VisitFacts&) override {
    house_.note("message " + std::string(transaction.body.view()));
    co_await house_.think(smtp::Stage::message);
    if (house_.decide_message) co_return house_.decide_message(transaction);
    co_return std::vector<smtp::Decision>{{.reply = {250, "2.0.0", "Ok (id test)"}}};
  }

  void reset() override { house_.note("reset"); }

 private:
  TestHouse& house_;
};

inline std::unique_ptr<smtp::Visit> TestHouse::visit(const smtp::Arrival& arrival) {
  note("visit " + arrival.client.ip.text() + " at " + arrival.local.ip.text());
  return std::make_unique<TestVisit>(*this);
}

}  // namespace postern::test
