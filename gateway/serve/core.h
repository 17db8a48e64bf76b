#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/delivery/runner/runners.h"
#include "gateway/dns/resolver.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/socket.h"
#include "gateway/serve/administration.h"
#include "gateway/serve/dns_source.h"
#include "gateway/serve/preparation.h"
#include "gateway/smtp/server/server.h"

namespace postern::serve {

/// One listener as every core serves it.
struct Front {
  reactor::Address address;
  std::string name;  ///< "mx 0.0.0.0:25", for metrics and logs
};

/// One thread with one reactor, the resolver and the pipeline on it, and its share of every listener. The first core has the administration
/// as well. The public functions are the main thread's, in the order they stand here.
class Core {
 public:
  struct Options {
    reactor::ReactorOptions reactor;
    pipeline::Services services;
    smtp::ServerShared smtp;
    delivery::RunnerServices queue;
    delivery::Runners& runners;
    unsigned cores;  ///< of how many this is one
    dns::ResolverOptions dns;
    std::function<void()> drained;  ///< called on the core's thread when its last session has ended
  };
  explicit Core(Options options);
  ~Core();  ///< finish() and join(), if that has not been done
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  /// Makes the thread, and reactor and resolver on it.
  std::expected<void, reactor::Error> start();
  /// `first`: the core that has bound already, whose ports and Unix sockets are shared; null for that core itself.
  std::expected<void, reactor::Error> bind(const std::vector<Front>& fronts, const Core* first);
  /// `make`: what the administration works with, given this core's pipeline.
  using MakeServices = std::function<AdministrationServices(pipeline::Pipeline&)>;
  std::expected<void, reactor::Error> bind_administration(const MakeServices& make,
                                                          const SocketAddresses& addresses);
  void serve();
  /// Stops accepting; sessions end at their next command boundary, then `drained` is called.
  void drain();
  /// Ends the sessions that are left.
  void cancel();
  /// Ends the administration, closes the listeners, ends the thread. After `drained`, or instead of serve().
  void finish();
  void join();

  unsigned index() const { return options_.reactor.core; }
  /// Any thread, between start() and finish().
  reactor::ReactorCounters counters() const { return reactor_->counters(); }
  /// Processor time of the core's thread. Any thread, between start() and join().
  std::chrono::nanoseconds cpu_time() const;
  /// New connections to the TCP listeners go to the first `cores` cores; 0: to all alike. The first core's, after every core has bound.
  std::expected<void, reactor::Error> steer(unsigned cores) const;
  /// Where the listeners are, with the ports that the kernel picked. After bind().
  const std::vector<reactor::Address>& bound() const { return bound_; }

 private:
  struct Door;    // a listener and its server
  struct Inside;  // what lives on the core's thread

  void run(std::function<void(std::expected<void, reactor::Error>)> started);
  static std::expected<std::unique_ptr<DnsSource>, reactor::Error> make_source(const Options& options);
  void make_upkeep(Inside& inside) const;
  reactor::Task<void> main(Inside& inside);
  /// Runs a function on the core's thread and waits for its result.
  std::expected<void, reactor::Error> call(
      std::move_only_function<std::expected<void, reactor::Error>()> function);

  Options options_;
  std::thread thread_;
  reactor::Reactor* reactor_ = nullptr;  // lives on the thread's stack
  Inside* inside_ = nullptr;             // likewise
  std::vector<reactor::Address> bound_;
  std::vector<int> descriptors_;  // of the listeners, for the cores that share them
  bool finished_ = false;
};

}  // namespace postern::serve
