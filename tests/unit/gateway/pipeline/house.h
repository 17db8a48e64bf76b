#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/reactor/executor.h"
#include "gateway/smtp/session.h"
#include "storage/store.h"
#include "tests/support/run_task.h"

namespace postern::pipeline {

/// A folder of its own that goes with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-pipeline-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline constexpr std::string_view kManifest = R"(
hostname = "mx.test.example"
postmaster = "alice@test.example"
[tls]
enabled = false
[[listener]]
address = "127.0.0.1:2525"
xclient_from = ["127.0.0.0/8"]
[[listener]]
address = "127.0.0.1:2424"
service = "lmtp"
[[domain]]
name = "test.example"
[[domain]]
name = "any.example"
recipients = "any"
[[account]]
address = "alice@test.example"
aliases = ["info@test.example"]
[[account]]
address = "bob@test.example"
[[account]]
address = "small@test.example"
quota_octets = 2000
)";

struct HouseOptions {
  std::string manifest = std::string(kManifest);
  std::size_t worker_queue_max = 16;
  std::uint64_t free_octets_min = 0;
};

/// Everything a pipeline stands on, real but for the sockets.
class House {
 public:
  explicit House(const HouseOptions& options = {}) {
    log::Logger::Options log_options;
    log_options.file = (folder_.path() / "log").string();
    std::string error;
    logger_ = log::Logger::open(log_options, &error);
    EXPECT_TRUE(logger_) << error;
    storage::Options store_options;
    store_options.path = folder_.path() / "store";
    store_options.free_octets_min = options.free_octets_min;
    auto opened = storage::Store::open(store_options);
    EXPECT_TRUE(opened) << opened.error().text();
    store_ = std::move(*opened);
    workers_ = std::make_unique<reactor::Executor>(1, options.worker_queue_max);
    snapshots_ = std::make_unique<SnapshotHolder>(snapshot(options.manifest));
    pipeline_ = std::make_unique<Pipeline>(Services{.store = *store_,
                                                    .workers = *workers_,
                                                    .logger = *logger_,
                                                    .metrics = metrics_,
                                                    .snapshots = *snapshots_},
                                           0);
  }

  std::shared_ptr<const Snapshot> snapshot(const std::string& manifest) const {
    const config::Loaded loaded = config::parse(manifest, folder_.path() / "postern.toml");
    for (const config::Problem& problem : loaded.problems) ADD_FAILURE() << problem.text();
    auto made = make_snapshot(loaded.config, nullptr);
    if (!made) ADD_FAILURE() << made.error();
    return made.value_or(nullptr);
  }

  Pipeline& pipeline() { return *pipeline_; }
  storage::Store& store() const { return *store_; }
  SnapshotHolder& snapshots() { return *snapshots_; }
  smtp::BodyBudget& budget() { return budget_; }
  const std::filesystem::path& folder() const { return folder_.path(); }

  std::vector<std::string> messages(std::string_view mailbox, std::string_view name = "INBOX") const {
    std::vector<std::string> all;
    const auto entries = store_->entries(mailbox, name);
    if (!entries) return all;
    for (const storage::Entry& entry : *entries)
      all.push_back(store_->message(entry.id).value_or("unreadable"));
    return all;
  }

  /// The log's events of one name.
  std::vector<nlohmann::json> events(std::string_view name) const {
    logger_->flush();
    std::ifstream file(folder_.path() / "log");
    std::vector<nlohmann::json> found;
    for (std::string line; std::getline(file, line);) {
      nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
      EXPECT_FALSE(event.is_discarded()) << line;
      if (event.value("event", "") == name) found.push_back(std::move(event));
    }
    return found;
  }

  /// Whether the metrics page has this line.
  testing::AssertionResult has_metric(const std::string& line) const {
    const std::string page = metrics_.render();
    if (page.find(line + "\n") != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "no line " << line << " in\n" << page;
  }

 private:
  TemporaryFolder folder_;
  metrics::Registry metrics_;
  smtp::BodyBudget budget_{256U << 20};
  std::unique_ptr<log::Logger> logger_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<reactor::Executor> workers_;
  std::unique_ptr<SnapshotHolder> snapshots_;
  std::unique_ptr<Pipeline> pipeline_;
};

struct ClientOptions {
  std::size_t listener = 0;
  std::string ip = "192.0.2.1";
  const tls::Established* tls = nullptr;
  bool early_talker = false;
};

/// One visit without a socket: the real session asks the real house.
class Client {
 public:
  explicit Client(House& house, const ClientOptions& options = {})
      : tls_(options.tls), early_talker_(options.early_talker) {
    const smtp::ClientInfo client{
        .ip = filters::Ip::parse(options.ip).value_or(filters::Ip()), .port = 4711, .name = {}};
    const smtp::Terms terms = house.pipeline().terms(options.listener, client.ip);
    session_ = std::make_unique<smtp::Session>(terms.session, client, &house.budget());
    smtp::Arrival arrival{.listener = options.listener, .session_id = "s1", .client = client, .local = {}};
    arrival.local.ip = filters::Ip::v4({203, 0, 113, 9});
    visit_ = house.pipeline().visit(arrival);
    if (tls_ != nullptr) session_->tls_established(true);
  }

  /// Says it all at once and returns what comes back.
  reactor::Task<std::string> say(std::string octets) {
    session_->feed(octets);
    for (;;) {
      const smtp::Step step = session_->next();
      const smtp::VisitFacts facts{.session = *session_, .tls = tls_, .early_talker = early_talker_};
      if (const auto* ask = std::get_if<smtp::Ask>(&step); ask == nullptr) {
        co_return session_->take_output();
      } else if (ask->stage == smtp::Stage::message) {
        smtp::Transaction transaction = session_->take_transaction();
        const auto decisions = co_await visit_->message(std::move(transaction), facts);
        answer(decisions);
      } else {
        const smtp::Decision decision = co_await visit_->at(ask->stage, facts);
        session_->decide(decision.reply, decision.close);
      }
    }
  }

  /// MAIL, RCPT for each, DATA: the last line of the replies.
  reactor::Task<std::string> deliver(std::string sender, std::vector<std::string> recipients,
                                     std::string message, std::string parameters = {}) {
    std::string commands = "MAIL FROM:<" + sender + ">" + parameters + "\r\n";
    for (const std::string& recipient : recipients) commands += "RCPT TO:<" + recipient + ">\r\n";
    const std::string before = co_await say(commands + "DATA\r\n");
    if (before.find("354 ") == std::string::npos) co_return before;
    for (std::size_t at = message.find("\r\n."); at != std::string::npos; at = message.find("\r\n.", at + 4))
      message.insert(at + 2, ".");
    if (message.starts_with('.')) message.insert(0, ".");
    auto reply = co_await say(message + ".\r\n");
    co_return reply;
  }

 private:
  void answer(const std::vector<smtp::Decision>& decisions) {
    std::vector<smtp::Reply> replies;
    for (const smtp::Decision& decision : decisions) replies.push_back(decision.reply);
    if (session_->recipients() == replies.size()) {
      session_->decide_each(std::move(replies));
    } else {
      EXPECT_EQ(replies.size(), 1U);
      session_->decide(replies.at(0));
    }
  }

  const tls::Established* tls_;
  bool early_talker_;
  std::unique_ptr<smtp::Session> session_;
  std::unique_ptr<smtp::Visit> visit_;
};

inline constexpr std::string_view kHello = "EHLO client.example\r\n";

inline std::string message_text(std::string_view subject, std::string_view body = "Hello.\r\n") {
  std::string text = "From: Sender <sender@client.example>\r\nTo: you\r\nSubject: ";
  text.append(subject)
      .append("\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n\r\n")
      .append(body);
  return text;
}

}  // namespace postern::pipeline
