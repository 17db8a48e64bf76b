// The log line of a visit: one for each connection, also for those that were turned away.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/smtp/server/connection.h"

namespace postern::smtp {
namespace {

/// "RCPT TO:<a@x.example> -> 550 5.1.1 No such address a@x.example" becomes "RCPT -> 550 5.1.1".
std::string without_arguments(std::string_view refusal) {
  constexpr std::string_view kArrow = " -> ";
  constexpr std::size_t kCodeWords = 2;
  const std::size_t arrow = refusal.rfind(kArrow);
  const bool has_command = arrow != std::string_view::npos;
  std::string result;
  if (has_command) {
    result = refusal.substr(0, std::min(arrow, refusal.find(' ')));
    result += kArrow;
    refusal.remove_prefix(arrow + kArrow.size());
  }
  std::size_t end = 0;
  for (std::size_t word = 0; word < kCodeWords && end != std::string_view::npos; ++word)
    end = refusal.find(' ', word == 0 ? 0 : end + 1);
  return result += refusal.substr(0, end);
}

}  // namespace

/// Monitoring and load balancers connect every few seconds, say nothing or QUIT, and are no news.
bool Connection::is_health_check() const {
  if (silent_peer_) return true;
  if (!session_ || (cause_ != "quit" && cause_ != "disconnect")) return false;
  const SessionCounts& counts = session_->counts();
  return counts.transactions == 0 && counts.errors == 0 && session_->last_refusal().empty() && !early_talker_;
}

void Connection::write_line() {
  const log::Level level = is_health_check() ? log::Level::debug : log::Level::info;
  log::Logger& logger = server_.shared.logger;
  if (!logger.enabled(level)) return;
  const ClientInfo& client = session_ ? session_->client() : arrival_.client;
  const auto duration =
      std::chrono::duration_cast<std::chrono::milliseconds>(reactor::Reactor::current().now() - started_);

  log::Line line(level, "session");  // field() adds to it in place
  std::move(line)
      .field("sid", arrival_.session_id)
      .field("listener", server_.name)
      .field("ip", client.ip.text())
      .field("port", unsigned{client.port});
  if (behind_proxy_) std::move(line).field("proxy", stream_.socket().peer().text());
  if (session_) {
    const SessionCounts& counts = session_->counts();
    std::move(line)
        .field("ptr", client.name)
        .field("helo", session_->helo())
        .field("tls", tls_ ? tls_->version : std::string())
        .field("cipher", tls_ ? tls_->cipher : std::string())
        .field("protocol", session_->protocol_name())
        .field("commands", counts.commands)
        .field("errors", counts.errors)
        .field("transactions", counts.transactions)
        .field("accepted", counts.accepted)
        .field("recipients", counts.recipients)
        .field("refused_recipients", counts.refused_recipients)
        .field("octets_in", counts.octets_in)
        .field("octets_out", counts.octets_out);
    if (counts.bare_line_endings > 0) std::move(line).field("bare_line_endings", counts.bare_line_endings);
    if (early_talker_) std::move(line).field("early_talker", true);
    if (session_->pipelined_early()) std::move(line).field("pipelined_early", true);
    if (session_->xclient_used()) std::move(line).field("xclient", true);
    if (const std::string& refusal = session_->last_refusal(); !refusal.empty())
      std::move(line).field("last_refusal", log_addresses_ ? refusal : without_arguments(refusal));
  }
  std::move(line).field("cause", cause_);
  if (!error_.empty()) std::move(line).field("error", error_);
  logger.write(std::move(line).field("duration_ms", std::int64_t{duration.count()}));
}

}  // namespace postern::smtp
