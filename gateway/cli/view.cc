#include "gateway/cli/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "gateway/admin/http.h"
#include "gateway/cli/output.h"
#include "gateway/control/api.h"

namespace postern::cli {
namespace {

using control::Json;

constexpr std::chrono::hours kVerifyPatience{24};

storage::Error error_of(const control::ClientError& error) {
  const bool temporary = error.kind == control::ClientError::Kind::timed_out;
  return {.code = temporary ? storage::Code::stalled : storage::Code::io, .context = error.sentence};
}

/// A refusal of the API; its "code" is storage's own.
storage::Error error_of(const control::Answer& answer) {
  const auto json = control::parse(answer.body);
  const std::string name = json ? text_of(*json, "code") : std::string();
  storage::Error error{.code = storage::Code::io, .context = answer.error()};
  for (const storage::Code code :
       {storage::Code::not_found, storage::Code::corrupt, storage::Code::newer_format, storage::Code::locked,
        storage::Code::no_space, storage::Code::stalled, storage::Code::stopping, storage::Code::io,
        storage::Code::invalid}) {
    if (name != storage::to_string(code)) continue;
    error.code = code;
    const std::string suffix = " (" + name + ")";  // text() adds it again
    if (error.context.ends_with(suffix)) error.context.resize(error.context.size() - suffix.size());
  }
  if (name.empty() && (answer.status == 503 || answer.status == 409)) error.code = storage::Code::stalled;
  return error;
}

storage::Error misunderstood(std::string_view what) {
  return {.code = storage::Code::io,
          .context = fmt::format("the server's answer is not the expected one: {}", what)};
}

class RemoteView final : public View {
 public:
  explicit RemoteView(control::Client client) : client_(std::move(client)) {}

  std::expected<std::vector<storage::MailboxInfo>, storage::Error> mailboxes() override {
    return list<storage::MailboxInfo>("/v1/mailboxes", "mailboxes", control::mailbox_from_json);
  }

  std::expected<std::vector<storage::FolderInfo>, storage::Error> folders(std::string_view mailbox) override {
    const std::string target = fmt::format("/v1/mailboxes/{}/folders", admin::percent_encode(mailbox));
    return list<storage::FolderInfo>(target, "folders", control::folder_from_json);
  }

  std::expected<std::vector<storage::Entry>, storage::Error> entries(std::string_view mailbox,
                                                                     std::string_view folder,
                                                                     std::uint32_t after,
                                                                     std::size_t count) override {
    const std::string target =
        fmt::format("/v1/mailboxes/{}/entries?folder={}&after={}&count={}", admin::percent_encode(mailbox),
                    admin::percent_encode(folder), after, count);
    return list<storage::Entry>(target, "entries", control::entry_from_json);
  }

  std::expected<std::string, storage::Error> message(const storage::MessageId& id) override {
    return get("/v1/messages/" + id.text());
  }

  std::expected<Json, storage::Error> explanation(const storage::MessageId& id) override {
    const auto body = get("/v1/messages/" + id.text() + "/record");
    if (!body) return std::unexpected(body.error());
    auto json = control::parse(*body);
    if (!json) return std::unexpected(misunderstood("no JSON"));
    return std::move(*json);
  }

  std::expected<Json, storage::Error> dmarc_counters(const std::string& first,
                                                     const std::string& last) override {
    const auto body = get(fmt::format("/v1/dmarc/counters?first={}&last={}", admin::percent_encode(first),
                                      admin::percent_encode(last)));
    if (!body) return std::unexpected(body.error());
    const auto json = control::parse(*body);
    if (!json || !member_of(*json, "counters").is_array()) return std::unexpected(misunderstood("counters"));
    return member_of(*json, "counters");
  }

  std::expected<storage::VerifyReport, storage::Error> verify() override {
    const auto answer = client_.request("POST", "/v1/verify", {}, kVerifyPatience);
    if (!answer) return std::unexpected(error_of(answer.error()));
    if (!answer->ok()) return std::unexpected(error_of(*answer));
    const auto json = control::parse(answer->body);
    auto report = json ? control::report_from_json(*json) : std::nullopt;
    if (!report) return std::unexpected(misunderstood("verify"));
    return std::move(*report);
  }

 private:
  std::expected<std::string, storage::Error> get(std::string_view target) const {
    auto answer = client_.request("GET", target);
    if (!answer) return std::unexpected(error_of(answer.error()));
    if (!answer->ok()) return std::unexpected(error_of(*answer));
    return std::move(answer->body);
  }

  template <typename T>
  std::expected<std::vector<T>, storage::Error> list(std::string_view target, const char* name,
                                                     std::optional<T> (*read)(const Json&)) const {
    const auto body = get(target);
    if (!body) return std::unexpected(body.error());
    const auto json = control::parse(*body);
    if (!json || !member_of(*json, name).is_array()) return std::unexpected(misunderstood(name));
    std::vector<T> found;
    for (const Json& one : member_of(*json, name)) {
      auto value = read(one);
      if (!value) return std::unexpected(misunderstood(name));
      found.push_back(std::move(*value));
    }
    return found;
  }

  control::Client client_;
};

class StoreView final : public View {
 public:
  explicit StoreView(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}

  std::expected<std::vector<storage::MailboxInfo>, storage::Error> mailboxes() override {
    return store_->mailboxes();
  }
  std::expected<std::vector<storage::FolderInfo>, storage::Error> folders(std::string_view mailbox) override {
    return store_->folders(mailbox);
  }
  std::expected<std::vector<storage::Entry>, storage::Error> entries(std::string_view mailbox,
                                                                     std::string_view folder,
                                                                     std::uint32_t after,
                                                                     std::size_t count) override {
    return store_->entries(mailbox, folder, after, count);
  }
  std::expected<std::string, storage::Error> message(const storage::MessageId& id) override {
    return store_->message(id);
  }
  std::expected<storage::VerifyReport, storage::Error> verify() override { return store_->verify(); }

  std::expected<Json, storage::Error> dmarc_counters(const std::string& first,
                                                     const std::string& last) override {
    const auto counts =
        store_->counts(control::day_from_text(first).value_or(0),
                       control::day_from_text(last).value_or(UINT32_MAX), control::Api::kCountersMax);
    if (!counts) return std::unexpected(counts.error());
    Json all = Json::array();
    for (const storage::Count& count : *counts) all.push_back(control::to_json(count));
    return all;
  }

  std::expected<Json, storage::Error> explanation(const storage::MessageId& id) override {
    const auto record = store_->record(id);
    if (!record) return std::unexpected(record.error());
    const auto envelope = store_->envelope(id);
    if (!envelope) return std::unexpected(envelope.error());
    return control::explanation(id.text(), *record, *envelope);
  }

 private:
  std::unique_ptr<storage::Store> store_;
};

}  // namespace

std::expected<config::Config, Stop> load_manifest(const std::filesystem::path& file) {
  config::Loaded loaded = config::load(file);
  if (loaded.problems.empty()) return std::move(loaded.config);
  const std::filesystem::path& socket = loaded.config.control.socket;
  if (!socket.empty() && control::Client(socket).probe()) return std::move(loaded.config);
  for (const config::Problem& problem : loaded.problems)
    (void)std::fprintf(stderr, "%s\n", problem.text().c_str());
  return std::unexpected(Stop{.exit_code = control::kConfig});
}

std::expected<std::unique_ptr<View>, Stop> open_view(const config::Config& config) {
  control::Client client(config.control.socket);
  auto there = client.probe();
  if (there) return std::make_unique<RemoteView>(std::move(client));
  if (there.error().kind != control::ClientError::Kind::absent)
    return std::unexpected(stop_of(there.error()));
  auto store = open_store(config);
  if (!store) return std::unexpected(std::move(store.error()));
  return std::make_unique<StoreView>(std::move(*store));
}

std::expected<std::unique_ptr<storage::Store>, Stop> open_store(const config::Config& config) {
  storage::Options options;
  options.path = config.store.path;
  options.read_only = true;
  options.create_if_missing = false;
  auto store = storage::Store::open(options);
  if (store) return std::move(*store);
  Stop stop = stop_of(store.error());
  if (store.error().code == storage::Code::locked)
    stop.sentence += fmt::format("; nobody listens on its control socket as this manifest names it, {}",
                                 config.control.socket.string());
  return std::unexpected(std::move(stop));
}

Stop stop_of(const control::ClientError& error) {
  using Kind = control::ClientError::Kind;
  switch (error.kind) {
    case Kind::absent:
      return {.exit_code = control::kUnavailable, .sentence = "no server runs: " + error.sentence};
    case Kind::permission:
      return {.exit_code = control::kPermission, .sentence = error.sentence};
    case Kind::timed_out:
      return {.exit_code = control::kTemporary, .sentence = error.sentence};
    case Kind::broken:
      return {.exit_code = control::kIo, .sentence = error.sentence};
  }
  return {};
}

Stop stop_of(const storage::Error& error) {
  return {.exit_code = control::exit_code(error.code), .sentence = error.text()};
}

int fail(const Stop& stop) {
  if (!stop.sentence.empty()) complain(stop.sentence);
  return stop.exit_code;
}

}  // namespace postern::cli
