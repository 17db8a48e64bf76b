#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/facts.h"
#include "filters/ip.h"

namespace postern::filters::spf {

/// RFC 7208 §2.6, spelled as printed there.
enum class Result : std::uint8_t { none, neutral, pass, fail, softfail, temperror, permerror };
std::string_view to_string(Result result);

/// §4.6.4: terms that cause DNS queries, over all records of one evaluation.
inline constexpr unsigned kTermsMax = 10;
/// §4.6.4: lookups that found nothing.
inline constexpr unsigned kVoidLookupsMax = 2;
/// §4.6.4: names below one mx, and names of one ptr that are looked at.
inline constexpr std::size_t kNamesMax = 10;
/// Steps kept for people; more are evaluated all the same.
inline constexpr std::size_t kStepsMax = 200;

/// What is asked: one identity (MAIL FROM or HELO) of one client.
struct Identity {
  Ip ip;
  std::string_view domain;  ///< to check: of the reverse-path, or the HELO name
  std::string_view sender;  ///< whole address; without a local part "postmaster" is put in front (§4.3)
  std::string_view helo;
  std::string_view receiver;
  std::chrono::sys_seconds now;
};

/// One term as it was evaluated, for `postern check spf`.
struct Step {
  unsigned depth = 0;  ///< includes and redirects above
  std::string domain;  ///< whose record
  std::string term;    ///< as written; "" for the record itself
  std::string what;    ///< "no match", "match", the record's text, "temperror: mx mail.example: servfail"
  std::vector<Question> asked;           ///< for this step alone, in order
  unsigned terms = 0, void_lookups = 0;  ///< used up to here (§4.6.4)
};

struct Outcome {
  Result result = Result::none;
  std::string term;         ///< the directive that matched, as written; "" when none did
  std::string domain;       ///< whose record it stands in
  std::string explanation;  ///< after fail, the owner's text (§6.2), printable ASCII; "" when none
  std::string problem;      ///< for temperror, permerror and none: what was wrong
  unsigned terms = 0, void_lookups = 0;
};

/// check_host() of RFC 7208 §4. Nothing: answers are missing, the questions are noted in `facts`. Conclusions
/// are drawn in the standard's order whatever order the answers came in. `steps`, when given, is filled on
/// the call that concludes.
std::optional<Outcome> check_host(const Identity& identity, Facts& facts, std::vector<Step>* steps = nullptr);

}  // namespace postern::filters::spf
