#include "gateway/log/log.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "gateway/log/sink.h"

namespace postern::log {
namespace {

using Clock = std::chrono::steady_clock;

/// How long flush() and the destructor put up with a reader who takes nothing.
constexpr std::chrono::seconds kFlushPatience{2};
constexpr std::chrono::milliseconds kRetryInterval{100};  // after a failed write: disk full, reader gone
constexpr std::size_t kNoReopen = std::numeric_limits<std::size_t>::max();

/// The writer takes no signals: they belong to the main thread, and a blocked SIGPIPE is merely EPIPE.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { (void)pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

/// Callers append under the lock; the writer swaps the whole buffer out and writes it without the lock.
/// Positions are counted in octets since the start: accepted_ is where callers are, settled_ is where the
/// writer is (written, or given up and counted).
class Logger::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {}

  bool start(std::string* error) {
    if (!sink_.open(options_.file, error)) return false;
    const AllSignalsBlocked inherited_by_the_writer;
    writer_ = std::thread([this] { run(); });
    return true;
  }

  ~Impl() {
    if (!writer_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      stop_deadline_ = Clock::now() + kFlushPatience;
    }
    wake_writer_.notify_one();
    writer_.join();
  }

  void append(Level level, std::string_view line) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      if (pending_.size() + in_flight_ + line.size() > options_.buffer_octets_max) {
        ++dropped_;
        return;
      }
      wake = pending_.empty();
      pending_.append(line);
      accepted_ += line.size();
      if (!urgent_ && (level >= Level::warning || pending_.size() > options_.buffer_octets_max / 2)) {
        urgent_ = true;
        wake = true;
      }
    }
    if (wake) wake_writer_.notify_one();
  }

  void reopen() {
    {
      const std::lock_guard lock(mutex_);
      reopen_at_ = pending_.size();
      reopening_ = true;
    }
    wake_writer_.notify_one();
  }

  void flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t target = accepted_;
    const auto done = [&] { return settled_ >= target && !reopening_; };
    while (!done()) {
      urgent_ = true;
      wake_writer_.notify_one();
      const std::uint64_t seen = settled_;
      const bool moved =
          settled_changed_.wait_for(lock, kFlushPatience, [&] { return settled_ != seen || done(); });
      if (!moved) return;
    }
  }

  bool enabled(Level level) const { return level >= options_.level; }

  std::uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (wait_for_work(lock)) {
      batch_.clear();
      std::swap(batch_, pending_);
      urgent_ = false;
      const std::size_t reopen_at = std::exchange(reopen_at_, kNoReopen);
      const std::uint64_t taken = batch_.size();
      append_report();
      in_flight_ = batch_.size();
      lock.unlock();
      write_batch(reopen_at);
      lock.lock();
      in_flight_ = 0;
      reopening_ = reopen_at_ != kNoReopen;
      settled_ += taken;
      dropped_ += lost_;
      lost_ = 0;
      settled_changed_.notify_all();
    }
  }

  /// Sleeps until something is pending, then lets lines gather for the flush interval unless one is urgent.
  /// False: all is done.
  bool wait_for_work(std::unique_lock<std::mutex>& lock) {
    const auto has_work = [this] { return !pending_.empty() || reopen_at_ != kNoReopen || stopping_; };
    if (dropped_ > reported_) {
      // Room again; or the report itself failed, and then the disk is asked again, but not in a tight loop.
      wake_writer_.wait_for(lock, kRetryInterval, has_work);
    } else {
      wake_writer_.wait(lock, has_work);
    }
    const auto hurried = [this] { return urgent_ || reopen_at_ != kNoReopen || stopping_; };
    if (!pending_.empty()) wake_writer_.wait_for(lock, options_.flush_interval, hurried);
    const bool report_due = dropped_ > reported_ && !last_report_tried_;
    last_report_tried_ = stopping_;
    return !pending_.empty() || reopen_at_ != kNoReopen || report_due || !stopping_;
  }

  /// Lines were lost since the last report: say so, behind the lines that came before the loss.
  void append_report() {
    report_octets_ = 0;
    if (dropped_ == reported_) return;
    const Line line = Line(Level::warning, "log_lines_dropped").field("lines", dropped_ - reported_);
    batch_.append(line.text_).append("}\n");
    report_octets_ = line.text_.size() + 2;
    reported_before_ = std::exchange(reported_, dropped_);
  }

  void write_batch(std::size_t reopen_at) {
    std::string_view rest = batch_;
    if (reopen_at != kNoReopen) {
      const std::string_view before = rest.substr(0, reopen_at);
      rest.remove_prefix(before.size());
      write_all(before, false);
      reopen_sink();
    }
    write_all(rest, report_octets_ > 0);
  }

  void reopen_sink() {
    std::string error;
    if (sink_.open(options_.file, &error)) {
      torn_ = false;
      return;
    }
    const Line line = Line(Level::error, "log_reopen_failed").field("error", error);
    write_all(line.text_ + "}\n", false);  // into the old file, which is still open
  }

  /// Writes everything, or gives up and counts the lines that did not go. `with_report`: the last of them is
  /// ours.
  void write_all(std::string_view octets, bool with_report) {
    if (octets.empty()) return;
    const std::size_t size = octets.size();
    std::string_view line_end =
        torn_ ? "\n" : "";  // what follows must not continue a line that a failure cut
    if (push(line_end)) {
      torn_ = false;
      if (push(octets)) return;
    }
    if (octets.size() < size) torn_ = octets.data()[-1] != '\n';
    lost_ += static_cast<std::uint64_t>(std::count(octets.begin(), octets.end(), '\n'));
    if (with_report) {
      --lost_;  // the report is nobody's line, and what it said is to be said again
      const std::lock_guard lock(mutex_);
      reported_ = reported_before_;
    }
  }

  bool push(std::string_view& octets) {
    while (!octets.empty()) {
      const Sink::Result result = sink_.write(octets);
      if (result == Sink::Result::failed || (result == Sink::Result::stuck && must_stop())) return false;
    }
    return true;
  }

  bool must_stop() {
    const std::lock_guard lock(mutex_);
    return stopping_ && Clock::now() >= stop_deadline_;
  }

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_writer_;
  std::condition_variable settled_changed_;
  std::string pending_;        // guarded by mutex_, like all down to stop_deadline_
  std::size_t in_flight_ = 0;  // octets the writer holds: they count against the bound too
  std::uint64_t accepted_ = 0, settled_ = 0;
  std::uint64_t dropped_ = 0, reported_ = 0;
  std::size_t reopen_at_ = kNoReopen;  // lines before it go to the old file
  bool reopening_ = false, urgent_ = false, stopping_ = false, last_report_tried_ = false;
  Clock::time_point stop_deadline_;

  Sink sink_;  // the writer's, like all below
  std::string batch_;
  std::size_t report_octets_ = 0;
  std::uint64_t reported_before_ = 0, lost_ = 0;
  bool torn_ = false;  // the last line written lacks its end
  std::thread writer_;
};

std::unique_ptr<Logger> Logger::open(const Options& options, std::string* error) {
  auto impl = std::make_unique<Impl>(options);
  if (!impl->start(error)) return nullptr;
  return std::unique_ptr<Logger>(new Logger(std::move(impl)));
}

Logger::Logger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Logger::~Logger() = default;

void Logger::write(Line&& line) {
  if (!impl_->enabled(line.level_)) return;
  line.text_.append("}\n");
  impl_->append(line.level_, line.text_);
}

bool Logger::enabled(Level level) const {
  return impl_->enabled(level);
}
void Logger::reopen() {
  impl_->reopen();
}
void Logger::flush() {
  impl_->flush();
}
std::uint64_t Logger::dropped() const {
  return impl_->dropped();
}

}  // namespace postern::log
