#include "gateway/control/api.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "gateway/control/json.h"
#include "tests/unit/gateway/pipeline/house.h"

namespace postern::control {
namespace {

using admin::Request;
using admin::Response;

/// Waits on the committing thread's word.
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

/// The routes over a store with one mailbox of two messages.
class ApiTest : public testing::Test {
 protected:
  static constexpr std::string_view kAddress = "a/b@test.example";

  ApiTest()
      : workers_(1, 4),
        api_({.store = house_.store(),
              .workers = workers_,
              .pipeline = house_.pipeline(),
              .snapshots = house_.snapshots(),
              .status = [] { return std::string("{\"running\":true}"); },
              .reload = [this] { return outcome_; }}) {
    for (const std::string_view body : {"first", "second"}) store(body);
  }

  void store(std::string_view body) {
    storage::Transaction transaction;
    transaction.id = ids_.next(
        std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(1'795'521'600'000)));
    transaction.received_at =
        std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(1'795'521'600'000));
    transaction.header = "X: 1\r\n\r\n";
    transaction.body = body;
    transaction.envelope = R"({"mail_from":"s@client.example"})";
    transaction.record = R"({"action":"accept","score":0,"findings":[],"incomplete":[],"facts":[]})";
    transaction.deliveries = {{.mailbox = std::string(kAddress)}};
    stored_.push_back(transaction.id.text());
    Durable durable;
    ASSERT_TRUE(house_.store().submit(std::move(transaction), durable));
    ASSERT_TRUE(durable.wait());
  }

  Response ask(const Request& request) {
    Response response;
    constexpr auto kAsk = [](Api& api, const Request& what, Response& out) -> reactor::Task<void> {
      out = co_await api.handle(what);
    };
    test::run(kAsk(api_, request, response));
    return response;
  }
  Response get(std::string path, std::vector<std::pair<std::string, std::string>> query = {}) {
    return ask({.method = "GET", .path = std::move(path), .query = std::move(query)});
  }
  Response post(std::string path, std::string body = {},
                std::vector<std::pair<std::string, std::string>> query = {}) {
    return ask(
        {.method = "POST", .path = std::move(path), .query = std::move(query), .body = std::move(body)});
  }
  static Json json(const Response& response) {
    auto parsed = parse(response.body);
    EXPECT_TRUE(parsed.has_value()) << response.body;
    return parsed.value_or(Json());
  }
  std::string mailbox(std::string_view rest) const {
    return "/v1/mailboxes/" + std::string(kAddress) + std::string(rest);
  }

  pipeline::House house_;
  reactor::Executor workers_;
  ReloadOutcome outcome_;
  Api api_;
  storage::MessageIdSource ids_{0};
  std::vector<std::string> stored_;
};

TEST_F(ApiTest, ListsMailboxesFoldersAndEntries) {
  const Json mailboxes = json(get("/v1/mailboxes")).at("mailboxes");
  ASSERT_EQ(mailboxes.size(), 1U);
  EXPECT_EQ(mailboxes[0].at("address"), kAddress);
  EXPECT_EQ(mailboxes[0].at("messages"), 2);
  const Json folders = json(get(mailbox("/folders"))).at("folders");
  ASSERT_EQ(folders.size(), 1U);
  EXPECT_EQ(folders[0].at("name"), "INBOX");
  EXPECT_EQ(json(get(mailbox("/entries"))).at("entries").size(), 2U);
  const Json second =
      json(get(mailbox("/entries"), {{"folder", "INBOX"}, {"after", "1"}, {"count", "5"}})).at("entries");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].at("uid"), 2);
  EXPECT_EQ(second[0].at("id"), stored_[1]);
}

TEST_F(ApiTest, GivesAMessageAndWhyItIsThere) {
  const Response raw = get("/v1/messages/" + stored_[0]);
  EXPECT_EQ(raw.content_type, "message/rfc822");
  EXPECT_EQ(raw.body, "X: 1\r\n\r\nfirst");
  const Json record = json(get("/v1/messages/" + stored_[0] + "/record"));
  EXPECT_EQ(record.at("id"), stored_[0]);
  EXPECT_EQ(record.at("action"), "accept");
  EXPECT_EQ(record.at("envelope").at("mail_from"), "s@client.example");
}

TEST_F(ApiTest, ChangesFlagsAndExpunges) {
  EXPECT_EQ(post(mailbox("/flags"), R"({"uids":[1,2],"set":["seen"]})").status, 200U);
  EXPECT_EQ(
      post(mailbox("/flags"), R"({"folder":"INBOX","uids":[2],"set":["flagged"],"clear":["seen"]})").status,
      200U);
  const Json entries = json(get(mailbox("/entries"))).at("entries");
  EXPECT_EQ(entries[0].at("flags"), Json::array({"seen"}));
  EXPECT_EQ(entries[1].at("flags"), Json::array({"flagged"}));
  EXPECT_EQ(json(post(mailbox("/expunge"), R"({"uids":[1,77]})")).at("removed"), 1);
  EXPECT_EQ(json(get(mailbox("/entries"))).at("entries").size(), 1U);
  EXPECT_EQ(get("/v1/messages/" + stored_[0]).status, 404U);
}

TEST_F(ApiTest, VerifiesAndShowsTheStatus) {
  const Json report = json(post("/v1/verify"));
  EXPECT_EQ(report.at("ok"), true);
  EXPECT_EQ(report.at("entries"), 2);
  EXPECT_EQ(json(get("/v1/status")).at("running"), true);
}

TEST_F(ApiTest, Scans) {
  const std::string message = "From: a@client.example\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nhi\r\n";
  const Response response =
      post("/v1/scan", message,
           {{"ip", "192.0.2.1"}, {"mail_from", "a@client.example"}, {"rcpt", "b@test.example"}});
  EXPECT_EQ(response.status, 200U) << response.body;
  const Json verdict = json(response);
  for (const char* key : {"action", "score", "findings", "incomplete", "facts"})
    EXPECT_TRUE(verdict.contains(key)) << key;
  EXPECT_EQ(post("/v1/scan", "").status, 400U);
  EXPECT_EQ(post("/v1/scan", message, {{"ip", "nonsense"}}).status, 400U);
}

TEST_F(ApiTest, ReloadsOrSaysWhyNot) {
  Json done = json(post("/v1/reload"));
  EXPECT_EQ(done.at("reloaded"), true);
  EXPECT_FALSE(done.contains("error"));
  outcome_.problems = {{.file = "m.toml", .line = 3, .key = "cores", .what = "expected a number"}};
  const Response refused = post("/v1/reload");
  EXPECT_EQ(refused.status, 422U);
  done = json(refused);
  EXPECT_EQ(done.at("reloaded"), false);
  EXPECT_EQ(done.at("problems")[0].at("line"), 3);
  EXPECT_EQ(done.at("problems")[0].at("text"), "m.toml:3: cores: expected a number");
  EXPECT_TRUE(done.contains("error"));
}

struct RefusedCase {
  std::string_view name, method, path;
  unsigned status;
  std::string_view body = "", allow = "";
  std::vector<std::pair<std::string, std::string>> query = {};
};

TEST_F(ApiTest, RefusesInJson) {
  const std::string flags = mailbox("/flags"), expunge = mailbox("/expunge"), entries = mailbox("/entries");
  const RefusedCase cases[] = {
      {.name = "nothing there", .method = "GET", .path = "/v1/nothing", .status = 404},
      {.name = "the root", .method = "GET", .path = "/", .status = 404},
      {.name = "no address", .method = "GET", .path = "/v1/mailboxes//folders", .status = 404},
      {.name = "only a prefix", .method = "GET", .path = "/v1/mailboxes/", .status = 404},
      {.name = "an unknown mailbox",
       .method = "GET",
       .path = "/v1/mailboxes/x@test.example/folders",
       .status = 404},
      {.name = "an unknown message",
       .method = "GET",
       .path = "/v1/messages/00000000000000000000",
       .status = 404},
      {.name = "no message id", .method = "GET", .path = "/v1/messages/short", .status = 400},
      {.name = "a record of no id", .method = "GET", .path = "/v1/messages/short/record", .status = 400},
      {.name = "a slash in an id", .method = "GET", .path = "/v1/messages/a/b", .status = 404},
      {.name = "the wrong method",
       .method = "DELETE",
       .path = "/v1/mailboxes",
       .status = 405,
       .allow = "GET, HEAD"},
      {.name = "reading what acts", .method = "GET", .path = "/v1/reload", .status = 405, .allow = "POST"},
      {.name = "after is no uid",
       .method = "GET",
       .path = entries,
       .status = 400,
       .query = {{"after", "-1"}}},
      {.name = "count of none", .method = "GET", .path = entries, .status = 400, .query = {{"count", "0"}}},
      {.name = "count over the limit",
       .method = "GET",
       .path = entries,
       .status = 400,
       .query = {{"count", "10001"}}},
      {.name = "no JSON", .method = "POST", .path = flags, .status = 400, .body = "uids=1"},
      {.name = "an array", .method = "POST", .path = flags, .status = 400, .body = "[]"},
      {.name = "no uids", .method = "POST", .path = flags, .status = 400, .body = R"({"set":["seen"]})"},
      {.name = "empty uids", .method = "POST", .path = expunge, .status = 400, .body = R"({"uids":[]})"},
      {.name = "uid 0", .method = "POST", .path = expunge, .status = 400, .body = R"({"uids":[0]})"},
      {.name = "a uid too large",
       .method = "POST",
       .path = expunge,
       .status = 400,
       .body = R"({"uids":[4294967296]})"},
      {.name = "an unknown flag",
       .method = "POST",
       .path = flags,
       .status = 400,
       .body = R"({"uids":[1],"set":["old"]})"},
      {.name = "set and cleared",
       .method = "POST",
       .path = flags,
       .status = 400,
       .body = R"({"uids":[1],"set":["seen"],"clear":["seen"]})"},
      {.name = "folder is no text",
       .method = "POST",
       .path = flags,
       .status = 400,
       .body = R"({"uids":[1],"folder":1})"},
      {.name = "flags of an unknown message",
       .method = "POST",
       .path = flags,
       .status = 404,
       .body = R"({"uids":[99],"set":["seen"]})"},
  };
  for (const RefusedCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Response response = ask({.method = std::string(c.method),
                                   .path = std::string(c.path),
                                   .query = c.query,
                                   .body = std::string(c.body)});
    EXPECT_EQ(response.status, c.status) << response.body;
    EXPECT_EQ(response.allow, c.allow);
    EXPECT_TRUE(json(response).at("error").is_string());
  }
}

TEST_F(ApiTest, StoreErrorsHaveTheStatusThatFits) {
  using storage::Code;
  const std::pair<Code, unsigned> cases[] = {
      {Code::not_found, 404}, {Code::invalid, 400}, {Code::no_space, 507}, {Code::stalled, 503},
      {Code::stopping, 503},  {Code::locked, 503},  {Code::io, 500},       {Code::corrupt, 500}};
  for (const auto& [code, status] : cases) {
    const Response response = store_error({.code = code, .context = "x"});
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(json(response).at("code"), storage::to_string(code));
  }
}

}  // namespace
}  // namespace postern::control
