#include "gateway/cli/trainer.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "gateway/classifier/own_trace.h"
#include "gateway/cli/output.h"
#include "gateway/control/classifier.h"

namespace postern::cli {
namespace {

using classifier::Classifier;

class OwnTrainer final : public Trainer {
 public:
  OwnTrainer(std::unique_ptr<Classifier> own, std::string hostname)
      : classifier_(std::move(own)), hostname_(std::move(hostname)) {}

  std::expected<std::string, Stop> learn(std::string_view message, classifier::Class verdict) override {
    const classifier::Lesson lesson{
        .verdict = verdict, .day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now())};
    const auto own = classifier::split_own_trace(message, hostname_);
    const auto outcome = classifier_->learn(own.message, own.facts, lesson);
    if (!outcome) return std::unexpected(stop_of(outcome.error()));
    return std::string(filters::bayes::to_string(*outcome));
  }

  std::expected<Opinion, Stop> classify(std::string_view message, bool evidence) override {
    const auto own = classifier::split_own_trace(message, hostname_);
    auto found = classifier_->classify(own.message, own.facts, evidence);
    return Opinion{.log_odds = found.opinion.log_odds,
                   .trained = found.opinion.trained,
                   .evidence = std::move(found.evidence)};
  }

  std::expected<void, Stop> close() override {
    const auto done = classifier_->close();
    if (!done) return std::unexpected(stop_of(done.error()));
    return {};
  }

 private:
  std::unique_ptr<Classifier> classifier_;
  std::string hostname_;  // ours; empty: no field of a message is
};

class ServersTrainer final : public Trainer {
 public:
  explicit ServersTrainer(control::Client client) : client_(std::move(client)) {}

  std::expected<std::string, Stop> learn(std::string_view message, classifier::Class verdict) override {
    const auto json =
        ask(fmt::format("/v1/classifier/learn?class={}", filters::bayes::to_string(verdict)), message);
    if (!json) return std::unexpected(json.error());
    return text_of(*json, "outcome");
  }

  std::expected<Opinion, Stop> classify(std::string_view message, bool evidence) override {
    const auto json =
        ask(evidence ? "/v1/classifier/classify?evidence=1" : "/v1/classifier/classify", message);
    if (!json) return std::unexpected(json.error());
    auto read = control::classification_from_json(*json);
    if (!read)
      return std::unexpected(
          Stop{.exit_code = control::kIo, .sentence = "the server's answer is not understood: classify"});
    return Opinion{.log_odds = read->opinion.log_odds,
                   .trained = read->opinion.trained,
                   .evidence = std::move(read->evidence)};
  }

  std::expected<void, Stop> close() override { return {}; }  // each answer was synced before it came

 private:
  std::expected<control::Json, Stop> ask(std::string_view target, std::string_view message) const {
    const auto answer = client_.request("POST", target, message);
    if (!answer) return std::unexpected(stop_of(answer.error()));
    if (!answer->ok())
      return std::unexpected(Stop{.exit_code = answer->status == 503 || answer->status == 507
                                                   ? control::kTemporary
                                                   : control::kBadData,
                                  .sentence = answer->error()});
    auto json = control::parse(answer->body);
    if (!json)
      return std::unexpected(Stop{.exit_code = control::kIo, .sentence = "the server's answer is no JSON"});
    return std::move(*json);
  }

  control::Client client_;
};

std::expected<std::unique_ptr<Trainer>, Stop> open_own(const std::filesystem::path& store,
                                                       std::uint64_t table_octets,
                                                       const std::string& hostname) {
  std::vector<std::string> warnings;
  auto own =
      Classifier::open({.folder = store / classifier::kFolder, .table_octets = table_octets}, warnings);
  for (const std::string& warning : warnings) complain("warning: " + warning);
  if (!own) return std::unexpected(stop_of(own.error()));
  return std::make_unique<OwnTrainer>(std::move(*own), hostname);
}

}  // namespace

std::expected<std::unique_ptr<Trainer>, Stop> open_trainer(const std::filesystem::path& store,
                                                           const std::filesystem::path& manifest) {
  if (!store.empty()) return open_own(store, Classifier::kTableOctets, {});
  const auto config = load_manifest(manifest);
  if (!config) return std::unexpected(config.error());
  control::Client client(config->control.socket);
  const auto there = client.probe();
  if (there) return std::make_unique<ServersTrainer>(std::move(client));
  if (there.error().kind != control::ClientError::Kind::absent)
    return std::unexpected(stop_of(there.error()));
  return open_own(config->store.path, config->filter.bayes.table_octets, config->hostname);
}

}  // namespace postern::cli
