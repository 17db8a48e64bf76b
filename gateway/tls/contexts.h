#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::tls {

/// Session ticket keys, shared by all cores and kept across certificate reloads, rotated every kRotation; the
/// previous key still decrypts. Thread-safe.
class TicketKeys {
 public:
  static constexpr std::chrono::hours kRotation{8};
  using Now = std::function<std::chrono::steady_clock::time_point()>;
  TicketKeys();                  ///< rotates by the machine's steady clock
  explicit TicketKeys(Now now);  ///< `now` is called from any thread, one at a time
  ~TicketKeys();
  class Impl;
  Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct CertificateFiles {
  std::filesystem::path certificate;  ///< PEM, leaf first, chain after
  std::filesystem::path key;          ///< PEM
};

/// What a loaded certificate says, for logs, the expiry metric and reload decisions.
struct CertificateInfo {
  std::filesystem::path file;
  std::vector<std::string> names;  ///< DNS SANs, else the CN; lower case
  std::chrono::sys_seconds not_before, not_after;
  std::string key_type;  ///< "EC P-256", "RSA 2048"
};

/// The server's TLS settings as one immutable snapshot: TLS 1.2 and 1.3 only, several certificates chosen by
/// SNI (exact name, then a wildcard of one label, else the first), tickets by `keys`. Made off the reactor;
/// used by all cores.
class Contexts {
 public:
  /// Errors are sentences that name the file: unreadable, no PEM certificate, key does not match, key under
  /// 2048 bits RSA, expired (a warning, not an error, through `warnings`).
  static std::expected<std::shared_ptr<const Contexts>, std::string> load(
      const std::vector<CertificateFiles>& files, std::shared_ptr<TicketKeys> keys,
      std::vector<std::string>* warnings = nullptr);
  ~Contexts();
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  const std::vector<CertificateInfo>& certificates() const;

  class Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Contexts(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Makes an ECDSA P-256 key and a self-signed certificate for the name (and localhost) valid for ten years,
/// unless both files exist already. The key file has mode 0600. Errors name the file.
std::expected<void, std::string> ensure_self_signed(const CertificateFiles& files,
                                                    std::string_view host_name);

}  // namespace postern::tls
