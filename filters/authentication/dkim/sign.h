#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/crypto/public_key.h"
#include "filters/authentication/dkim/canonical.h"
#include "filters/message/analysis.h"

namespace postern::filters::dkim {

/// How mail of one domain is signed.
struct SigningRules {
  std::string domain, selector;  ///< d=, s=; normal form
  std::string identity;          ///< i=; empty: left out
  Canonical header = Canonical::relaxed, body = Canonical::relaxed;
  std::optional<std::chrono::seconds> lifetime;  ///< x= this long after t=
  /// Fields to sign where present. Each is named once more than it occurs, so that none can be added (§8.15); From always is.
  std::vector<std::string> names = default_names();
  static std::vector<std::string> default_names();
};

/// A DKIM-Signature field for the message, folded, with its line end, to be put on top (RFC 6376 §5). Errors: no or several
/// From fields, or the key refused.
std::expected<std::string, std::string> sign(const Analysis& analysis, const SigningRules& rules,
                                             const crypto::PrivateKey& key, std::chrono::sys_seconds now);

/// The TXT record that publishes the key: "v=DKIM1; k=rsa; p=…".
std::string key_record(const crypto::PrivateKey& key);

}  // namespace postern::filters::dkim
