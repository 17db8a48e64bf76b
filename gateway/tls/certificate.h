#pragma once

// Inside this module only: one certificate with its chain and key, as read from files.
#include "gateway/tls/contexts.h"
#include "gateway/tls/openssl.h"

namespace postern::tls {

struct Certificate {
  X509Ptr leaf;
  std::vector<X509Ptr> chain;
  KeyPtr key;
  CertificateInfo info;
};

/// The whole file, at most 1 MiB of it. Errors: "FILE: cannot be read: No such file or directory".
std::expected<std::string, std::string> read_pem_file(const std::filesystem::path& file);

/// The private key in PEM text that came from `file`. Never asks for a passphrase: an encrypted key is an
/// error.
std::expected<KeyPtr, std::string> parse_key(const std::string& pem, const std::filesystem::path& file);

/// Reads and checks both files. Errors and warnings are sentences that start with the file's name.
std::expected<Certificate, std::string> load_certificate(const CertificateFiles& files,
                                                         std::vector<std::string>& warnings);

}  // namespace postern::tls
