#pragma once

#include <optional>
#include <string>

#include "filters/ip.h"
#include "gateway/pipeline/core.h"
#include "gateway/smtp/sasl/exchange.h"
#include "gateway/smtp/server/handler.h"

namespace postern::pipeline {

inline constexpr std::string_view kMechanisms = "PLAIN LOGIN SCRAM-SHA-256";

/// AUTH on one visit: the mechanism's machine, the account's secret, throttling. Its core's thread; passwords are compared on a worker.
class Login {
 public:
  /// Wrong passwords on one connection; then it ends.
  static constexpr unsigned kFailuresMax = 3;

  Login(Core& core, const smtp::Arrival& arrival) : core_(core), arrival_(arrival) {}

  reactor::Task<smtp::Decision> step(const smtp::AuthInput& input, std::shared_ptr<const Snapshot> snapshot);
  /// The account's address in normal form, once AUTH has succeeded; else empty.
  const std::string& account() const { return account_; }
  bool succeeded() const { return !account_.empty(); }

 private:
  reactor::Task<smtp::Decision> go_on(smtp::sasl::Step step, const Snapshot& snapshot);
  reactor::Task<smtp::Decision> check_password(smtp::sasl::CheckPassword given, const Snapshot& snapshot);
  smtp::sasl::Step look_up(const std::string& user, const Snapshot& snapshot);
  smtp::Decision welcome(const std::string& account);
  smtp::Decision fail(const std::string& account);
  smtp::Decision refuse(smtp::Reply reply, std::string_view why);

  Core& core_;
  const smtp::Arrival& arrival_;
  std::optional<smtp::sasl::Exchange> exchange_;
  std::string account_, proving_;  ///< proving_: whom SCRAM is about
  unsigned failures_ = 0;
};

}  // namespace postern::pipeline
