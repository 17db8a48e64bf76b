#pragma once

// Inside this module only: what a Contexts holds.
#include <unordered_map>

#include "gateway/tls/contexts.h"
#include "gateway/tls/openssl.h"

namespace postern::tls {

/// A host name in lower case without its final dot; empty when it has other octets than letters, digits, '-',
/// '_' and '.', so that what a stranger sends is fit for a log line and a Received field.
std::string normal_host_name(std::string_view name);

class Contexts::Impl {
 public:
  /// The context for a name that normal_host_name() gave; null when no certificate has it.
  SSL_CTX* find(const std::string& name) const;
  SSL_CTX* first() const { return contexts.front().get(); }

  std::shared_ptr<TicketKeys>
      keys;  // shared with the snapshots before and after this one; the contexts point into it
  std::vector<SslContextPtr> contexts;
  std::vector<CertificateInfo> certificates;
  std::unordered_map<std::string, SSL_CTX*> by_name;
  std::unordered_map<std::string, SSL_CTX*> by_parent;  // "*.mail.example" under "mail.example"
};

}  // namespace postern::tls
