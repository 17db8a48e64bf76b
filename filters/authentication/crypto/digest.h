#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace postern::filters::crypto {

enum class Algorithm : std::uint8_t { sha1, sha256 };

/// A running digest. Move-only, one thread. OpenSSL refusing a digest it has is a fault of the installation:
/// it aborts.
class Digest {
 public:
  explicit Digest(Algorithm algorithm);
  ~Digest();
  Digest(Digest&& other) noexcept;
  Digest& operator=(Digest&& other) noexcept;
  void update(std::string_view octets);
  /// The raw digest; afterwards only destruction is allowed.
  std::string finish();

 private:
  void* context_ = nullptr;  // EVP_MD_CTX
};

std::string digest(Algorithm algorithm, std::string_view octets);

}  // namespace postern::filters::crypto
