#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "filters/authentication/crypto/digest.h"
#include "filters/authentication/dkim/canonical.h"

namespace postern::filters::dkim {

/// The running hash of a body in canonical form (RFC 6376 §3.4.3, §3.4.4, §3.4.5): the same for every split of the input. Memory
/// does not depend on the body. A bare LF counts as a line end.
class BodyHash {
 public:
  static constexpr std::uint64_t kWhole = std::numeric_limits<std::uint64_t>::max();

  BodyHash(Canonical canonical, crypto::Algorithm algorithm, std::uint64_t length = kWhole);
  void update(std::string_view octets);
  struct Result {
    std::string digest;
    std::uint64_t octets = 0;  ///< of the whole canonical body, also beyond `length`
  };
  Result finish();

 private:
  void content(std::string_view octets);
  void line_end();
  void emit(std::string_view octets);
  void flush();

  Canonical canonical_;
  crypto::Digest digest_;
  std::uint64_t left_, octets_ = 0;
  std::uint64_t empty_lines_ = 0;  ///< seen and not yet known to be inside the body
  bool line_has_content_ = false, blank_ = false, cr_ = false;
  std::string buffer_;
};

/// Body hashes of one message, each computed once however many signatures ask for it.
class BodyHashes {
 public:
  explicit BodyHashes(std::string_view body) : body_(body) {}
  const BodyHash::Result& get(Canonical canonical, crypto::Algorithm algorithm, std::uint64_t length);

 private:
  std::string_view body_;
  std::map<std::tuple<Canonical, crypto::Algorithm, std::uint64_t>, BodyHash::Result> results_;
};

}  // namespace postern::filters::dkim
