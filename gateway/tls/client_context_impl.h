#pragma once

// Inside this module only: what a ClientContext holds.
#include "gateway/tls/client_context.h"
#include "gateway/tls/openssl.h"

namespace postern::tls {

class ClientContext::Impl {
 public:
  /// A connection about to begin; null when OpenSSL has no memory, or proof is demanded for no name at all.
  SslPtr start(const ClientTerms& terms) const;

  SslContextPtr proven, unproven;
};

}  // namespace postern::tls
