#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/reactor/scope.h"
#include "gateway/reactor/socket.h"
#include "gateway/reactor/task.h"
#include "gateway/smtp/client/outbound.h"
#include "gateway/tls/client_context.h"
#include "gateway/tls/engine.h"

namespace postern::delivery {

using smtp::client::AttemptStage;
using smtp::client::OutboundMessage;
using smtp::client::OutboundRecipient;
using smtp::client::RecipientResult;

/// How a route wants its transport protected.
enum class TlsPolicy : std::uint8_t {
  none,  ///< plaintext even where STARTTLS is offered
  /// STARTTLS where offered, any certificate; when the handshake fails, a new connection without (RFC 7435).
  may,
  encrypt,  ///< no mail without TLS; any certificate
  /// No mail without TLS and a certificate that leads to a known authority and holds one of the names.
  verify,
};

struct Credentials {
  std::string user, password;
};

/// One place to deliver to: an address of one host.
struct NextHop {
  /// For SNI, for the certificate's name, for logs; an address in text form when there is no name.
  std::string host_name;
  reactor::Address address;
  bool lmtp = false;
  bool implicit_tls = false;  ///< TLS from the first octet (port 465)
  TlsPolicy tls = TlsPolicy::may;
  /// For verify: one of these must be in the certificate; empty: host_name.
  std::vector<std::string> tls_names;
  std::optional<reactor::Address> source;  ///< ignored for an address of the other family
  /// Given under TLS only. A next hop that takes none of our mechanisms fails the attempt.
  std::optional<Credentials> credentials;
};

/// RFC 5321 §4.5.3.2 as minimums for a client; what is longer there only costs patience.
struct AttemptTimeouts {
  std::chrono::seconds connect{30};
  std::chrono::seconds greeting{300};  ///< §4.5.3.2.1
  std::chrono::seconds hello{300};     ///< as for MAIL
  std::chrono::seconds tls{60};
  std::chrono::seconds mail{300};        ///< §4.5.3.2.2
  std::chrono::seconds rcpt{300};        ///< §4.5.3.2.3
  std::chrono::seconds data_start{120};  ///< §4.5.3.2.4
  std::chrono::seconds data_block{180};  ///< §4.5.3.2.5
  std::chrono::seconds data_end{600};    ///< §4.5.3.2.6
  std::chrono::seconds quit{5};          ///< the reply to QUIT is a courtesy
};

/// What all attempts of one configuration share.
struct AttemptOptions {
  std::string hello_name;                         ///< our name
  std::shared_ptr<const tls::ClientContext> tls;  ///< null: no TLS can be spoken
  AttemptTimeouts timeouts;
};

/// One connection to a next hop, and the transactions on it. One per attempt at a host; kept for further messages while
/// reusable(). Belongs to one task of one core. Every wait has a deadline; cancelling `scope` ends them all.
class Connection {
 public:
  /// `scope` may be null; it must outlive the connection.
  explicit Connection(AttemptOptions options, reactor::Scope* scope = nullptr);
  ~Connection();  ///< checks that close() was awaited
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects, greets, starts TLS and authenticates as the hop asks. The error says what to record for every recipient that was
  /// to go here: temporary, unless the host answered 5xx at a stage where that is its last word.
  reactor::Task<std::expected<void, RecipientResult>> open(NextHop hop);
  /// One transaction. One result for each recipient, in their order. `message` must live until the task is done.
  reactor::Task<std::vector<RecipientResult>> send(const OutboundMessage& message);
  /// Another send() may follow: the connection is open and no reply is owed.
  bool reusable() const;
  /// QUIT where the dialogue allows it, then closes. Idempotent.
  reactor::Task<void> close();

  const NextHop& hop() const;
  std::optional<tls::Established> tls() const;  ///< none: plaintext
  bool tls_verified() const;                    ///< the certificate passed the checks of TlsPolicy::verify
  /// Most recipients the next hop wants in one transaction (RFC 9422 RCPTMAX, else RFC 5321 §4.5.3.1.8), once open.
  std::size_t recipients_max() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::delivery
