#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "gateway/reactor/reactor.h"

namespace postern::test {

/// A reactor small enough to be made for every test.
inline reactor::ReactorOptions small_reactor() {
  reactor::ReactorOptions options;
  options.submission_entries = 64;
  options.completion_entries = 1024;
  options.buffers = 64;
  options.buffer_octets = 16384;
  return options;
}

/// Makes a reactor on the calling thread, runs the task to its end, and takes the reactor down. The task may use everything
/// of gateway/reactor, Reactor::current() included; what it opened it must have closed, which the reactor checks.
inline void run(reactor::Task<void> task, const reactor::ReactorOptions& options = small_reactor()) {
  auto made = reactor::Reactor::create(options);
  ASSERT_TRUE(made.has_value()) << made.error().text();
  made.value()->run(std::move(task));
}

}  // namespace postern::test
