#include "filters/header/sanity.h"

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace postern::filters {
namespace {

constexpr std::size_t kEvidenceOctetsMax = 64;  // of what the message says, quoted in a finding

/// RFC 5322 §3.6: at most once each. From has a finding of its own.
constexpr std::string_view kOnceOnly[] = {"Date", "Sender",     "Reply-To",    "To",         "Cc",
                                          "Bcc",  "Message-ID", "In-Reply-To", "References", "Subject"};

/// A finding for an oddity of the octets.
struct OddityRow {
  std::string_view oddity, name;
  double score;
  std::string_view evidence;
};

constexpr OddityRow kOddities[] = {
    {"junk_line", "HEADER_JUNK_LINE", 0.5, "a header line is neither field nor continuation (RFC 5322 §2.2)"},
    {"continuation_first", "HEADER_CONTINUATION_FIRST", 0.5,
     "the header starts with a continuation (RFC 5322 §2.2.3)"},
    {"blank_before_colon", "HEADER_BLANK_BEFORE_COLON", 0.5,
     "blanks before the colon of a field (RFC 5322 §4.5)"},
    {"bare_lf", "HEADER_BARE_LF", 0.5, "a header line ends in a bare LF (RFC 5322 §2.3)"},
    {"bare_cr", "HEADER_BARE_CR", 1.0, "a bare CR in the header (RFC 5322 §2.3)"},
    {"header_unended", "HEADER_UNENDED", 0.5, "no empty line ends the header (RFC 5322 §2.1)"},
    {"header_truncated", "HEADER_TOO_LARGE", 2.0, "the header is larger than what is read of it"},
    {"nul_octet", "NUL_OCTET", 1.0, "a NUL octet (RFC 5322 §4)"},
    {"line_too_long", "LINE_TOO_LONG", 0.2, "a line of more than 998 octets (RFC 5322 §2.1.1)"},
};

void add(Findings& findings, std::string_view name, double score, std::string evidence) {
  findings.found.push_back({.name = std::string(name), .score = score, .evidence = std::move(evidence)});
}

/// RFC 5322 §3.6.2.
void check_from(const Analysis& analysis, Findings& findings) {
  const std::size_t count = analysis.count("From");
  if (count == 0) {
    add(findings, "MISSING_FROM", 2.0, "no From field (RFC 5322 §3.6)");
    return;
  }
  const std::string value = Analysis::unfolded(analysis.find("From")->value);
  if (value.empty()) {
    add(findings, "EMPTY_FROM", 2.0, "the From field is empty (RFC 5322 §3.6.2)");
  } else if (value.find('@') == std::string::npos) {
    add(findings, "FROM_NO_ADDRESS", 1.5,
        fmt::format("no address in the From field: {}",
                    std::string_view(value).substr(0, kEvidenceOctetsMax)));
  }
  // What one reader shows and another one checks need not be the same field.
  if (count > 1) add(findings, "DUPLICATE_FROM", 3.0, fmt::format("{} From fields (RFC 5322 §3.6)", count));
}

void check_once_only(const Analysis& analysis, Findings& findings) {
  std::string names;
  for (const std::string_view name : kOnceOnly) {
    if (analysis.count(name) < 2) continue;
    if (!names.empty()) names += ", ";
    names += name;
  }
  if (!names.empty())
    add(findings, "DUPLICATE_FIELD", 1.0, fmt::format("more than once: {} (RFC 5322 §3.6)", names));
}

}  // namespace

void check_mail_loop(const Analysis& analysis, const Policy& policy, Findings& findings) {
  const std::size_t hops = analysis.count("Received");
  if (hops <= policy.received_hops_max) return;
  add(findings, "MAIL_LOOP", 0.0,
      fmt::format("{} Received fields, more than {}", hops, policy.received_hops_max));
}

void check_header(const Envelope& envelope, const Analysis& analysis, Findings& findings) {
  check_from(analysis, findings);
  if (analysis.count("Date") == 0) add(findings, "MISSING_DATE", 0.5, "no Date field (RFC 5322 §3.6)");
  if (analysis.count("Message-ID") == 0)
    add(findings, "MISSING_MESSAGE_ID", 0.3, "no Message-ID field (RFC 5322 §3.6.4)");
  check_once_only(analysis, findings);
  if (analysis.has_oddity("eight_bit_header") && !envelope.smtputf8)
    add(findings, "HEADER_EIGHT_BIT", 0.5, "octets above 127 in the header without SMTPUTF8 (RFC 6532 §3.2)");
  for (const OddityRow& row : kOddities)
    if (analysis.has_oddity(row.oddity)) add(findings, row.name, row.score, std::string(row.evidence));
}

}  // namespace postern::filters
