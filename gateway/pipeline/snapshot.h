#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "filters/policy/policy.h"
#include "gateway/config/config.h"
#include "gateway/delivery/route/routes.h"
#include "gateway/pipeline/credentials.h"
#include "gateway/pipeline/directory.h"
#include "gateway/pipeline/local_lists.h"
#include "gateway/pipeline/login_guard.h"
#include "gateway/pipeline/submission.h"
#include "gateway/tls/client_context.h"
#include "gateway/tls/contexts.h"

namespace postern::pipeline {

/// Everything that a reload swaps, made whole off the reactors and never changed afterwards. Sessions take
/// their terms from the snapshot in force when they begin, transactions from the one in force at MAIL.
struct Snapshot {
  config::Config config;
  Directory directory;                                   ///< who gets mail: domains, accounts, aliases
  delivery::Routes routes;                               ///< where relayed mail goes
  std::shared_ptr<const tls::ClientContext> client_tls;  ///< towards next hops
  LocalLists lists;
  filters::Policy policy;
  filters::Policy own_policy;  ///< for our own users' mail: only what protects the system itself
  std::shared_ptr<const Credentials> credentials;
  Signers signers;
  std::shared_ptr<const tls::Contexts> tls;  ///< null: [tls] enabled = false
};

/// Makes a snapshot from a manifest without problems: loads certificates (making the self-signed one in the
/// store folder when none is configured), compiles lists. Blocking: start-up or a worker. The error is one
/// sentence; warnings are appended.
std::expected<std::shared_ptr<const Snapshot>, std::string> make_snapshot(
    const config::Config& config, std::shared_ptr<tls::TicketKeys> tickets,
    std::vector<std::string>* warnings = nullptr);

/// The snapshot in force. Any thread.
class SnapshotHolder {
 public:
  explicit SnapshotHolder(std::shared_ptr<const Snapshot> first) : current_(std::move(first)) {}
  std::shared_ptr<const Snapshot> get() const { return current_.load(std::memory_order_acquire); }
  void set(std::shared_ptr<const Snapshot> next) {
    current_.store(std::move(next), std::memory_order_release);
  }

  LoginGuard logins;  ///< what a reload must not forget

 private:
  std::atomic<std::shared_ptr<const Snapshot>> current_;
};

}  // namespace postern::pipeline
