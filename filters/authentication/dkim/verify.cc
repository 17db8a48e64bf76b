#include "filters/authentication/dkim/verify.h"

#include <fmt/format.h>

#include "filters/authentication/dkim/key_record.h"
#include "filters/dns.h"

namespace postern::filters::dkim {
namespace {

constexpr std::size_t kValueTextOctets = 8;

bool conclude(SignatureResult& result, Result value, std::string reason) {
  result.result = value;
  result.reason = std::move(reason);
  return true;
}

}  // namespace

std::string_view to_string(Result result) {
  switch (result) {
    case Result::none:
      return "none";
    case Result::pass:
      return "pass";
    case Result::fail:
      return "fail";
    case Result::policy:
      return "policy";
    case Result::neutral:
      return "neutral";
    case Result::temperror:
      return "temperror";
    case Result::permerror:
      return "permerror";
  }
  return "";
}

Verifier::Verifier(const Analysis& analysis) : analysis_(analysis), hashes_(analysis.body()) {
  for (const HeaderField& field : analysis.fields()) {
    if (!same_word(field.name, "DKIM-Signature")) continue;
    Entry& entry = entries_.emplace_back();
    entry.field = &field;
    if (entries_.size() > kSignaturesMax) {
      entry.concluded =
          conclude(entry.result, Result::policy, fmt::format("more than {} signatures", kSignaturesMax));
      continue;
    }
    read(entry);
  }
}

/// RFC 6376 §6.1.1.
void Verifier::read(Entry& entry) {
  const auto parsed = parse_signature(entry.field->value, entry.signature);
  const Signature& signature = entry.signature;
  entry.result.domain = signature.domain;
  entry.result.selector = signature.selector;
  entry.result.identity = signature.identity;
  entry.result.algorithm = signature.algorithm;
  entry.result.value_text = without_blanks(signature.value_text).substr(0, kValueTextOctets);
  if (!parsed) {
    entry.concluded = conclude(entry.result, Result::permerror, parsed.error());
    return;
  }
  if (analysis_.count("From") != 1) {
    entry.concluded = conclude(entry.result, Result::permerror, "the message has not one From field");
    return;
  }
  auto name = key_name(signature.selector, signature.domain);
  if (!name) {
    entry.concluded = conclude(entry.result, Result::permerror, "s= and d= make no name");
    return;
  }
  entry.name = std::move(*name);
}

bool Verifier::body_matches(Entry& entry) {
  if (!entry.body_good) {
    const Signature& signature = entry.signature;
    const auto& hash = hashes_.get(signature.body, crypto::Algorithm::sha256, signature.length);
    const bool long_enough =
        signature.length == BodyHash::kWhole || signature.length <= hash.octets;  // §3.5, l=
    entry.body_good = long_enough && hash.digest == signature.body_hash;
    if (signature.length < hash.octets) entry.result.unsigned_octets = hash.octets - signature.length;
  }
  return *entry.body_good;
}

const std::string& Verifier::header_digest(Entry& entry) {
  if (entry.digest.empty()) {
    std::string text;
    for (const HeaderField* field : select_fields(analysis_.fields(), entry.signature.names))
      append_field(text, *field, entry.signature.header);
    append_signature_field(text, *entry.field, entry.signature.header);
    entry.digest = crypto::digest(crypto::Algorithm::sha256, text);
  }
  return entry.digest;
}

/// §6.1.2, §6.1.3. False: the key is not known yet.
bool Verifier::check(Entry& entry, Facts& facts, std::chrono::sys_seconds now) {
  SignatureResult& result = entry.result;
  const Answer* answer = facts.ask(dns::txt(entry.name));
  if (answer == nullptr) return false;
  if (answer->failed())
    return conclude(result, Result::temperror, fmt::format("key: {}", to_string(answer->status)));
  if (answer->records.empty()) return conclude(result, Result::permerror, "no key for signature");
  // §3.6.2.2 leaves several records undefined: the first that is a key counts.
  std::expected<KeyRecord, std::string> key = std::unexpected(std::string());
  for (const std::string& record : answer->records) {
    key = parse_key_record(record);
    if (key) break;
  }
  if (!key) return conclude(result, Result::permerror, key.error());
  result.key_bits = key->key->bits();
  result.testing = key->testing;
  const Signature& signature = entry.signature;
  if (key->type != signature.key_type)
    return conclude(result, Result::permerror, "key type and algorithm differ");
  if (key->strict_identity &&
      !same_word(signature.identity.substr(signature.identity.rfind('@') + 1), signature.domain)) {
    return conclude(result, Result::permerror, "i= is a subdomain, which the key forbids (t=s)");
  }
  if (signature.expires_at && static_cast<std::uint64_t>(std::max<std::int64_t>(
                                  now.time_since_epoch().count(), 0)) > *signature.expires_at) {
    return conclude(result, Result::permerror, "signature expired");
  }
  if (!body_matches(entry)) return conclude(result, Result::fail, std::string(kBodyDiffers));
  if (!entry.value_good) entry.value_good = key->key->verify(header_digest(entry), signature.value);
  if (!*entry.value_good) return conclude(result, Result::fail, std::string(kSignatureDiffers));
  return conclude(result, Result::pass, "");
}

void Verifier::hash_bodies() {
  for (Entry& entry : entries_)
    if (!entry.concluded) (void)body_matches(entry);
}

std::optional<std::vector<SignatureResult>> Verifier::verify(Facts& facts, std::chrono::sys_seconds now) {
  bool pending = false;
  for (Entry& entry : entries_) {
    if (!entry.concluded) entry.concluded = check(entry, facts, now);
    pending |= !entry.concluded;
  }
  if (pending) return std::nullopt;
  std::vector<SignatureResult> results;
  results.reserve(entries_.size());
  for (const Entry& entry : entries_) results.push_back(entry.result);
  return results;
}

}  // namespace postern::filters::dkim
