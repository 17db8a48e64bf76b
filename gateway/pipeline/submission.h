#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/crypto/public_key.h"
#include "filters/message/analysis.h"
#include "gateway/config/config.h"

namespace postern::pipeline {

/// What a message of a user of ours lacks or must not have (RFC 6409 §8): Date and Message-ID are added, Bcc is taken out. The message
/// anew, or none where nothing is to be done. `id`: of the transaction.
std::optional<std::string> completed(std::string_view message, std::string_view hostname, std::string_view id,
                                     std::chrono::sys_seconds now);

/// The DKIM keys of this house: RFC 6376. Immutable; all cores.
class Signers {
 public:
  /// Reads the key files. Errors name file and domain.
  static std::expected<Signers, std::string> load(const std::vector<config::SigningConfig>& config);

  /// DKIM-Signature fields for the message, to go on top: one for each key of the domain in From. Empty: none fits, or the
  /// message cannot be signed.
  std::string sign(const filters::Analysis& analysis, std::chrono::sys_seconds now) const;

 private:
  struct Signer {
    std::string domain, selector;  ///< A-labels
    std::shared_ptr<const filters::crypto::PrivateKey> key;
  };
  std::vector<Signer> signers_;
};

}  // namespace postern::pipeline
