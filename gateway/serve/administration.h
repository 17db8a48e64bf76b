#pragma once

#include <expected>
#include <functional>
#include <string>

#include "gateway/admin/server.h"
#include "gateway/control/api.h"
#include "gateway/metrics/metrics.h"
#include "gateway/reactor/socket.h"

namespace postern::serve {

/// What the two ports show of the program. Everything outlives the Administration.
struct AdministrationServices {
  control::ApiServices control;
  metrics::Registry& metrics;
  std::function<std::string()> not_ready;  ///< why not, "" when ready; quick, any thread
};

/// The control socket, and the port with /metrics, /healthz and /readyz. Lives on one reactor's thread.
class Administration {
 public:
  static constexpr unsigned kControlMode = 0660;

  explicit Administration(AdministrationServices services);

  /// `metrics`: the default address means off.
  std::expected<void, reactor::Error> bind(const reactor::Address& control, const reactor::Address& metrics);
  /// Starts serving in the scope; ends with it.
  void serve(reactor::Scope& scope);
  reactor::Task<void> close();

 private:
  reactor::Task<admin::Response> health(const admin::Request& request);

  AdministrationServices services_;
  control::Api api_;
  admin::Server control_server_, metrics_server_;
  reactor::Listener control_, metrics_;
  bool has_metrics_ = false;
};

}  // namespace postern::serve
