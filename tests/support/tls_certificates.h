#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/tls/contexts.h"

namespace postern::test {

/// A folder of its own under the temporary folder, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string file_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_text(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

using KeyHandle = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
inline KeyHandle ec_key(const char* curve = "P-256") {
  return {EVP_EC_gen(curve), EVP_PKEY_free};
}
inline KeyHandle rsa_key(unsigned bits = 2048) {
  return {EVP_RSA_gen(bits), EVP_PKEY_free};
}

inline std::string key_pem(EVP_PKEY* key, const char* passphrase = nullptr) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(
      bio, key, passphrase == nullptr ? nullptr : EVP_aes_128_cbc(), passphrase,
      passphrase == nullptr ? 0 : static_cast<int>(std::string_view(passphrase).size()), nullptr, nullptr);
  char* data = nullptr;
  const long octets = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(octets));
  BIO_free(bio);
  return text;
}

/// What a test certificate says; signed by its own key.
struct CertificateWish {
  std::string common_name = "one.example";
  std::string names;  ///< "DNS:one.example,DNS:*.one.example"; empty: no such extension
  std::string not_before = "20200101000000Z";
  std::string not_after = "29991231235959Z";
  std::size_t comment_octets = 0;  ///< makes it large
};

inline std::string certificate_pem(EVP_PKEY* key, const CertificateWish& wish) {
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  ASN1_TIME_set_string(X509_getm_notBefore(certificate), wish.not_before.c_str());
  ASN1_TIME_set_string(X509_getm_notAfter(certificate), wish.not_after.c_str());
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  if (!wish.common_name.empty())
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  const auto extend = [certificate](int kind, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  if (!wish.names.empty()) extend(NID_subject_alt_name, wish.names);
  if (wish.comment_octets > 0) extend(NID_netscape_comment, std::string(wish.comment_octets, 'x'));
  X509_sign(certificate, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long octets = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(octets));
  BIO_free(bio);
  X509_free(certificate);
  return text;
}

/// Writes STEM.pem and STEM.key (mode 0600) into the folder.
inline tls::CertificateFiles make_certificate(const std::filesystem::path& folder, const std::string& stem,
                                              EVP_PKEY* key, const CertificateWish& wish) {
  tls::CertificateFiles files{folder / (stem + ".pem"), folder / (stem + ".key")};
  write_text(files.certificate, certificate_pem(key, wish));
  write_text(files.key, key_pem(key));
  std::filesystem::permissions(files.key,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  return files;
}

/// Contexts with one EC certificate for one.example, made once for the whole program.
inline std::shared_ptr<const tls::Contexts> plain_contexts() {
  static const auto made = [] {
    const TemporaryFolder folder;
    const auto key = ec_key();
    const CertificateWish wish{.names = "DNS:one.example"};
    const auto files = make_certificate(folder.path(), "one", key.get(), wish);
    return tls::Contexts::load({files}, std::make_shared<tls::TicketKeys>()).value();
  }();
  return made;
}

}  // namespace postern::test
