#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "filters/authentication/crypto/base64.h"
#include "filters/authentication/crypto/digest.h"
#include "filters/authentication/crypto/public_key.h"
#include "filters/authentication/dkim/body_hash.h"
#include "filters/authentication/dkim/canonical.h"
#include "filters/authentication/dkim/sign.h"
#include "filters/message/analysis.h"

namespace postern::filters {

using Key = std::shared_ptr<const crypto::PrivateKey>;

/// One key of each type for all tests of a program: making RSA keys takes time.
inline Key test_key(crypto::KeyType type) {
  static const Key rsa = *crypto::PrivateKey::generate(crypto::KeyType::rsa);
  static const Key ed25519 = *crypto::PrivateKey::generate(crypto::KeyType::ed25519);
  return type == crypto::KeyType::rsa ? rsa : ed25519;
}

/// The message with a DKIM signature on top.
inline std::string signed_message(std::string_view message, const dkim::SigningRules& rules, const Key& key,
                                  std::chrono::sys_seconds now) {
  const Analysis analysis = Analysis::of(message);
  const auto field = dkim::sign(analysis, rules, *key, now);
  EXPECT_TRUE(field.has_value()) << (field ? "" : field.error());
  return field.value_or("") + std::string(message);
}

inline std::string finished(const std::string& unfinished, std::string text, const Key& key) {
  const std::string whole = unfinished + "\r\n";
  const Analysis own = Analysis::of(whole);
  dkim::append_signature_field(text, own.fields().front(), dkim::Canonical::relaxed);
  const auto signature = key->sign(crypto::digest(crypto::Algorithm::sha256, text));
  EXPECT_TRUE(signature.has_value());
  return unfinished + crypto::encode_base64(signature.value_or("")) + "\r\n";
}

/// One more ARC set on top (RFC 8617 §5.1), signed with an Ed25519 key over From and Subject.
inline std::string sealed_message(std::string_view message, unsigned instance, std::string_view domain,
                                  std::string_view results, std::string_view validation) {
  const Key key = test_key(crypto::KeyType::ed25519);
  const Analysis analysis = Analysis::of(message);
  const std::string aar = fmt::format("ARC-Authentication-Results: i={}; {}\r\n", instance, results);

  dkim::BodyHash body(dkim::Canonical::relaxed, crypto::Algorithm::sha256);
  body.update(analysis.body());
  std::string text;
  for (const HeaderField* field : dkim::select_fields(analysis.fields(), {"from", "subject"}))
    dkim::append_field(text, *field, dkim::Canonical::relaxed);
  const std::string ams =
      finished(fmt::format("ARC-Message-Signature: i={}; a=ed25519-sha256; c=relaxed/relaxed; d={}; s=arc; "
                           "h=from:subject; bh={}; b=",
                           instance, domain, crypto::encode_base64(body.finish().digest)),
               std::move(text), key);

  // The seal covers every set from the first on: results, signature, seal.
  text.clear();
  const auto add = [&text](const Analysis& from, std::string_view name, unsigned of) {
    for (const HeaderField& field : from.fields())
      if (field.name == name && field.value.find(fmt::format("i={};", of)) != std::string_view::npos)
        dkim::append_field(text, field, dkim::Canonical::relaxed);
  };
  for (unsigned of = 1; of < instance; ++of)
    for (const std::string_view name : {"ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"})
      add(analysis, name, of);
  const Analysis results_field = Analysis::of(aar), signature_field = Analysis::of(ams);
  add(results_field, "ARC-Authentication-Results", instance);
  add(signature_field, "ARC-Message-Signature", instance);
  const std::string seal =
      finished(fmt::format("ARC-Seal: i={}; a=ed25519-sha256; cv={}; d={}; s=arc; t=1; b=", instance,
                           validation, domain),
               std::move(text), key);
  return seal + ams + aar + std::string(message);
}

}  // namespace postern::filters
