#include "gateway/tls/certificate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

namespace postern::tls {

namespace {

constexpr std::size_t kPemFileOctetsMax = 1024 * 1024;
// Sent in every full handshake, so a bundle of all authorities given by mistake is refused. Real chains have
// 2 to 5 KiB.
constexpr std::size_t kChainOctetsMax = 32 * 1024;
constexpr int kRsaBitsMin = 2048;

std::string system_reason() {
  return std::generic_category().message(errno);
}

BioPtr memory_bio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool queue_holds_only_no_start_line() {
  const unsigned long last = ERR_peek_last_error();
  return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

/// Called when a key is encrypted. There is nobody to ask: OpenSSL's own callback would read from the
/// terminal.
int refuse_passphrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string text_of(const ASN1_STRING* value) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

/// RFC 6125 §6.4.4: the common name counts only where no DNS name is given.
std::vector<std::string> names_of(const X509* leaf) {
  std::vector<std::string> names;
  auto* alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(lower(text_of(name->d.dNSName)));
  }
  GENERAL_NAMES_free(alternatives);
  if (!names.empty()) return names;
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place >= 0)
    names.push_back(lower(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)))));
  return names;
}

std::chrono::sys_seconds time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
}

std::string key_type_of(EVP_PKEY* key) {
  const int type = EVP_PKEY_get_base_id(key);
  if (type == EVP_PKEY_RSA) return fmt::format("RSA {}", EVP_PKEY_get_bits(key));
  if (type == EVP_PKEY_EC) {
    std::array<char, 64> group{};
    if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
      const char* nist = EC_curve_nid2nist(OBJ_txt2nid(group.data()));
      return fmt::format("EC {}", nist != nullptr ? nist : group.data());
    }
  }
  const char* name = EVP_PKEY_get0_type_name(key);
  return name != nullptr ? name : "unknown";
}

/// All certificates of the file in order, at least one.
std::expected<std::vector<X509Ptr>, std::string> parse_certificates(const std::string& pem,
                                                                    const std::filesystem::path& file) {
  const BioPtr bio = memory_bio(pem);
  std::vector<X509Ptr> certificates;
  for (;;) {
    ERR_clear_error();
    X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    certificates.push_back(std::move(next));
  }
  if (!queue_holds_only_no_start_line())
    return std::unexpected(fmt::format("{}: certificate {} in it is damaged: {}", file.string(),
                                       certificates.size() + 1, take_error_reason()));
  ERR_clear_error();
  if (certificates.empty())
    return std::unexpected(fmt::format("{}: no PEM certificate in it", file.string()));
  return certificates;
}

std::expected<void, std::string> check(const Certificate& certificate, const CertificateFiles& files) {
  if (X509_check_private_key(certificate.leaf.get(), certificate.key.get()) != 1) {
    ERR_clear_error();
    return std::unexpected(fmt::format("{}: the key does not match the first certificate in {}",
                                       files.key.string(), files.certificate.string()));
  }
  const int type = EVP_PKEY_get_base_id(certificate.key.get());
  const int bits = EVP_PKEY_get_bits(certificate.key.get());
  if ((type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) && bits < kRsaBitsMin)
    return std::unexpected(fmt::format("{}: an RSA key of {} bits; clients expect at least {}",
                                       files.key.string(), bits, kRsaBitsMin));
  std::size_t octets = static_cast<std::size_t>(i2d_X509(certificate.leaf.get(), nullptr));
  for (const X509Ptr& next : certificate.chain)
    octets += static_cast<std::size_t>(i2d_X509(next.get(), nullptr));
  if (octets > kChainOctetsMax)
    return std::unexpected(
        fmt::format("{}: {} certificates of {} octets in all, at most {} are sent to clients; give the "
                    "certificate and its intermediates only",
                    files.certificate.string(), certificate.chain.size() + 1, octets, kChainOctetsMax));
  return {};
}

void warn(const Certificate& certificate, const CertificateFiles& files, std::vector<std::string>& warnings) {
  const std::string file = files.certificate.string();
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto day = [](std::chrono::sys_seconds time) {
    const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  };
  if (now >= certificate.info.not_after)
    warnings.push_back(
        fmt::format("{}: the certificate expired on {}", file, day(certificate.info.not_after)));
  if (now < certificate.info.not_before)
    warnings.push_back(
        fmt::format("{}: the certificate is not valid before {}", file, day(certificate.info.not_before)));
  if (certificate.info.names.empty())
    warnings.push_back(fmt::format("{}: the certificate names no host", file));
  // RFC 8446 §4.4.2: each certificate should certify the one before it; TLS 1.2 demands it.
  X509* previous = certificate.leaf.get();
  for (const X509Ptr& next : certificate.chain) {
    if (X509_NAME_cmp(X509_get_issuer_name(previous), X509_get_subject_name(next.get())) != 0) {
      warnings.push_back(fmt::format(
          "{}: the chain is not in order, each certificate must be followed by its issuer's", file));
      break;
    }
    previous = next.get();
  }
  struct stat facts{};
  if (::stat(files.key.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0)
    warnings.push_back(
        fmt::format("{}: the key is readable by every user of this machine", files.key.string()));
}

}  // namespace

std::expected<std::string, std::string> read_pem_file(const std::filesystem::path& file) {
  const auto failed = [&file](std::string_view why) {
    return std::unexpected(fmt::format("{}: cannot be read: {}", file.string(), why));
  };
  // O_NONBLOCK: a pipe in the file's place must not hang the start.
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return failed(system_reason());
  struct stat facts{};
  std::string problem;
  if (::fstat(descriptor, &facts) != 0)
    problem = system_reason();
  else if (!S_ISREG(facts.st_mode))
    problem = "not a regular file";
  else if (facts.st_size > static_cast<off_t>(kPemFileOctetsMax))
    problem =
        fmt::format("{} octets, at most {} are expected of a PEM file", facts.st_size, kPemFileOctetsMax);
  std::string text;
  while (problem.empty() && text.size() <= kPemFileOctetsMax) {
    std::array<char, 8192> piece;
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got == 0) break;
    if (got > 0)
      text.append(piece.data(), static_cast<std::size_t>(got));
    else if (errno != EINTR)
      problem = system_reason();
  }
  ::close(descriptor);
  if (!problem.empty()) return failed(problem);
  return text;
}

std::expected<KeyPtr, std::string> parse_key(const std::string& pem, const std::filesystem::path& file) {
  const BioPtr bio = memory_bio(pem);
  bool encrypted = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, &encrypted));
  if (key) return key;
  if (encrypted)
    return std::unexpected(
        fmt::format("{}: the key is protected by a passphrase, which a server cannot type", file.string()));
  const std::string reason = take_error_reason();
  // OpenSSL's decoders call both cases "unsupported".
  if (pem.find("PRIVATE KEY-----") == std::string::npos)
    return std::unexpected(fmt::format("{}: no PEM private key in it", file.string()));
  return std::unexpected(fmt::format("{}: the private key in it is damaged: {}", file.string(), reason));
}

std::expected<Certificate, std::string> load_certificate(const CertificateFiles& files,
                                                         std::vector<std::string>& warnings) {
  auto certificate_pem = read_pem_file(files.certificate);
  if (!certificate_pem) return std::unexpected(std::move(certificate_pem.error()));
  auto certificates = parse_certificates(*certificate_pem, files.certificate);
  if (!certificates) return std::unexpected(std::move(certificates.error()));
  auto key_pem = read_pem_file(files.key);
  if (!key_pem) return std::unexpected(std::move(key_pem.error()));
  auto key = parse_key(*key_pem, files.key);
  OPENSSL_cleanse(key_pem->data(), key_pem->size());
  if (!key) return std::unexpected(std::move(key.error()));

  Certificate loaded;
  loaded.leaf = std::move(certificates->front());
  std::move(certificates->begin() + 1, certificates->end(), std::back_inserter(loaded.chain));
  loaded.key = std::move(*key);
  loaded.info = CertificateInfo{.file = files.certificate,
                                .names = names_of(loaded.leaf.get()),
                                .not_before = time_of(X509_get0_notBefore(loaded.leaf.get())),
                                .not_after = time_of(X509_get0_notAfter(loaded.leaf.get())),
                                .key_type = key_type_of(loaded.key.get())};
  if (auto fine = check(loaded, files); !fine) return std::unexpected(std::move(fine.error()));
  warn(loaded, files, warnings);
  return loaded;
}

}  // namespace postern::tls
