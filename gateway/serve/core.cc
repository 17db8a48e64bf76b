#include "gateway/serve/core.h"

#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include <future>
#include <optional>
#include <utility>

#include "gateway/metrics/metrics.h"
#include "gateway/pipeline/greylist_keeper.h"
#include "gateway/pipeline/list_keeper.h"
#include "gateway/pipeline/list_prober.h"
#include "gateway/serve/preparation.h"

namespace postern::serve {

struct Core::Door {
  Door(std::size_t number, const Front& front, smtp::House& house, smtp::ServerShared shared)
      : server(number, front.name, house, shared) {}
  reactor::Listener listener;
  smtp::Server server;
};

struct Core::Inside {
  Inside(const Options& options, std::unique_ptr<DnsSource> dns)
      : source(std::move(dns)),
        pipeline(options.services, options.reactor.core, source.get()),
        runner(options.queue, source.get(), options.runners, options.reactor.core, options.cores) {}

  std::unique_ptr<DnsSource> source;
  pipeline::Pipeline pipeline;
  delivery::Runner runner;
  // Scopes last longer than what is enrolled in them, hence stand in front.
  reactor::Scope sessions, administering, relaying, upkeep;
  // Of the first core, as the administration.
  std::optional<pipeline::ListProber> prober;
  std::optional<pipeline::ListKeeper> list_keeper;
  std::optional<pipeline::GreylistKeeper> greylist_keeper;
  std::vector<std::unique_ptr<Door>> doors;
  std::optional<Administration> administration;
  reactor::Event begin, finish;
  bool serving = false;
};

Core::Core(Options options) : options_(std::move(options)) {}

Core::~Core() {
  if (!thread_.joinable()) return;
  finish();
  join();
}

std::expected<void, reactor::Error> Core::start() {
  std::promise<std::expected<void, reactor::Error>> promise;
  auto started = promise.get_future();
  thread_ = std::thread([this, &promise] {
    run([&promise](std::expected<void, reactor::Error> result) { promise.set_value(std::move(result)); });
  });
  auto result = started.get();
  if (!result) thread_.join();
  return result;
}

void Core::run(std::function<void(std::expected<void, reactor::Error>)> started) {
  metrics::set_shard(index());
  const std::string name = "core " + std::to_string(index());
  (void)pthread_setname_np(pthread_self(), name.c_str());
  auto made = reactor::Reactor::create(options_.reactor);
  if (!made) {
    started(std::unexpected(std::move(made.error())));
    return;
  }
  auto source = make_source(options_);
  if (!source) {
    started(std::unexpected(std::move(source.error())));
    return;
  }
  reactor_ = made->get();
  Inside inside(options_, std::move(*source));
  options_.runners.attach(index(), inside.runner, **made);
  if (index() == 0) make_upkeep(inside);
  inside_ = &inside;
  started({});
  (*made)->run(main(inside));
}

/// What looks after things that all cores share.
void Core::make_upkeep(Inside& inside) const {
  const pipeline::Services& services = options_.services;
  inside.list_keeper.emplace(pipeline::ListKeeper::Services{.snapshots = services.snapshots,
                                                            .workers = services.workers,
                                                            .logger = services.logger,
                                                            .metrics = services.metrics});
  if (services.list_health != nullptr)
    inside.prober.emplace(pipeline::ListProber::Services{.snapshots = services.snapshots,
                                                         .health = *services.list_health,
                                                         .source = *inside.source,
                                                         .logger = services.logger,
                                                         .metrics = services.metrics});
  if (services.greylist != nullptr)
    inside.greylist_keeper.emplace(pipeline::GreylistKeeper::Services{.greylist = *services.greylist,
                                                                      .store = services.store,
                                                                      .snapshots = services.snapshots,
                                                                      .workers = services.workers,
                                                                      .logger = services.logger});
}

std::expected<std::unique_ptr<DnsSource>, reactor::Error> Core::make_source(const Options& options) {
  auto resolver = dns::Resolver::create(options.dns);
  if (!resolver)
    return std::unexpected(
        reactor::Error{.code = reactor::Errc::invalid, .context = std::move(resolver.error())});
  return std::make_unique<DnsSource>(std::move(*resolver), options.services.metrics);
}

reactor::Task<void> Core::main(Inside& inside) {
  co_await inside.begin.wait();
  if (inside.serving) {
    for (auto& door : inside.doors) inside.sessions.spawn(door->server.serve(door->listener));
    inside.relaying.spawn(inside.runner.run());
    if (inside.administration) inside.administration->serve(inside.administering);
    if (inside.prober) inside.upkeep.spawn(inside.prober->run(inside.upkeep));
    if (inside.list_keeper) inside.upkeep.spawn(inside.list_keeper->run(inside.upkeep));
    if (inside.greylist_keeper) inside.upkeep.spawn(inside.greylist_keeper->run(inside.upkeep));
    co_await inside.sessions.join();
    inside.runner.stop();  // after the last session: what it accepted may still go out at once
    co_await inside.relaying.join();
    options_.drained();
  }
  co_await inside.finish.wait();
  inside.administering.cancel();
  co_await inside.administering.join();
  if (inside.administration) {
    co_await inside.administration->close();
  }
  for (auto& door : inside.doors) co_await door->listener.close();
  inside.upkeep.cancel();
  co_await inside.source->close();  // ends what is asked: nobody waits for a silent list
  co_await inside.upkeep.join();
  co_await inside.pipeline.close();
}

std::expected<void, reactor::Error> Core::call(
    std::move_only_function<std::expected<void, reactor::Error>()> function) {
  std::promise<std::expected<void, reactor::Error>> promise;
  auto result = promise.get_future();
  reactor_->post([&promise, &function] { promise.set_value(function()); });
  return result.get();
}

std::expected<void, reactor::Error> Core::bind(const std::vector<Front>& fronts, const Core* first) {
  return call([&]() -> std::expected<void, reactor::Error> {
    for (std::size_t i = 0; i < fronts.size(); ++i) {
      reactor::ListenOptions options;
      options.refuse_shared = first == nullptr;
      auto door = std::make_unique<Door>(i, fronts[i], inside_->pipeline, options_.smtp);
      const bool shared = first != nullptr && fronts[i].address.is_unix();
      const reactor::Address& address = first != nullptr ? first->bound_[i] : fronts[i].address;
      auto bound =
          shared ? door->listener.share(first->descriptors_[i]) : door->listener.bind(address, options);
      if (!bound) return std::unexpected(std::move(bound.error()).with(fronts[i].name));
      bound_.push_back(shared ? address : door->listener.local());
      descriptors_.push_back(door->listener.descriptor());
      inside_->doors.push_back(std::move(door));
    }
    return {};
  });
}

std::expected<void, reactor::Error> Core::bind_administration(const MakeServices& make,
                                                              const SocketAddresses& addresses) {
  return call([&] {
    inside_->administration.emplace(make(inside_->pipeline));
    return inside_->administration->bind(addresses.control, addresses.metrics);
  });
}

std::chrono::nanoseconds Core::cpu_time() const {
  clockid_t clock{};
  timespec time{};
  auto& thread = const_cast<std::thread&>(thread_);  // native_handle() is not const
  if (pthread_getcpuclockid(thread.native_handle(), &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::expected<void, reactor::Error> Core::steer(unsigned cores) const {
  for (std::size_t i = 0; i < bound_.size(); ++i) {
    if (bound_[i].is_unix()) continue;  // its cores share one queue, and whoever is awake takes the next
    if (auto steered = reactor::steer(descriptors_[i], cores); !steered)
      return std::unexpected(std::move(steered.error()).with(bound_[i].text()));
  }
  return {};
}

void Core::serve() {
  reactor_->post([inside = inside_] {
    inside->serving = true;
    inside->begin.open();
  });
}

void Core::drain() {
  reactor_->post([inside = inside_] {
    for (auto& door : inside->doors) door->server.drain();
  });
}

void Core::cancel() {
  reactor_->post([inside = inside_] {
    for (auto& door : inside->doors) door->server.cancel();
    inside->runner.cancel();
  });
}

void Core::finish() {
  if (std::exchange(finished_, true)) return;
  reactor_->post([inside = inside_] {
    inside->begin.open();
    inside->finish.open();
  });
}

void Core::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace postern::serve
