#include "gateway/check/dkim.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "filters/authentication/crypto/base64.h"
#include "filters/authentication/dkim/key_record.h"
#include "filters/authentication/dkim/signature.h"
#include "filters/dns.h"

namespace postern::check {
namespace {

using control::Json;
using filters::HeaderField;
using filters::dkim::Result;
using filters::dkim::SignatureResult;

/// RFC 8301 §3.2 wants signers to use no less.
constexpr unsigned kRsaBitsWanted = 2048;

std::string joined(const std::vector<std::string_view>& names) {
  std::string out;
  for (const std::string_view name : names) {
    if (!out.empty()) out += ':';
    out += name;
  }
  return out;
}

class Signatures {
 public:
  Signatures(const filters::Analysis& analysis, const std::vector<SignatureResult>& results,
             const filters::Facts& facts)
      : analysis_(analysis), hashes_(analysis.body()), results_(results), facts_(facts) {}

  Report run() {
    std::size_t index = 0;
    Json all = Json::array();
    report_.lines.push_back(
        fmt::format("DKIM: {} signature{}", results_.size(), results_.size() == 1 ? "" : "s"));
    for (const HeaderField& field : analysis_.fields()) {
      if (!filters::dkim::same_word(field.name, "DKIM-Signature") || index >= results_.size()) continue;
      all.push_back(tell(field, results_[index], index + 1));
      ++index;
      if (index == filters::dkim::kSignaturesMax) break;  // the rest was not looked at, and is all alike
    }
    if (results_.size() > filters::dkim::kSignaturesMax)
      report_.lines.push_back(fmt::format("  {} more signatures are not looked at",
                                          results_.size() - filters::dkim::kSignaturesMax));
    if (results_.empty())
      report_.advice.emplace_back(
          "The message bears no DKIM signature. Its sender should sign with a key of the domain in From.");
    if (analysis_.count("From") != 1)
      report_.advice.push_back(
          fmt::format("The message has {} From fields; signatures of such a message speak for nobody "
                      "(RFC 6376 §8.15).",
                      analysis_.count("From")));
    report_.json = {{"check", "dkim"}, {"result", to_string(best())}, {"signatures", std::move(all)}};
    report_.temporary = best() == Result::temperror;
    return std::move(report_);
  }

 private:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    report_.lines.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Result best() const {
    Result best = Result::none;
    for (const SignatureResult& result : results_) {
      if (result.result == Result::pass) return Result::pass;
      if (best == Result::none || result.result == Result::temperror) best = result.result;
    }
    return best;
  }

  Json tell(const HeaderField& field, const SignatureResult& result, std::size_t number) {
    filters::dkim::Signature signature;
    const auto parsed = filters::dkim::parse_signature(field.value, signature);
    Json json = {{"result", to_string(result.result)}};
    if (!result.reason.empty()) json["reason"] = result.reason;
    json.update(
        {{"d", result.domain}, {"s", result.selector}, {"i", result.identity}, {"a", result.algorithm}});
    line("");
    line("Signature {}  {}{}", number, to_string(result.result),
         result.reason.empty() ? "" : fmt::format(": {}", result.reason));
    line("  says      d={} s={} a={} i={}", result.domain, result.selector, result.algorithm,
         result.identity);
    if (parsed) {
      tell_times(signature, json);
      tell_signed(signature, json);
      tell_body(signature, json);
      tell_key(signature, result, json);
    }
    if (std::string advice = dkim_advice(result, facts_); !advice.empty())
      report_.advice.push_back(std::move(advice));
    if (result.result == Result::pass && result.key_bits != 0 &&
        signature.key_type == filters::crypto::KeyType::rsa && result.key_bits < kRsaBitsWanted)
      report_.advice.push_back(
          fmt::format("{}: the key of selector {} has {} bits; signers should use {} (RFC 8301 §3.2).",
                      result.domain, result.selector, result.key_bits, kRsaBitsWanted));
    return json;
  }

  void tell_times(const filters::dkim::Signature& signature, Json& json) {
    if (signature.signed_at) json["t"] = *signature.signed_at;
    if (signature.expires_at) json["x"] = *signature.expires_at;
    if (signature.signed_at || signature.expires_at)
      line("  time      {}{}",
           signature.signed_at ? fmt::format("signed {}", when(*signature.signed_at)) : "",
           signature.expires_at ? fmt::format("  expires {}", when(*signature.expires_at)) : "");
  }

  static std::string when(std::uint64_t seconds) {
    constexpr std::uint64_t kYear9999 = 253'402'300'799;
    if (seconds > kYear9999) return fmt::format("{} s after 1970", seconds);
    return control::timestamp(std::chrono::sys_seconds(std::chrono::seconds(seconds)));
  }

  void tell_signed(const filters::dkim::Signature& signature, Json& json) {
    json["c"] = fmt::format("{}/{}", filters::dkim::to_string(signature.header),
                            filters::dkim::to_string(signature.body));
    json["h"] = joined(signature.names);
    line("  signs     {}", cut(joined(signature.names)));
    for (const char* name : {"Subject", "To", "Date"}) {
      const bool there = analysis_.find(name) != nullptr;
      const bool covered = std::ranges::any_of(
          signature.names, [&](std::string_view one) { return filters::dkim::same_word(one, name); });
      if (there && !covered) line("            {} is not signed: anybody could have changed it", name);
    }
  }

  void tell_body(const filters::dkim::Signature& signature, Json& json) {
    const auto& hash = hashes_.get(signature.body, filters::crypto::Algorithm::sha256, signature.length);
    const bool matches = hash.digest == signature.body_hash;
    json["bh"] = filters::crypto::encode_base64(signature.body_hash);
    json["body_hash"] = filters::crypto::encode_base64(hash.digest);
    json["body_matches"] = matches;
    line("  body      bh={}, and the body hashes to {}: {}", json["bh"].get<std::string>(),
         json["body_hash"].get<std::string>(), matches ? "the same" : "another");
    if (signature.length == filters::dkim::BodyHash::kWhole) return;
    json["l"] = signature.length;
    line("  length    l={} of {} octets are signed; whatever follows may be anybody's (RFC 6376 §8.2)",
         signature.length, hash.octets);
  }

  void tell_key(const filters::dkim::Signature& signature, const SignatureResult& result, Json& json) {
    const auto name = filters::dkim::key_name(signature.selector, signature.domain);
    if (!name) return;
    json["key_name"] = *name;
    const filters::Question question = filters::dns::txt(*name);
    const filters::Answer* answer = facts_.find(question);
    if (answer == nullptr) return;
    line("  key       {}", described(question, answer));
    if (answer->records.empty()) return;
    const auto key = filters::dkim::parse_key_record(answer->records.front());
    json["key"] = {{"record", answer->records.front()}};
    if (!key) {
      json["key"]["error"] = key.error();
      line("            {}", key.error());
      return;
    }
    json["key"].update({{"bits", result.key_bits}, {"testing", key->testing}});
    line("            {}, {} bits{}", key->type == filters::crypto::KeyType::rsa ? "RSA" : "Ed25519",
         key->key->bits(), key->testing ? ", t=y: testing" : "");
  }

  const filters::Analysis& analysis_;
  filters::dkim::BodyHashes hashes_;
  const std::vector<SignatureResult>& results_;
  const filters::Facts& facts_;
  Report report_;
};

}  // namespace

std::string dkim_advice(const SignatureResult& result, const filters::Facts& facts) {
  const std::string whose = fmt::format("{}, selector {}", result.domain, result.selector);
  const auto name = filters::dkim::key_name(result.selector, result.domain);
  const filters::Question question = filters::dns::txt(name.value_or(""));
  const filters::Answer* answer = name ? facts.find(question) : nullptr;
  switch (result.result) {
    case Result::pass:
    case Result::none:
    case Result::neutral:
      return {};
    case Result::policy:
      return fmt::format("Only the first {} signatures are looked at.", filters::dkim::kSignaturesMax);
    case Result::temperror:
      return answer != nullptr ? trouble_advice(question, *answer)
                               : fmt::format("{}: {}", whose, result.reason);
    case Result::fail:
      if (result.reason == filters::dkim::kBodyDiffers)
        return fmt::format(
            "{}: the body is not what was signed. Somebody between signer and here changed it: a mailing "
            "list, a "
            "disclaimer or footer, a virus scanner, a gateway that encodes anew. Whoever changes must sign "
            "after "
            "the change.",
            whose);
      return fmt::format(
          "{}: the body is intact, but the signature over the header does not fit: a signed field was "
          "changed on "
          "the way (Subject tags, rewritten From or To), or the key in DNS is not the one that signed. "
          "Compare "
          "the public key of the signer with {}.",
          whose, name.value_or("the record"));
    case Result::permerror:
      if (answer != nullptr && answer->records.empty())
        return fmt::format(
            "{}: there is no key at {}. Publish the TXT record there (postern dkim record), and keep it "
            "while "
            "signed mail is under way.",
            whose, *name);
      return fmt::format("{}: {}.", whose, result.reason);
  }
  return {};
}

std::optional<Report> check_dkim(const filters::Analysis& analysis, filters::Facts& facts,
                                 std::chrono::sys_seconds now) {
  filters::dkim::Verifier verifier(analysis);
  const auto results = verifier.verify(facts, now);
  if (!results) return std::nullopt;
  return Signatures(analysis, *results, facts).run();
}

}  // namespace postern::check
