#include "gateway/serve/administration.h"

#include <utility>

namespace postern::serve {
namespace {

/// Nobody sends anything to the metrics port.
constexpr std::size_t kMetricsBodyOctetsMax = 0;

admin::ServerLimits metrics_limits() {
  admin::ServerLimits limits;
  limits.body_octets_max = kMetricsBodyOctetsMax;
  return limits;
}

admin::Response text(unsigned status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

}  // namespace

Administration::Administration(AdministrationServices services)
    : services_(std::move(services)),
      api_(services_.control),
      control_server_([this](const admin::Request& request) { return api_.handle(request); },
                      admin::ServerLimits()),
      metrics_server_([this](const admin::Request& request) { return health(request); }, metrics_limits()) {}

std::expected<void, reactor::Error> Administration::bind(const reactor::Address& control,
                                                         const reactor::Address& metrics) {
  reactor::ListenOptions options;
  options.reuse_port = false;
  options.unix_mode = kControlMode;
  auto bound = control_.bind(control, options);
  if (!bound) return std::unexpected(std::move(bound.error()).with("control socket"));
  if (metrics == reactor::Address()) return {};
  bound = metrics_.bind(metrics, options);
  if (!bound) return std::unexpected(std::move(bound.error()).with("metrics"));
  has_metrics_ = true;
  return {};
}

void Administration::serve(reactor::Scope& scope) {
  scope.spawn(control_server_.serve(control_, scope));
  if (has_metrics_) scope.spawn(metrics_server_.serve(metrics_, scope));
}

reactor::Task<void> Administration::close() {
  co_await control_.close();
  co_await metrics_.close();  // nothing, where it is off
}

reactor::Task<admin::Response> Administration::health(const admin::Request& request) {
  const bool known = request.path == "/metrics" || request.path == "/healthz" || request.path == "/readyz";
  if (!known) co_return admin::error_response(404, "here are /metrics, /healthz and /readyz");
  if (request.method != "GET") {
    admin::Response response = admin::error_response(405, "allowed: GET, HEAD");
    response.allow = "GET, HEAD";
    co_return response;
  }
  if (request.path == "/healthz") co_return text(200, "ok\n");
  if (request.path == "/readyz") {
    const std::string reason = services_.not_ready();
    if (!reason.empty()) co_return text(503, reason + "\n");
    co_return text(200, "ready\n");
  }
  admin::Response response = text(200, {});
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  // Some figures are read from /proc, which may take milliseconds with many descriptors.
  auto work = [this, &response] { response.body = services_.metrics.render(); };
  auto ran = co_await services_.control.workers.run(std::move(work));
  if (!ran) co_return admin::error_response(503, "too many requests at once");
  co_return response;
}

}  // namespace postern::serve
