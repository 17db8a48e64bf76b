#pragma once

#include <cstddef>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/smtp/sasl/secret.h"

namespace postern::pipeline {

/// What is kept of one account's password.
struct Credential {
  std::string scrypt;                            ///< for PLAIN and LOGIN
  std::optional<smtp::sasl::ScramSecret> scram;  ///< for SCRAM-SHA-256
};

/// The credentials file: a line for each account, ADDRESS SCRYPT [SCRAM], separated by blanks; lines that begin with # are remarks.
/// Immutable; all cores.
class Credentials {
 public:
  static constexpr std::size_t kFileOctetsMax = std::size_t{64} << 20;

  /// A file that is not there holds nobody. Errors name file and line, never what stands in it.
  static std::expected<std::shared_ptr<const Credentials>, std::string> load(
      const std::filesystem::path& file);
  static std::expected<std::shared_ptr<const Credentials>, std::string> parse(std::string_view text,
                                                                              std::string_view file);

  /// By the account's address in normal form, in any case. Null: no password.
  const Credential* find(std::string_view address) const;
  /// Random octets of this process, for decoys.
  const std::string& server_secret() const { return server_secret_; }

  /// The file's text with this account's line replaced or added; without `line` it is taken out.
  static std::string replaced(std::string_view text, std::string_view address, std::string_view line);

 private:
  std::unordered_map<std::string, Credential> by_address_;
  std::string server_secret_;
};

}  // namespace postern::pipeline
