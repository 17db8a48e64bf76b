#include "filters/authentication/dkim/key_record.h"

#include <algorithm>

#include "filters/authentication/crypto/base64.h"
#include "filters/authentication/dkim/tag_list.h"

namespace postern::filters::dkim {

std::expected<KeyRecord, std::string> parse_key_record(std::string_view text) {
  if (text.size() > kKeyRecordOctetsMax) return std::unexpected("key record too long");
  const auto tags = TagList::parse(text);
  if (!tags) return std::unexpected("key record syntax: expected " + tags.error().rule);
  if (const auto version = tags->find("v")) {
    if (*version != "DKIM1" || tags->tags().front().name != "v")
      return std::unexpected("key record version is not DKIM1");
  }
  KeyRecord record;
  const std::string_view type = tags->find("k").value_or("rsa");
  if (type == "ed25519") {
    record.type = crypto::KeyType::ed25519;  // RFC 8463 §4
  } else if (type != "rsa") {
    return std::unexpected("key type unknown (k=)");
  }
  const auto lists = [&](std::string_view tag, std::string_view word) {
    const auto value = tags->find(tag);
    if (!value) return false;
    const auto list = colon_list(*value);
    return std::ranges::find(list, word) != list.end();
  };
  // RFC 8301 §3.1 leaves only SHA-256.
  if (tags->find("h") && !lists("h", "sha256")) return std::unexpected("hash not allowed by the key (h=)");
  if (tags->find("s") && !lists("s", "*") && !lists("s", "email"))
    return std::unexpected("key not for email (s=)");
  record.testing = lists("t", "y");
  record.strict_identity = lists("t", "s");
  const auto published = tags->find("p");
  if (!published) return std::unexpected("key record without p=");
  const auto octets = crypto::decode_base64(*published);
  if (!octets) return std::unexpected("key is no base64 (p=)");
  if (octets->empty()) return std::unexpected("key revoked (p= is empty)");
  auto key = crypto::PublicKey::parse(record.type, *octets);
  if (!key) return std::unexpected(std::move(key.error()));
  record.key = std::move(*key);
  return record;
}

}  // namespace postern::filters::dkim
