#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "filters/envelope.h"
#include "gateway/reactor/reactor.h"

namespace postern::control {

/// As whose mail a message is to be judged; texts as a person typed them. Empty: not known.
struct ScanParameters {
  std::string ip, helo, mail_from;
  std::vector<std::string> rcpt;
};

/// The envelope of such a transaction; the addresses in normal form. The error is a sentence that names the parameter.
std::expected<filters::Envelope, std::string> scan_envelope(const ScanParameters& parameters,
                                                            std::string_view hostname, reactor::UtcTime now);

/// Files hold messages with LF; the wire has CRLF (RFC 5321 §2.3.8). A text without any CR is taken for a file.
std::string as_received(std::string message);

/// An address in the form that names mailboxes. The error is a sentence: it is no address.
std::expected<std::string, std::string> mailbox_key(std::string_view address);

}  // namespace postern::control
