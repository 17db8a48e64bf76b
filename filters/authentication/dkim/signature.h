#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/crypto/public_key.h"
#include "filters/authentication/dkim/body_hash.h"
#include "filters/authentication/dkim/tag_list.h"

namespace postern::filters::dkim {

/// A DKIM-Signature field (RFC 6376 §3.5), or the part of it that an ARC-Message-Signature shares. Views into the field's value.
struct Signature {
  crypto::KeyType key_type = crypto::KeyType::rsa;
  std::string algorithm;  ///< "rsa-sha256"
  Canonical header = Canonical::simple, body = Canonical::simple;
  std::string value;                                   ///< b=, decoded
  std::string body_hash;                               ///< bh=, decoded
  std::string domain;                                  ///< d=, as written
  std::string selector;                                ///< s=, as written
  std::string identity;                                ///< i=; "@d" when absent
  std::vector<std::string_view> names;                 ///< h=
  std::uint64_t length = BodyHash::kWhole;             ///< l=
  std::optional<std::uint64_t> signed_at, expires_at;  ///< t=, x=: seconds since 1970
  std::string_view value_text;                         ///< b= as written, for header.b of RFC 8601 §2.7.1
};

inline constexpr std::size_t kSignedNamesMax = 1000;

/// What could be read is in `out` even after an error, so that a report can name d= and s=.
std::expected<void, std::string> parse_signature(std::string_view value, Signature& out);

/// What an ARC-Message-Signature has in common: a b bh c d h l s t x. `wants_from`: h= must name From.
std::expected<void, std::string> read_common_tags(const TagList& tags, Signature& out,
                                                  bool wants_from = true);
/// What an ARC-Seal has in common: a b d s t.
std::expected<void, std::string> read_seal_tags(const TagList& tags, Signature& out);

/// d= and s= as a name to ask for, A-labels (RFC 8616 §3), or nothing when they make none.
std::optional<std::string> key_name(std::string_view selector, std::string_view domain);

}  // namespace postern::filters::dkim
