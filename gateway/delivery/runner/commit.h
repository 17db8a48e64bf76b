#pragma once

#include <expected>

#include "gateway/reactor/reactor.h"
#include "storage/store.h"

namespace postern::delivery {

/// The door back from the commit thread: the waiting task resumes on its own core. The store calls done() exactly
/// once for each update that it took.
class Commit final : public storage::Completion {
 public:
  Commit() : reactor_(reactor::Reactor::current()) {}
  void done(const std::expected<void, storage::Error>& result) noexcept override {
    result_ = result;
    reactor_.post([this] { event_.open(); });  // the last touch from that thread
  }
  reactor::Task<void> wait() { return event_.wait(); }
  const std::expected<void, storage::Error>& result() const { return result_; }

 private:
  reactor::Reactor& reactor_;
  reactor::Event event_;
  std::expected<void, storage::Error> result_;
};

}  // namespace postern::delivery
