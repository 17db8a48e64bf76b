#include "gateway/control/scan.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "gateway/admin/http.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/message_file.h"
#include "gateway/cli/output.h"
#include "gateway/cli/verdict.h"
#include "gateway/cli/view.h"
#include "gateway/pipeline/pipeline.h"

namespace postern::cli {
namespace {

constexpr unsigned kWorkers = 1;
constexpr std::size_t kWorkerQueueMax = 16;

struct Options {
  Common common;
  control::ScanParameters parameters;
  std::string message;
};

// ---- through the server -----------------------------------------------------------------------------------------------------------

std::string target_of(const control::ScanParameters& parameters) {
  std::string target = "/v1/scan";
  const auto add = [&target](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    target += fmt::format("{}{}={}", target.find('?') == std::string::npos ? '?' : '&', key,
                          admin::percent_encode(value));
  };
  add("ip", parameters.ip);
  add("helo", parameters.helo);
  add("mail_from", parameters.mail_from);
  for (const std::string& recipient : parameters.rcpt) add("rcpt", recipient);
  return target;
}

std::expected<std::string, Stop> scan_by_server(const control::Client& client,
                                                const control::ScanParameters& parameters,
                                                const std::string& message) {
  auto answer = client.request("POST", target_of(parameters), message);
  if (!answer) return std::unexpected(stop_of(answer.error()));
  if (answer->ok()) return std::move(answer->body);
  const int code = answer->status == 503 ? control::kTemporary : control::kBadData;
  return std::unexpected(Stop{.exit_code = code, .sentence = answer->error()});
}

// ---- alone ------------------------------------------------------------------------------------------------------------------------

/// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "postern-scan-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

reactor::Task<void> judge(pipeline::Pipeline& pipeline, filters::Envelope envelope, std::string message,
                          std::string& result) {
  const pipeline::Pipeline::Scan scan = co_await pipeline.scan(std::move(envelope), std::move(message));
  result = pipeline::to_json(scan);
}

/// A pipeline of our own for one message. It is built on a store, which it does not look into when it scans: an empty one
/// that goes at the end, so that ours is left alone whoever has it.
std::expected<std::string, Stop> scan_alone(config::Config config, const control::ScanParameters& parameters,
                                            std::string message) {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  auto envelope = control::scan_envelope(parameters, config.hostname, now);
  if (!envelope)
    return std::unexpected(Stop{.exit_code = control::kUsage, .sentence = std::move(envelope.error())});
  auto able = reactor::probe_kernel();
  if (!able) return std::unexpected(Stop{.exit_code = control::kSystem, .sentence = able.error().text()});

  // The classifier is the store's own, read where nobody else has it; a scan without it is one by an untrained one.
  std::unique_ptr<classifier::Classifier> trained;
  const auto training = config.store.path / classifier::kFolder;
  std::error_code unknown;
  if (config.filter.bayes.enabled && std::filesystem::is_directory(training, unknown)) {
    std::vector<std::string> warnings;
    auto opened = classifier::Classifier::open(
        {.folder = training, .table_octets = config.filter.bayes.table_octets}, warnings);
    for (const std::string& warning : warnings) complain("warning: " + warning);
    if (opened) trained = std::move(*opened);
  }

  const TemporaryFolder folder;
  if (folder.path().empty())
    return std::unexpected(
        Stop{.exit_code = control::kCannotCreate, .sentence = "no temporary folder can be made"});
  if (config.filter.rules.cache.empty())
    config.filter.rules.cache = config.store.path;  // compiled rules of the real one
  config.store.path = folder.path() / "store";
  config.tls.enabled = false;  // no certificate is needed, and its key may be out of our reach
  auto snapshot = pipeline::make_snapshot(config, nullptr);
  if (!snapshot)
    return std::unexpected(Stop{.exit_code = control::kConfig, .sentence = std::move(snapshot.error())});
  storage::Options options;
  options.path = config.store.path;
  options.memtable_octets = options.block_cache_octets = 1U << 20;
  options.free_octets_min = 0;
  auto store = storage::Store::open(options);
  if (!store) return std::unexpected(stop_of(store.error()));

  log::Logger::Options quiet;
  quiet.level = log::Level::error;
  std::string error;
  const auto logger = log::Logger::open(quiet, &error);
  if (!logger) return std::unexpected(Stop{.exit_code = control::kIo, .sentence = std::move(error)});
  metrics::Registry metrics;
  pipeline::SnapshotHolder snapshots(std::move(*snapshot));
  auto made = reactor::Reactor::create(reactor::ReactorOptions());
  if (!made) return std::unexpected(Stop{.exit_code = control::kSystem, .sentence = made.error().text()});
  reactor::Executor workers(kWorkers, kWorkerQueueMax);
  const pipeline::Services services{.store = **store,
                                    .workers = workers,
                                    .logger = *logger,
                                    .metrics = metrics,
                                    .snapshots = snapshots,
                                    .classifier = trained.get()};
  pipeline::Pipeline pipeline(services, 0);
  std::string result;
  (*made)->run(judge(pipeline, std::move(*envelope), std::move(message), result));
  return result;
}

int scan(const Options& options) {
  // What is wrong with the parameters is wrong whoever judges.
  const auto envelope = control::scan_envelope(options.parameters, "", {});
  if (!envelope) return fail({.exit_code = control::kUsage, .sentence = envelope.error()});
  auto config = load_manifest(options.common.config);
  if (!config) return fail(config.error());
  auto message = read_message(options.message);
  if (!message) return fail(message.error());
  const std::string octets = control::as_received(std::move(*message));
  const control::Client client(config->control.socket);
  const auto there = client.probe();
  // Who may not ask the server may still judge alone.
  const auto result = there ? scan_by_server(client, options.parameters, octets)
                            : scan_alone(std::move(*config), options.parameters, octets);
  if (!result) return fail(result.error());
  const auto verdict = control::parse(*result);
  if (!verdict) return fail({.exit_code = control::kIo, .sentence = "the server's answer is no JSON"});
  if (options.common.json)
    print_json(*verdict);
  else
    print_verdict(*verdict);
  return control::kOk;
}

}  // namespace

void add_scan(CLI::App& app, Action& chosen) {
  CLI::App* const verb =
      app.add_subcommand("scan", "Judge one message as if it had been received so; nothing is delivered");
  auto options = std::make_shared<Options>();
  add_config(*verb, options->common);
  add_json(*verb, options->common);
  verb->add_option("--ip", options->parameters.ip, "Address of the client")->type_name("IP");
  verb->add_option("--helo", options->parameters.helo, "What it says in EHLO")->type_name("NAME");
  verb->add_option("--mail-from", options->parameters.mail_from,
                   "Sender in MAIL FROM; default: the null sender")
      ->type_name("ADDRESS");
  verb->add_option("--rcpt", options->parameters.rcpt, "Recipient; may be repeated")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  verb->add_option("MESSAGE", options->message, "File with the message, or - for standard input")
      ->type_name("")
      ->required();
  verb->footer("A file without any CR is taken to have LF for line ends and is judged with CRLF.");
  verb->callback([options, &chosen] { chosen = [options] { return scan(*options); }; });
}

}  // namespace postern::cli
