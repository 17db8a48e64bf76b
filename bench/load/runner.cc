#include "bench/load/runner.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <barrier>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "bench/load/worker.h"
#include "gateway/reactor/reactor.h"

namespace postern::load {

using reactor::Reactor;

namespace {

constexpr std::chrono::milliseconds kGlance{100};    // how often `stop` is looked at
constexpr std::chrono::milliseconds kProgress{500};  // how often the live line is written

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Threads, the moment they start together, and the way to end them.
class Run {
 public:
  Run(const Options& options, const Corpus& corpus, const Corpus& spam, const TlsClientContext& tls)
      : options_(options), gate_(options.cores, Departure{this}), reactors_(options.cores) {
    for (unsigned i = 0; i < options.cores; ++i)
      cores_.push_back(std::unique_ptr<Core>(
          new Core{.options = options, .corpus = corpus, .spam = spam, .tls = tls, .index = i}));
  }

  std::expected<void, std::string> go(const std::atomic<bool>& stop, RunResult& result) {
    const double cpu_before = cpu_seconds();
    {
      std::vector<std::jthread> threads;
      running_ = options_.cores;
      for (unsigned i = 0; i < options_.cores; ++i) threads.emplace_back([this, i] { one_core(i); });
      watch(stop);
    }
    if (error_) return std::unexpected(std::move(*error_));
    result.cpu_seconds = cpu_seconds() - cpu_before;
    result.elapsed = end_ - start_;
    for (const auto& core : cores_) result.tally.merge(core->tally);
    return {};
  }

 private:
  /// Runs on the last core to be ready, before any goes on.
  struct Departure {
    Run* run;
    void operator()() noexcept { run->start_ = Clock::now(); }
  };

  void one_core(unsigned index) {
    auto made = Reactor::create({.core = index});
    if (made) {
      Core& core = *cores_[index];
      {
        const std::lock_guard lock(mutex_);
        reactors_[index] = made->get();
      }
      (*made)->run(run_core(core, [this] {
        gate_.arrive_and_wait();
        return start_;
      }));
      const std::lock_guard lock(mutex_);
      reactors_[index] = nullptr;
    } else {
      gate_.arrive_and_drop();
    }
    const std::lock_guard lock(mutex_);
    if (!made && !error_) error_ = made.error().text();
    end_ = std::max(end_, Clock::now());
    --running_;
    changed_.notify_all();
  }

  void watch(const std::atomic<bool>& stop) {
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    Clock::time_point next_line = Clock::now() + kProgress;
    bool stopped = false;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kGlance, [this] { return running_ == 0; })) {
      if (stop.load(std::memory_order_relaxed) && !std::exchange(stopped, true)) end_all();
      if (terminal && Clock::now() >= next_line) {
        next_line += kProgress;
        line();
      }
    }
    if (terminal) std::fputs("\r\x1b[K", stderr);
  }

  /// Under the lock: a reactor in the table exists.
  void end_all() {
    for (unsigned i = 0; i < options_.cores; ++i) {
      if (reactors_[i] == nullptr) continue;
      Core* const core = cores_[i].get();
      reactors_[i]->post([core] { core->scope.cancel(); });
    }
  }

  void line() {
    std::uint64_t accepted = 0, refused = 0, failed = 0, open = 0;
    for (const auto& core : cores_) {
      accepted += core->tally.accepted.get();
      refused += core->tally.refused.get();
      failed += core->tally.failed.get();
      open += core->tally.open_now.get();
    }
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - line_at_).count();
    const double rate = seconds > 0 ? static_cast<double>(accepted - line_accepted_) / seconds : 0;
    line_at_ = now;
    line_accepted_ = accepted;
    const std::string text =
        fmt::format("\r\x1b[K{} accepted ({:.0f}/s), {} refused, {} failed, {} connections", accepted, rate,
                    refused, failed, open);
    std::fputs(text.c_str(), stderr);
  }

  const Options& options_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::barrier<Departure> gate_;
  Clock::time_point start_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Reactor*> reactors_;  // while they run
  unsigned running_ = 0;
  Clock::time_point end_;
  std::optional<std::string> error_;

  Clock::time_point line_at_ = Clock::now();
  std::uint64_t line_accepted_ = 0;
};

}  // namespace

std::expected<void, std::string> run_load(const Options& options, const Corpus& corpus, const Corpus& spam,
                                          const std::atomic<bool>& stop, RunResult& result) {
  const auto kernel = reactor::probe_kernel();
  if (!kernel) return std::unexpected(kernel.error().text());
  auto tls = TlsClientContext::create();
  if (!tls) return std::unexpected("TLS: " + tls.error());
  Run run(options, corpus, spam, *tls);
  return run.go(stop, result);
}

}  // namespace postern::load
