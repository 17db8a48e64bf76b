#pragma once

#include <string>
#include <vector>

#include "gateway/delivery/runner/runner.h"
#include "gateway/pipeline/pipeline.h"
#include "gateway/reactor/reactor.h"

namespace postern::delivery {

/// The runners of all cores as the others see them: a destination belongs to one core, and what is said of it is
/// posted there.
class Runners final : public pipeline::Outbound {
 public:
  explicit Runners(unsigned cores) : runners_(cores), reactors_(cores) {}

  /// Each core's own, before it serves; both outlive whoever calls the functions below.
  void attach(unsigned core, Runner& runner, reactor::Reactor& reactor);

  /// Any thread.
  void queued(const std::string& destination, std::uint8_t priority, std::uint64_t due_ms) override;
  void kick(const std::string& destination);
  /// Every core looks at the store anew.
  void kick_all();

 private:
  std::vector<Runner*> runners_;
  std::vector<reactor::Reactor*> reactors_;
};

}  // namespace postern::delivery
