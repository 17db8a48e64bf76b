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

namespace postern::filters::arc {

/// The chain validation status, RFC 8617 §4.4.
enum class Status : std::uint8_t { none, pass, fail };
std::string_view to_string(Status status);

/// RFC 8617 §4.2.1.
inline constexpr unsigned kInstancesMax = 50;

struct Sealer {
  unsigned instance = 0;
  std::string domain, selector;  ///< d=, s= of the ARC-Seal
  std::string results;           ///< its ARC-Authentication-Results behind i=: "authserv-id; spf=pass …"
};

struct ChainResult {
  Status status = Status::none;
  std::string reason;           ///< why it failed
  bool temporary = false;       ///< it failed for want of a key that may come
  std::vector<Sealer> sealers;  ///< instance 1 first; of a chain that has the right form
};

/// What depends on the message alone, made once per message. Views into the analysis; `hashes` must outlive it.
class Chain {
 public:
  Chain(const Analysis& analysis, dkim::BodyHashes& hashes);

  /// Does ahead what verify() would do once the keys are there: the hash of the body. For a worker.
  void hash_body();

  bool empty() const { return sets_.empty() && problem_.empty(); }
  /// §5.2. Nothing: keys are missing, the questions are noted (all of them in one round).
  std::optional<ChainResult> verify(Facts& facts, std::chrono::sys_seconds now);

 private:
  struct Set {
    const HeaderField* results = nullptr;
    const HeaderField* message = nullptr;
    const HeaderField* seal = nullptr;
    dkim::Signature message_signature, seal_signature;
    std::string message_key, seal_key;  ///< names to ask for
    std::string validation;             ///< cv=
    std::optional<bool> seal_good;
  };
  void collect();
  bool fail(std::string reason);
  bool read(unsigned instance, Set& set);
  std::string check_message_signature(const Set& set, const Answer& answer, std::chrono::sys_seconds now);
  std::string check_seal(std::size_t index, const Answer& answer);

  const Analysis& analysis_;
  dkim::BodyHashes& hashes_;
  std::vector<Set> sets_;  ///< instance 1 first
  std::string problem_;    ///< the chain has not the right form
  std::optional<std::string> message_problem_;
};

}  // namespace postern::filters::arc
