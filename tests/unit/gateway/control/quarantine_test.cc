#include "gateway/control/quarantine.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "tests/unit/gateway/pipeline/house.h"

namespace postern::control {
namespace {

using admin::Request;
using admin::Response;

class Durable final : public storage::Completion {
 public:
  void done(const std::expected<void, storage::Error>& result) noexcept override {
    const std::lock_guard guard(mutex_);
    finished_ = true;
    ok_ = result.has_value();
    changed_.notify_one();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finished_; });
    return ok_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false, ok_ = false;
};

/// One message kept for a mailbox (12 points) and for a next hop (12 points), and one of nobody (3 points).
class QuarantineDeskTest : public testing::Test {
 protected:
  QuarantineDeskTest() {
    keep("s@client.example", 12'000'000, true);
    keep("", 3'000'000, false);
  }

  void keep(const std::string& sender, std::int64_t score, bool relayed) {
    storage::Transaction transaction;
    transaction.id =
        ids_.next(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
    transaction.received_at = transaction.id.made_at();
    transaction.header = "X: 1\r\n\r\n";
    transaction.envelope = R"({"mail_from":"s@client.example"})";
    transaction.record = R"({"action":"quarantine"})";
    storage::QuarantineEntry entry;
    entry.recipient = entry.mailbox = "a@test.example";
    entry.sender = sender;
    entry.score_millionths = score;
    transaction.quarantined.push_back(entry);
    if (relayed) {
      entry.recipient = "b@r.example";
      entry.mailbox.clear();
      entry.destination = "r.example";
      transaction.quarantined.push_back(entry);
    }
    stored_.push_back(transaction.id.text());
    Durable durable;
    ASSERT_TRUE(house_.store().submit(std::move(transaction), durable));
    ASSERT_TRUE(durable.wait());
  }

  Response get(std::string path, std::vector<std::pair<std::string, std::string>> query = {}) {
    return quarantine_route(desk_, {.method = "GET", .path = std::move(path), .query = std::move(query)});
  }
  Response post(std::string path, std::string body) {
    return quarantine_route(desk_, {.method = "POST", .path = std::move(path), .body = std::move(body)});
  }
  static Json json(const Response& response) { return parse(response.body).value_or(Json()); }

  pipeline::House house_;
  std::vector<std::string> kicked_;
  QuarantineDesk desk_{house_.store(), nullptr, [] { return std::string("mx.test.example"); },
                       [this](const std::string& name) { kicked_.push_back(name); }};
  storage::MessageIdSource ids_{0};
  std::vector<std::string> stored_;
};

struct FilterRow {
  std::string_view name;
  std::vector<std::pair<std::string, std::string>> query;
  std::size_t count;
};

TEST_F(QuarantineDeskTest, ListsWhatIsAskedFor) {
  const FilterRow rows[] = {
      {"all", {}, 3},
      {"recipient", {{"recipient", "A@test.example"}}, 2},
      {"domain", {{"recipient", "@r.example"}}, 1},
      {"nobody's", {{"sender", "<>"}}, 1},
      {"at the bound", {{"score_min", "12"}}, 2},
      {"beyond it", {{"score_min", "12.000001"}}, 0},
      {"at most", {{"score_max", "3"}}, 1},
      {"old", {{"older_s", "3600"}}, 0},
      {"both", {{"sender", "s@client.example"}, {"recipient", "b@r.example"}}, 1},
  };
  for (const FilterRow& row : rows)
    EXPECT_EQ(json(get("/v1/quarantine", row.query)).at("entries").size(), row.count) << row.name;
}

TEST_F(QuarantineDeskTest, PagesGoOnWhereTheyEnded) {
  std::string after;
  std::vector<std::string> ids;
  do {
    const Json page = json(get("/v1/quarantine", {{"count", "1"}, {"after", after}}));
    for (const Json& entry : page.at("entries")) ids.push_back(entry.at("id").get<std::string>());
    after = page.at("next").is_string() ? page.at("next").get<std::string>() : "";
  } while (!after.empty());
  EXPECT_EQ(ids, (std::vector<std::string>{stored_[0], stored_[0] + ".2", stored_[1]}));
}

struct BadRow {
  std::string_view method, path, body;
  std::vector<std::pair<std::string, std::string>> query;
  unsigned status;
};

TEST_F(QuarantineDeskTest, RefusesWhatMakesNoSense) {
  const std::string ids = R"({"ids":[")" + stored_[0] + R"("])";
  const std::string with_learn = ids + R"(,"learn":1})", no_class = ids + "}",
                    bad_class = ids + R"(,"class":"eggs"})";
  const BadRow rows[] = {
      {"GET", "/v1/quarantine", "", {{"count", "0"}}, 400},
      {"GET", "/v1/quarantine", "", {{"count", "1001"}}, 400},
      {"GET", "/v1/quarantine", "", {{"older_s", "-1"}}, 400},
      {"GET", "/v1/quarantine", "", {{"score_min", "ten"}}, 400},
      {"GET", "/v1/quarantine", "", {{"after", "x"}}, 400},
      {"GET", "/v1/quarantine/x", "", {}, 400},
      {"GET", "/v1/quarantine/00000000000000000000", "", {}, 404},
      {"POST", "/v1/quarantine", "", {}, 405},
      {"GET", "/v1/quarantine/release", "", {}, 405},
      {"POST", "/v1/quarantine/release", "no JSON", {}, 400},
      {"POST", "/v1/quarantine/release", "{\"ids\":[]}", {}, 400},
      {"POST", "/v1/quarantine/delete", "{\"ids\":[\"x\"]}", {}, 400},
      {"POST", "/v1/quarantine/release", with_learn, {}, 400},
      {"POST", "/v1/quarantine/learn", no_class, {}, 400},
      {"POST", "/v1/quarantine/learn", bad_class, {}, 400},
  };
  for (const BadRow& row : rows) {
    const Response response = quarantine_route(desk_, {.method = std::string(row.method),
                                                       .path = std::string(row.path),
                                                       .query = row.query,
                                                       .body = std::string(row.body)});
    EXPECT_EQ(response.status, row.status)
        << row.method << " " << row.path << " " << row.body << response.body;
  }
  EXPECT_EQ(json(get("/v1/quarantine")).at("entries").size(), 3U) << "something was done";
}

TEST_F(QuarantineDeskTest, AReleaseWakesTheQueueAndALessonThatFailsIsTold) {
  const Json done = json(post("/v1/quarantine/release",
                              R"({"ids":[")" + stored_[0] + R"(",")" + stored_[0] + R"(.2"],"learn":true})"));
  EXPECT_EQ(done.at("done"), 2);
  EXPECT_EQ(done.at("learned"), 0);
  EXPECT_EQ(done.at("problems").size(), 2U) << "there is no classifier";
  EXPECT_EQ(kicked_, std::vector<std::string>{"r.example"});
  EXPECT_EQ(house_.messages("a@test.example").size(), 1U);
  EXPECT_EQ(house_.store().queue_totals().recipients, 1U);
  const Json again = json(post("/v1/quarantine/release", R"({"ids":[")" + stored_[0] + R"("]})"));
  EXPECT_EQ(again.at("gone"), 1);
  EXPECT_EQ(json(get("/v1/quarantine/" + stored_[1])).at("record").at("action"), "quarantine");
}

}  // namespace
}  // namespace postern::control
