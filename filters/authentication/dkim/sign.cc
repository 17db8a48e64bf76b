#include "filters/authentication/dkim/sign.h"

#include <fmt/format.h>

#include "filters/authentication/crypto/base64.h"
#include "filters/authentication/dkim/body_hash.h"
#include "filters/authentication/dkim/tag_list.h"

namespace postern::filters::dkim {
namespace {

constexpr std::size_t kFoldAt = 72;

/// Base64 in lines that begin with a blank.
std::string folded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += kFoldAt) {
    out += "\r\n\t";
    out += text.substr(at, kFoldAt);
  }
  return out;
}

}  // namespace

/// RFC 6376 §5.4.1, and the fields of RFC 2369 and RFC 8058 that lists and one-click unsubscribing live on.
std::vector<std::string> SigningRules::default_names() {
  return {"From",
          "Reply-To",
          "Subject",
          "Date",
          "To",
          "Cc",
          "Message-ID",
          "In-Reply-To",
          "References",
          "MIME-Version",
          "Content-Type",
          "Content-Transfer-Encoding",
          "List-Id",
          "List-Unsubscribe",
          "List-Unsubscribe-Post",
          "List-Post"};
}

std::expected<std::string, std::string> sign(const Analysis& analysis, const SigningRules& rules,
                                             const crypto::PrivateKey& key, std::chrono::sys_seconds now) {
  if (analysis.count("From") != 1) return std::unexpected("a message is signed with exactly one From field");
  std::string names;
  std::vector<std::string_view> selected;
  for (const std::string& name : rules.names) {
    const std::size_t present = analysis.count(name);
    const bool from = same_word(name, "From");
    if (present == 0 && !from) continue;
    for (std::size_t i = 0; i < present + 1; ++i) {
      names += names.empty() ? "" : names.size() - names.rfind('\n') > kFoldAt ? ":\r\n\t" : ":";
      names += name;
      selected.push_back(name);
    }
  }
  BodyHash body(rules.body, crypto::Algorithm::sha256);
  body.update(analysis.body());
  const auto seconds = now.time_since_epoch().count();
  std::string value =
      fmt::format(" v=1; a={}; c={}/{};\r\n\td={}; s={}; t={};",
                  key.type() == crypto::KeyType::rsa ? "rsa-sha256" : "ed25519-sha256",
                  to_string(rules.header), to_string(rules.body), rules.domain, rules.selector, seconds);
  if (rules.lifetime) value += fmt::format(" x={};", seconds + rules.lifetime->count());
  if (!rules.identity.empty()) value += fmt::format(" i={};", rules.identity);
  value += fmt::format("\r\n\th={};\r\n\tbh={};\r\n\tb=", names, crypto::encode_base64(body.finish().digest));

  std::string text;
  for (const HeaderField* field : select_fields(analysis.fields(), selected))
    append_field(text, *field, rules.header);
  const std::string raw = "DKIM-Signature:" + value;
  const HeaderField own{
      .name = std::string_view(raw).substr(0, 14), .value = std::string_view(raw).substr(15), .raw = raw};
  append_signature_field(text, own, rules.header);
  auto signature = key.sign(crypto::digest(crypto::Algorithm::sha256, text));
  if (!signature) return std::unexpected(std::move(signature.error()));
  return raw + folded(crypto::encode_base64(*signature)) + "\r\n";
}

std::string key_record(const crypto::PrivateKey& key) {
  return fmt::format("v=DKIM1; k={}; p={}", key.type() == crypto::KeyType::rsa ? "rsa" : "ed25519",
                     crypto::encode_base64(key.public_octets()));
}

}  // namespace postern::filters::dkim
