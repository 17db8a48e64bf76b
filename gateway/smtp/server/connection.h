#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/proxy/header.h"
#include "gateway/reactor/scope.h"
#include "gateway/smtp/server/admission.h"
#include "gateway/smtp/server/figures.h"
#include "gateway/smtp/server/handler.h"
#include "gateway/smtp/server/server.h"
#include "gateway/smtp/session.h"
#include "gateway/stream/stream.h"

namespace postern::smtp {

/// From a proxy's connection to the end of its header; it sends it at once (haproxy proxy-protocol.txt §2).
inline constexpr std::chrono::seconds kProxyHeaderTimeout{5};
/// For the whole handshake, the wait for its slots included.
inline constexpr std::chrono::seconds kHandshakeTimeout{30};
/// For the last words to a client that we leave.
inline constexpr std::chrono::seconds kFarewellTimeout{3};
/// Replies gathered beyond this are sent before the house is asked again.
inline constexpr std::size_t kOutputOctetsMax = 16384;

/// What the connections of one server have in common. Its core's thread only.
struct ServerContext {
  std::size_t listener;
  std::string name;
  House& house;
  ServerShared shared;
  Figures figures;
  reactor::Scope scope = {};  ///< of every connection's task and socket
  bool draining = false;
  bool cancelled = false;
};

/// One client's visit, from the accepted descriptor to the log line. The session decides and the house
/// judges; this only carries. While the client is idle nothing but this object, its frames and its socket is
/// held: no buffer.
class Connection final : private ReplyObserver {
 public:
  Connection(ServerContext& server, const reactor::Accepted& accepted);
  ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// To be called once. The connection may go when it has finished.
  reactor::Task<void> run();
  /// The server has begun to drain: a wait that may end now does.
  void drain() noexcept;

 private:
  // arrival.cc: what comes before the dialogue. False: the visit ends here, and why is noted.
  reactor::Task<bool> arrive();
  reactor::Task<bool> read_proxy_header(std::string& rest);
  bool take_proxy_header(const proxy::Header& header);
  reactor::Task<void> turn_away(Admission::Answer answer, bool speaks_tls);
  reactor::Task<bool> secure(std::string already_received);
  reactor::Task<bool> watch_for_early_talk(std::chrono::milliseconds delay);

  // connection.cc: the dialogue.
  reactor::Task<void> converse();
  reactor::Task<bool> flush();
  reactor::Task<void> ask(Stage stage);
  reactor::Task<void> ask_at_connect();
  reactor::Task<void> ask_about_message();
  reactor::Task<bool> start_tls();
  reactor::Task<void> say_farewell();
  VisitFacts facts() const { return {*session_, tls_.get(), early_talker_}; }
  bool leave_now();
  bool goes_on(const reactor::Error& error);
  void note_forgotten_transaction();
  void end(std::string_view cause) {
    if (cause_.empty()) cause_ = cause;
  }
  void end(const reactor::Error& error);
  void replied(Verb verb, std::string_view reply) override { server_.figures.replied(verb, reply); }

  // session_line.cc.
  void write_line();
  bool is_health_check() const;

  ServerContext& server_;
  stream::Stream stream_;
  Arrival arrival_;
  std::optional<Session> session_;
  std::unique_ptr<Visit> visit_;
  std::shared_ptr<const tls::Contexts> contexts_;
  std::unique_ptr<tls::Established> tls_;
  std::string cause_;  ///< why the visit ended: a name of a closed set; the first one counts
  std::string error_;  ///< the text behind it, when there is one
  reactor::Deadline started_, session_end_;
  std::chrono::seconds send_timeout_{0};
  filters::Ip admitted_as_;  ///< XCLIENT does not move a connection from one network's count to another's
  bool admitted_ = false, behind_proxy_ = false, silent_peer_ = false;
  bool early_talker_ = false, early_talker_refused_ = false, log_addresses_ = true;
  bool transaction_open_ = false;
  bool may_interrupt_ = false;  ///< a receive waits that a drain may end
  bool abortive_ = false;
};

/// Unique in this process, and nearly so for ever: twelve letters and digits, beginning with the time.
std::string next_session_id();

}  // namespace postern::smtp
