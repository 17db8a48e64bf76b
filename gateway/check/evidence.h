#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "filters/facts.h"
#include "gateway/control/json.h"

namespace postern::check {

/// What one check found, for programs and for people. Plain values; whoever prints the lines must take control characters
/// out of them: much of it was said by strangers.
struct Report {
  control::Json json;               ///< an object; check, result, … ; the shell adds `advice` and `facts`
  std::vector<std::string> lines;   ///< the evaluation step by step
  std::vector<std::string> advice;  ///< what the owner of the domain, or of the sending server, should change
  bool temporary = false;           ///< DNS did not tell: another time the result may be another one
};

/// Records of one answer that prose shows; the JSON has all of them.
inline constexpr std::size_t kRecordsShownMax = 20;
/// Octets of one text that prose shows.
inline constexpr std::size_t kTextShownMax = 1000;

/// "TXT", "A", …: the type as DNS names it.
std::string_view type_of(filters::QuestionKind kind);
/// "A mail.example.test: 192.0.2.1 (TTL 300 s, 1.2 ms)" or "…: servfail (2000 ms)". A null answer has not come.
std::string described(const filters::Question& question, const filters::Answer* answer);
/// No longer than `octets_max`, cut with "…".
std::string cut(std::string_view text, std::size_t octets_max = kTextShownMax);

/// {kind, name, status, records, ttl, secure, took_us, asked_at_ms}, as decision records have it.
control::Json to_json(const filters::Question& question, const filters::Answer& answer);
/// All answers in the order in which they were asked.
control::Json to_json(const filters::Facts& facts);

/// Sentences for a question whose answer is trouble, e.g. of a name server that does not answer.
std::string trouble_advice(const filters::Question& question, const filters::Answer& answer);
/// The same for each answer in `facts` that failed, each once.
void add_trouble(const filters::Facts& facts, std::vector<std::string>& advice);

}  // namespace postern::check
