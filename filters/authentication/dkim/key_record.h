#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "filters/authentication/crypto/public_key.h"

namespace postern::filters::dkim {

/// A key record of RFC 6376 §3.6.1, as far as a signature of mail needs it.
struct KeyRecord {
  crypto::KeyType type = crypto::KeyType::rsa;  ///< k=
  std::shared_ptr<const crypto::PublicKey> key;
  bool testing = false;          ///< t=y
  bool strict_identity = false;  ///< t=s: the domain of i= must equal d=
};

inline constexpr std::size_t kKeyRecordOctetsMax = 16'384;

/// The error is a sentence part fit for reason=: "key revoked (p= is empty)". Errors are permanent.
std::expected<KeyRecord, std::string> parse_key_record(std::string_view text);

}  // namespace postern::filters::dkim
