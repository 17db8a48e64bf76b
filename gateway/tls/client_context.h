#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace postern::tls {

/// How far the other side of a connection of ours must prove who it is.
enum class Proof : unsigned char {
  none,  ///< any certificate will do; weak keys too, since the alternative is plaintext (RFC 7435)
  name,  ///< a chain to a known authority, and one of the names
};

struct ClientTerms {
  std::string server_name;  ///< for SNI; left out when it is an address (RFC 6066 §3)
  std::vector<std::string>
      names;  ///< acceptable in the certificate; an address in text form is compared as such
  Proof proof = Proof::none;
};

/// What connections of ours to other servers share: authorities, versions, suites. Immutable; used by all cores.
class ClientContext {
 public:
  /// `authorities`: a PEM file or a folder of hashed certificates; empty: those of the operating system. Errors are sentences that
  /// name the file.
  static std::expected<std::shared_ptr<const ClientContext>, std::string> load(
      const std::filesystem::path& authorities = {});
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  class Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit ClientContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::tls
