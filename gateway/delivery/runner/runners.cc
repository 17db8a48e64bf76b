#include "gateway/delivery/runner/runners.h"

namespace postern::delivery {

void Runners::attach(unsigned core, Runner& runner, reactor::Reactor& reactor) {
  runners_[core] = &runner;
  reactors_[core] = &reactor;
}

void Runners::queued(const std::string& destination, std::uint8_t priority, std::uint64_t due_ms) {
  const unsigned core = Runner::core_of(destination, static_cast<unsigned>(runners_.size()));
  reactors_[core]->post([runner = runners_[core], destination, priority, due_ms] {
    runner->queued(destination, priority, due_ms);
  });
}

void Runners::kick(const std::string& destination) {
  const unsigned core = Runner::core_of(destination, static_cast<unsigned>(runners_.size()));
  reactors_[core]->post([runner = runners_[core], destination] { runner->kick(destination); });
}

void Runners::kick_all() {
  for (std::size_t core = 0; core < runners_.size(); ++core)
    reactors_[core]->post([runner = runners_[core]] { runner->kick({}); });
}

}  // namespace postern::delivery
