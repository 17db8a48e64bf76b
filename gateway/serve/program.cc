#include "gateway/serve/program.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "gateway/pipeline/record.h"
#include "gateway/serve/notify.h"
#include "gateway/serve/preparation.h"
#include "gateway/serve/signals.h"
#include "gateway/serve/spread.h"
#include "gateway/serve/status.h"

namespace postern::serve {
namespace {

using log::Level;
using log::Line;

constexpr std::size_t kWorkerQueueMax = 4096;
/// The control socket's own, so that a long verification holds up nobody's mail.
constexpr unsigned kControlWorkers = 2;
constexpr std::size_t kControlQueueMax = 64;
constexpr std::chrono::seconds kSampleInterval{10};
constexpr std::chrono::hours kForever{1};

log::Level level_of(std::string_view name) {
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error})
    if (log::to_string(level) == name) return level;
  return Level::info;
}

/// Everything that a running server consists of. Members are destroyed from the last to the first: cores before the store,
/// the store before the log.
class Program {
 public:
  explicit Program(config::Loaded loaded) : loaded_(std::move(loaded)), config_(loaded_.config) {}

  std::expected<void, Failure> start();
  /// Until the end; the exit code.
  int run();
  log::Logger* logger() { return logger_.get(); }

 private:
  std::expected<void, Failure> open_log();
  std::expected<void, Failure> open_store();
  std::expected<void, Failure> make_snapshots();
  void open_classifier();
  std::expected<void, Failure> make_cores();
  std::expected<void, Failure> bind(const SocketAddresses& addresses);
  StatusSources sources() const;
  AdministrationServices administration(pipeline::Pipeline& pipeline);
  void announce();
  void wait_for_end();
  void sample_spread();
  void drain();
  bool wait_drained(std::chrono::steady_clock::time_point until);
  [[noreturn]] void end_at_once();

  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
  Signals signals_;
  config::Loaded loaded_;
  const config::Config& config_;
  std::unique_ptr<log::Logger> logger_;
  metrics::Registry metrics_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<classifier::Classifier> classifier_;
  std::shared_ptr<tls::TicketKeys> tickets_ = std::make_shared<tls::TicketKeys>();
  std::optional<pipeline::SnapshotHolder> snapshots_;
  pipeline::ListHealth list_health_;
  pipeline::Greylist greylist_;
  std::optional<Reloader> reloader_;
  smtp::Admission admission_;
  std::optional<smtp::BodyBudget> bodies_;
  std::optional<delivery::Board> board_;
  std::optional<delivery::Runners> runners_;
  std::optional<delivery::QueueDesk> queue_desk_;
  std::optional<control::QuarantineDesk> quarantine_desk_;
  std::optional<reactor::Executor> workers_, control_workers_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::optional<BusyRatios> busy_;
  std::optional<Spread> spread_;         // none: connections go to all cores alike
  std::atomic<unsigned> receiving_{0};   // cores that new connections go to
  std::chrono::nanoseconds cpu_time_{};  // of the cores, at the last sample of the spread
  std::chrono::steady_clock::time_point spread_at_{};
  std::atomic<Phase> phase_{Phase::starting};
  std::atomic<unsigned> cores_drained_{0};
};

std::expected<void, Failure> Program::start() {
  auto done = open_log();
  if (!done) return done;
  for (const config::Problem& warning : loaded_.warnings)
    logger_->write(Line(Level::warning, "config_warning").field("problem", warning.text()));
  const std::string short_of = raise_descriptor_limit(config_);
  if (!short_of.empty()) logger_->write(Line(Level::warning, "descriptors_short").field("problem", short_of));
  auto able = reactor::probe_kernel();
  if (!able) return std::unexpected(Failure{control::kSystem, able.error().text()});
  done = open_store();
  if (done) open_classifier();
  if (done) done = make_snapshots();
  if (!done) return done;
  auto addresses = socket_addresses(config_);
  if (!addresses) return std::unexpected(std::move(addresses.error()));
  done = make_cores();
  if (done) done = bind(*addresses);
  return done;
}

std::expected<void, Failure> Program::open_log() {
  log::Logger::Options options;
  options.file = config_.log.file.string();
  options.level = level_of(config_.log.level);
  std::string error;
  logger_ = log::Logger::open(options, &error);
  if (!logger_) return std::unexpected(Failure{control::kCannotCreate, "log.file: " + error});
  logger_->write(Line(Level::info, "starting")
                     .field("version", pipeline::software_version())
                     .field("manifest", config_.file.string())
                     .field("pid", static_cast<std::int64_t>(::getpid())));
  return {};
}

std::expected<void, Failure> Program::open_store() {
  auto store = storage::Store::open(store_options(config_.store));
  if (!store) return std::unexpected(store_failure(store.error(), config_.store.path.string()));
  store_ = std::move(*store);
  return {};
}

/// Without it mail goes on; what it would have said is as if it had learned nothing.
void Program::open_classifier() {
  if (!config_.filter.bayes.enabled) return;
  std::vector<std::string> warnings;
  auto opened = classifier::Classifier::open(
      {.folder = config_.store.path / classifier::kFolder, .table_octets = config_.filter.bayes.table_octets},
      warnings);
  for (const std::string& warning : warnings)
    logger_->write(Line(Level::warning, "classifier_warning").field("problem", warning));
  if (!opened) {
    logger_->write(Line(Level::error, "classifier_off").field("error", opened.error().text()));
    return;
  }
  classifier_ = std::move(*opened);
  const auto figures = classifier_->figures();
  logger_->write(Line(Level::info, "classifier")
                     .field("ham", figures.ham)
                     .field("spam", figures.spam)
                     .field("trained", figures.trained));
}

std::expected<void, Failure> Program::make_snapshots() {
  std::vector<std::string> warnings;
  auto snapshot = pipeline::make_snapshot(config_, tickets_, &warnings);
  if (!snapshot)
    return std::unexpected(Failure{control::kConfig, config_.file.string() + ": " + snapshot.error()});
  for (const std::string& warning : warnings)
    logger_->write(Line(Level::warning, "config_warning").field("problem", warning));
  snapshots_.emplace(std::move(*snapshot));
  reloader_.emplace(Reloader::Services{.snapshots = *snapshots_,
                                       .tickets = tickets_,
                                       .logger = *logger_,
                                       .metrics = metrics_,
                                       .applied = [this](const pipeline::Snapshot&) {
                                         register_certificates(metrics_, *snapshots_);
                                         if (runners_)
                                           runners_->kick_all();  // another schedule, other routes
                                       }});
  return {};
}

std::expected<void, Failure> Program::make_cores() {
  bodies_.emplace(config_.limits.body_memory_octets_max);
  workers_.emplace(config_.workers, kWorkerQueueMax);
  control_workers_.emplace(kControlWorkers, kControlQueueMax);
  const unsigned count = core_count(config_);
  board_.emplace(metrics_);
  runners_.emplace(count);
  queue_desk_.emplace(*store_, delivery::QueueDesk::Server{
                                   .board = &*board_,
                                   .snapshots = &*snapshots_,
                                   .kick = [this](const std::string& name) { runners_->kick(name); }});
  quarantine_desk_.emplace(
      *store_, classifier_.get(), [this] { return snapshots_->get()->config.hostname; },
      [this](const std::string& name) { runners_->kick(name); });
  const pipeline::Services services{.store = *store_,
                                    .workers = *workers_,
                                    .logger = *logger_,
                                    .metrics = metrics_,
                                    .snapshots = *snapshots_,
                                    .outbound = &*runners_,
                                    .list_health = &list_health_,
                                    .greylist = &greylist_,
                                    .classifier = classifier_.get()};
  const smtp::ServerShared shared{
      .admission = admission_, .bodies = *bodies_, .metrics = metrics_, .logger = *logger_};
  const delivery::RunnerServices queue{
      .store = *store_, .workers = *workers_, .logger = *logger_, .snapshots = *snapshots_, .board = *board_};
  busy_.emplace(count);
  for (unsigned index = 0; index < count; ++index) {
    reactor::ReactorOptions options;
    options.core = index;
    options.pin = config_.pin_cores;
    options.handshakes_per_turn_max = config_.limits.handshakes_per_turn_max;
    const auto drained = [this] {
      ++cores_drained_;
      signals_.wake();
    };
    cores_.push_back(std::make_unique<Core>(Core::Options{.reactor = options,
                                                          .services = services,
                                                          .smtp = shared,
                                                          .queue = queue,
                                                          .runners = *runners_,
                                                          .cores = count,
                                                          .dns = resolver_options(config_),
                                                          .drained = drained}));
    auto started = cores_.back()->start();
    if (!started) {
      cores_.pop_back();
      return std::unexpected(
          Failure{control::kSystem, fmt::format("core {}: {}", index, started.error().text())});
    }
  }
  return {};
}

std::expected<void, Failure> Program::bind(const SocketAddresses& addresses) {
  std::vector<Front> fronts;
  for (std::size_t i = 0; i < addresses.listeners.size(); ++i) {
    fronts.push_back({.address = addresses.listeners[i],
                      .name = fmt::format("{} {}", config::to_string(config_.listeners[i].service),
                                          config_.listeners[i].address)});
  }
  for (const auto& core : cores_) {
    auto bound = core->bind(fronts, core == cores_.front() ? nullptr : cores_.front().get());
    if (!bound) return std::unexpected(bind_failure(bound.error()));
  }
  const auto make = [this](pipeline::Pipeline& pipeline) { return administration(pipeline); };
  auto bound = cores_.front()->bind_administration(make, addresses);
  if (!bound) return std::unexpected(bind_failure(bound.error()));
  return {};
}

StatusSources Program::sources() const {
  return {.phase = phase_,
          .store = *store_,
          .snapshots = *snapshots_,
          .reloader = *reloader_,
          .admission = admission_,
          .bodies = *bodies_,
          .cores = cores_,
          .busy = *busy_,
          .list_health = list_health_,
          .board = *board_,
          .started_at = started_at_};
}

AdministrationServices Program::administration(pipeline::Pipeline& pipeline) {
  control::ApiServices api{.store = *store_,
                           .workers = *control_workers_,
                           .pipeline = pipeline,
                           .snapshots = *snapshots_,
                           .classifier = classifier_.get(),
                           .status = [this] { return control::dump(status_json(sources())) + "\n"; },
                           .reload = [this] { return reloader_->reload(); },
                           .queue = &*queue_desk_,
                           .quarantine = &*quarantine_desk_};
  return {
      .control = std::move(api), .metrics = metrics_, .not_ready = [this] { return not_ready(sources()); }};
}

int Program::run() {
  register_reactors(metrics_, cores_, *busy_);
  metrics_.callback("postern_reactors_receiving", "Cores that new connections go to.", "gauge", {},
                    [this] { return static_cast<double>(receiving_.load(std::memory_order_relaxed)); });
  register_store(metrics_, *store_);
  register_process(metrics_, std::chrono::floor<std::chrono::seconds>(started_at_));
  register_load(metrics_, *bodies_, *workers_, *logger_);
  register_certificates(metrics_, *snapshots_);
  phase_ = Phase::serving;
  receiving_ = static_cast<unsigned>(cores_.size());
  if (cores_.size() > 1 && !config_.spread_evenly) {
    spread_.emplace(static_cast<unsigned>(cores_.size()));
    spread_at_ = std::chrono::steady_clock::now();
    sample_spread();
  }
  for (const auto& core : cores_) core->serve();
  announce();
  wait_for_end();
  drain();
  // The first core's administration reads the others' figures: it ends first.
  for (const auto& core : cores_) {
    core->finish();
    core->join();
  }
  cores_.clear();
  workers_.reset();
  control_workers_.reset();
  if (classifier_) {
    if (const auto closed = classifier_->close(); !closed)
      logger_->write(Line(Level::error, "classifier_not_saved").field("error", closed.error().text()));
  }
  store_->close();
  logger_->write(Line(Level::info, "stopped"));
  logger_->flush();
  return control::kOk;
}

void Program::announce() {
  std::vector<std::string> listeners;
  for (const reactor::Address& address : cores_.front()->bound()) listeners.push_back(address.text());
  logger_->write(Line(Level::info, "ready")
                     .field("hostname", config_.hostname)
                     .field("cores", cores_.size())
                     .field("listeners", listeners)
                     .field("control", config_.control.socket.string())
                     .field("metrics", config_.metrics.listen));
  notify(fmt::format("READY=1\nSTATUS=serving on {} listeners\n", listeners.size()));
}

/// New connections to as few cores as the load needs.
void Program::sample_spread() {
  if (!spread_) return;
  std::chrono::nanoseconds cpu_time{};
  for (const auto& core : cores_) cpu_time += core->cpu_time();
  const auto now = std::chrono::steady_clock::now();
  const double load =
      std::chrono::duration<double>(cpu_time - cpu_time_) / std::chrono::duration<double>(now - spread_at_);
  cpu_time_ = cpu_time;
  spread_at_ = now;
  const auto active = spread_->sample(load, admission_.connections());
  if (!active) return;
  const bool all = *active == cores_.size();
  if (const auto steered = cores_.front()->steer(all ? 0 : *active); !steered) {
    logger_->write(Line(Level::warning, "connections_not_steered").field("error", steered.error().text()));
    spread_.reset();
    receiving_ = static_cast<unsigned>(cores_.size());
    return;
  }
  receiving_ = *active;
}

void Program::wait_for_end() {
  auto sampled = std::chrono::steady_clock::now();
  for (;;) {
    const Signals::Happened happened =
        signals_.wait(spread_ ? std::chrono::milliseconds(Spread::kInterval) : kSampleInterval);
    sample_spread();
    if (const auto now = std::chrono::steady_clock::now(); now - sampled >= kSampleInterval) {
      sampled = now;
      busy_->sample(cores_);
    }
    if (happened.event != Signals::Event::signal) continue;
    if (happened.signal != SIGHUP) return;
    logger_->reopen();
    (void)reloader_->reload();  // it logs how that went
  }
}

void Program::drain() {
  phase_ = Phase::draining;
  notify("STOPPING=1\nSTATUS=draining\n");
  logger_->write(Line(Level::info, "draining")
                     .field("connections", admission_.connections())
                     .field("grace_s", config_.limits.drain_s));
  for (const auto& core : cores_) core->drain();
  const auto grace = std::chrono::seconds(snapshots_->get()->config.limits.drain_s);
  if (wait_drained(std::chrono::steady_clock::now() + grace)) return;
  logger_->write(Line(Level::warning, "drain_expired").field("connections", admission_.connections()));
  for (const auto& core : cores_) core->cancel();
  (void)wait_drained(std::chrono::steady_clock::now() +
                     kForever);  // what is left is our own work, which ends
}

/// False: the time is over.
bool Program::wait_drained(std::chrono::steady_clock::time_point until) {
  while (cores_drained_ < cores_.size()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const Signals::Happened happened = signals_.wait(left);
    if (happened.event != Signals::Event::signal) continue;
    if (happened.signal != SIGHUP) end_at_once();
    logger_->reopen();
  }
  return true;
}

/// The second signal. The store is made for this: what was acknowledged is in the log.
void Program::end_at_once() {
  logger_->write(Line(Level::warning, "ended_at_once").field("connections", admission_.connections()));
  logger_->flush();
  ::_exit(control::kTemporary);
}

}  // namespace

int serve(const std::filesystem::path& manifest) {
  config::Loaded loaded = config::load(manifest);
  if (!loaded.problems.empty()) {
    for (const config::Problem& problem : loaded.problems)
      (void)std::fprintf(stderr, "%s\n", problem.text().c_str());
    return control::kConfig;
  }
  // Mail, addresses and keys: what this process makes is its own user's alone, also in folders that exist already.
  (void)::umask(077);
  const bool logs_to_file = !loaded.config.log.file.empty();
  Program program(std::move(loaded));
  auto started = program.start();
  if (started) return program.run();
  const Failure& failure = started.error();
  if (logs_to_file && program.logger() != nullptr)
    program.logger()->write(Line(Level::error, "start_failed").field("problem", failure.sentence));
  if (program.logger() != nullptr) program.logger()->flush();
  (void)std::fprintf(stderr, "postern: %s\n", failure.sentence.c_str());
  return failure.exit_code;
}

}  // namespace postern::serve
