#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "filters/ip.h"

namespace postern::filters {

/// What the connection's TLS was, as far as anyone later may ask. Empty version: plaintext.
struct TlsFacts {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
  std::string server_name;  ///< SNI the client sent
  bool active() const { return !version.empty(); }
};

/// Who says what about a message before its first octet: the client and MAIL/RCPT. A plain value: no socket,
/// no clock. Addresses are in normal form: local part unquoted where it may be, domain in lower case, no
/// angle brackets.
struct Envelope {
  std::string id;              ///< the transaction's id as quoted in our 250
  std::string receiving_host;  ///< our name (manifest `hostname`)
  Ip client_ip;                ///< after PROXY/XCLIENT; empty on a Unix socket
  std::string client_name;     ///< verified reverse name, or empty
  std::string helo;            ///< argument of EHLO/HELO/LHLO as sent
  std::string protocol;        ///< RFC 3848 with keyword: SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP, UTF8SMTPS …
  TlsFacts tls;
  std::string mail_from;  ///< empty: null reverse-path
  std::vector<std::string> recipients;
  bool smtputf8 = false;         ///< SMTPUTF8 was given at MAIL (RFC 6531 §3.4)
  bool early_talker = false;     ///< spoke before our greeting
  bool pipelined_early = false;  ///< pipelined commands before EHLO announced PIPELINING (RFC 2920 §3.1)
  std::chrono::sys_time<std::chrono::milliseconds> received_at{};

  /// Whether the client's address says something about the sender: on a Unix socket there is none, and in LMTP
  /// the client is a server of our own house.
  bool client_counts() const;
};

/// The domain of an address in normal form: what follows the last '@', or "".
std::string_view domain_of(std::string_view address);
/// The local part: what precedes the last '@', or all of it.
std::string_view local_part_of(std::string_view address);
/// Whether it is the postmaster's, who must be within everybody's reach (RFC 5321 §4.5.1): the local part in any case of letters,
/// with or without a domain.
bool is_postmaster(std::string_view address);
/// Whether the message is for postmasters and nobody else.
bool for_postmaster_only(const Envelope& envelope);

}  // namespace postern::filters
