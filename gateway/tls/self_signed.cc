#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "gateway/tls/certificate.h"
#include "gateway/tls/contexts_impl.h"

namespace postern::tls {

namespace {

constexpr int kValidDays = 3650;
constexpr std::size_t kHostNameOctetsMax = 253;   // RFC 1035 §2.3.4, as text
constexpr std::size_t kCommonNameOctetsMax = 64;  // RFC 5280 appendix A.1, ub-common-name
constexpr int kSerialOctets = 16;                 // RFC 5280 §4.1.2.2: at most 20, unpredictable

std::unexpected<std::string> failed_system(const std::filesystem::path& file, std::string_view doing) {
  return std::unexpected(
      fmt::format("{}: {}: {}", file.string(), doing, std::generic_category().message(errno)));
}

/// Writes all of it and syncs.
bool write_durably(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0;
}

bool sync_folder_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool synced = ::fsync(descriptor) == 0;
  const int sync_error = errno;
  ::close(descriptor);
  errno = sync_error;
  return synced;
}

/// The file appears whole or not at all, and stays after a power cut.
std::expected<void, std::string> write_file(const std::filesystem::path& file, std::string_view text,
                                            mode_t mode) {
  const std::filesystem::path temporary = file.string() + fmt::format(".new.{}", ::getpid());
  ::unlink(temporary.c_str());  // of a crashed process with our number: in a container everybody is process 1
  const int descriptor =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (descriptor < 0) return failed_system(file, "cannot be written");
  bool fine = ::fchmod(descriptor, mode) == 0 && write_durably(descriptor, text);
  const int write_error = errno;
  ::close(descriptor);
  if (!fine) errno = write_error;
  fine = fine && ::rename(temporary.c_str(), file.c_str()) == 0;
  if (!fine) {
    auto failure = failed_system(file, "cannot be written");
    ::unlink(temporary.c_str());
    return failure;
  }
  if (!sync_folder_of(file)) return failed_system(file, "its folder cannot be synced");
  return {};
}

std::string pem_text(BIO* bio) {
  char* data = nullptr;
  const long octets = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(octets)};
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, kSerialOctets> octets;
  if (RAND_bytes(octets.data(), kSerialOctets) != 1) return false;
  octets[0] = static_cast<unsigned char>((octets[0] & 0x7f) | 0x40);  // positive, and of full length
  BIGNUM* number = BN_bin2bn(octets.data(), kSerialOctets, nullptr);
  const bool fine =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return fine;
}

bool add_extension(X509* certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  const bool fine = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return fine;
}

/// The names were checked to have no commas or colons in them.
bool add_names(X509* certificate, const std::string& host) {
  std::string names = "DNS:" + host;
  if (host != "localhost") names += ",DNS:localhost";
  return add_extension(certificate, NID_subject_alt_name, names.c_str());
}

X509Ptr make_certificate(EVP_PKEY* key, const std::string& host) {
  X509Ptr certificate(X509_new());
  X509* raw = certificate.get();
  if (raw == nullptr) return nullptr;
  const std::string common_name = host.size() <= kCommonNameOctetsMax ? host : "localhost";
  X509_NAME* subject = X509_get_subject_name(raw);
  const bool fine = X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
                    X509_gmtime_adj(X509_getm_notBefore(raw), -3600) != nullptr &&  // clients' clocks differ
                    X509_time_adj_ex(X509_getm_notAfter(raw), kValidDays, 0, nullptr) != nullptr &&
                    X509_set_pubkey(raw, key) == 1 &&
                    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
                                               reinterpret_cast<const unsigned char*>(common_name.data()),
                                               static_cast<int>(common_name.size()), -1, 0) == 1 &&
                    X509_set_issuer_name(raw, subject) == 1 && add_names(raw, host) &&
                    add_extension(raw, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(raw, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(raw, NID_ext_key_usage, "serverAuth") &&
                    add_extension(raw, NID_subject_key_identifier, "hash") &&
                    X509_sign(raw, key, EVP_sha256()) > 0;
  if (!fine) certificate.reset();
  return certificate;
}

/// The key in the file, or a new one written there.
std::expected<KeyPtr, std::string> ensure_key(const std::filesystem::path& file, bool exists) {
  if (exists) {
    auto pem = read_pem_file(file);
    if (!pem) return std::unexpected(std::move(pem.error()));
    return parse_key(*pem, file);
  }
  ERR_clear_error();
  KeyPtr key(EVP_EC_gen("P-256"));
  // Secure memory BIOs are wiped when freed.
  const BioPtr pem(BIO_new(BIO_s_secmem()));
  if (!key || !pem ||
      PEM_write_bio_PKCS8PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return std::unexpected(fmt::format("{}: cannot make a key: {}", file.string(), take_error_reason()));
  char* data = nullptr;
  const long octets = BIO_get_mem_data(pem.get(), &data);
  auto written = write_file(file, {data, static_cast<std::size_t>(octets)}, 0600);
  if (!written) return std::unexpected(std::move(written.error()));
  return key;
}

}  // namespace

std::expected<void, std::string> ensure_self_signed(const CertificateFiles& files,
                                                    std::string_view host_name) {
  std::error_code ignored;  // cannot look: then reading or writing it below says why
  const bool certificate_exists = std::filesystem::exists(files.certificate, ignored);
  const bool key_exists = std::filesystem::exists(files.key, ignored);
  if (certificate_exists && key_exists) return {};
  if (certificate_exists)
    return std::unexpected(
        fmt::format("{}: missing, but its certificate {} exists; restore the key or remove the certificate",
                    files.key.string(), files.certificate.string()));
  const std::string host = normal_host_name(host_name);
  if (host.empty() || host.size() > kHostNameOctetsMax)
    return std::unexpected(fmt::format("{}: cannot be made for '{}', which is not a host name",
                                       files.certificate.string(), host_name));

  // The key first: a crash in between leaves a key without a certificate, and the next start goes on from
  // there.
  auto key = ensure_key(files.key, key_exists);
  if (!key) return std::unexpected(std::move(key.error()));
  ERR_clear_error();
  const X509Ptr certificate = make_certificate(key->get(), host);
  const BioPtr pem(BIO_new(BIO_s_mem()));
  if (!certificate || !pem || PEM_write_bio_X509(pem.get(), certificate.get()) != 1)
    return std::unexpected(
        fmt::format("{}: cannot make a certificate: {}", files.certificate.string(), take_error_reason()));
  return write_file(files.certificate, pem_text(pem.get()), 0644);
}

}  // namespace postern::tls
