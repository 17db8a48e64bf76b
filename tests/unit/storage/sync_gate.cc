#include "tests/unit/storage/sync_gate.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

namespace postern::storage::test {
namespace {

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  int waiting = 0;
  int failures = 0;
  int error = 0;
};

State& state() {
  static State value;
  return value;
}

bool is_log(int file) {
  std::array<char, 512> name{};
  const ssize_t length = ::readlink(fmt::format("/proc/self/fd/{}", file).c_str(), name.data(), name.size());
  return length > 0 && std::string_view(name.data(), static_cast<std::size_t>(length)).ends_with(".log");
}

}  // namespace

void SyncGate::hold() {
  const std::scoped_lock lock(state().mutex);
  state().held = true;
}

bool SyncGate::wait_until_held() {
  std::unique_lock lock(state().mutex);
  return state().changed.wait_for(lock, std::chrono::minutes(1), [] { return state().waiting > 0; });
}

void SyncGate::release() {
  const std::scoped_lock lock(state().mutex);
  state().held = false;
  state().changed.notify_all();
}

void SyncGate::fail(int error, int count) {
  const std::scoped_lock lock(state().mutex);
  state().error = error;
  state().failures = count;
}

/// 0: go on to the disk. Otherwise the errno to answer with.
int pass(int file) {
  if (!is_log(file)) return 0;
  State& gate = state();
  std::unique_lock lock(gate.mutex);
  ++gate.waiting;
  gate.changed.notify_all();
  gate.changed.wait(lock, [&] { return !gate.held; });
  --gate.waiting;
  if (gate.failures == 0) return 0;
  --gate.failures;
  return gate.error;
}

}  // namespace postern::storage::test

extern "C" int fdatasync(int file) {
  const int error = postern::storage::test::pass(file);
  if (error == 0) return static_cast<int>(::syscall(SYS_fdatasync, file));
  errno = error;
  return -1;
}
