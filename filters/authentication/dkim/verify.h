#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/authentication/dkim/body_hash.h"
#include "filters/authentication/dkim/signature.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"

namespace postern::filters::dkim {

/// RFC 8601 §2.7.1, spelled as printed there.
enum class Result : std::uint8_t { none, pass, fail, policy, neutral, temperror, permerror };
std::string_view to_string(Result result);

/// Signatures beyond this many are not looked at: result policy (RFC 6376 §6.1: a verifier may limit what it tries).
inline constexpr std::size_t kSignaturesMax = 12;

/// SignatureResult::reason of a fail: the body, or else the header, is not what was signed.
inline constexpr std::string_view kBodyDiffers = "body hash did not verify";
inline constexpr std::string_view kSignatureDiffers = "signature did not verify";

struct SignatureResult {
  Result result = Result::none;
  std::string domain, selector, identity, algorithm;  ///< d= s= i= a=, as far as they could be read
  std::string reason;                                 ///< why it is not a pass; "" after pass
  std::string value_text;  ///< the first octets of b=, enough to tell signatures apart (RFC 6008)
  unsigned key_bits = 0;
  bool testing = false;  ///< the key says t=y: a failure must not count against the sender (§3.6.1)
  std::uint64_t unsigned_octets = 0;  ///< of the canonical body beyond l=: anybody may have put them there
};

/// What depends on the message alone: signatures taken apart, hashes. Made once per message and used in every round of judging.
/// Holds views into the analysis. One thread at a time.
class Verifier {
 public:
  explicit Verifier(const Analysis& analysis);

  /// One result per DKIM-Signature field, from the top. Nothing: keys are missing, the questions are noted. A message with
  /// several From fields passes nowhere: which of them would the signature speak of (RFC 6376 §5.4, §8.15)?
  std::optional<std::vector<SignatureResult>> verify(Facts& facts, std::chrono::sys_seconds now);

  /// Does ahead what verify() would do once the keys are there: the hashes of the body. For a worker.
  void hash_bodies();

  BodyHashes& body_hashes() { return hashes_; }

 private:
  struct Entry {
    const HeaderField* field = nullptr;
    Signature signature;
    std::string name;  ///< of the key
    SignatureResult result;
    std::optional<bool> body_good, value_good;
    std::string digest;  ///< of the signed fields
    bool concluded = false;
  };
  void read(Entry& entry);
  bool check(Entry& entry, Facts& facts, std::chrono::sys_seconds now);
  bool body_matches(Entry& entry);
  const std::string& header_digest(Entry& entry);

  const Analysis& analysis_;
  BodyHashes hashes_;
  std::vector<Entry> entries_;
};

}  // namespace postern::filters::dkim
