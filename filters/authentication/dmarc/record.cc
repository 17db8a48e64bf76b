#include "filters/authentication/dmarc/record.h"

#include <algorithm>

namespace postern::filters::dmarc {
namespace {

constexpr std::size_t kReportAddressesMax = 32;

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<Policy> policy(std::string_view value) {
  for (const Policy candidate : {Policy::none, Policy::quarantine, Policy::reject})
    if (same(value, to_string(candidate))) return candidate;
  return std::nullopt;
}

/// A URI has a scheme and something behind it; "!10m" at the end is the obsolete size.
std::vector<std::string> addresses(std::string_view list) {
  std::vector<std::string> found;
  while (!list.empty() && found.size() < kReportAddressesMax) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view uri = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    uri = uri.substr(0, uri.find('!'));
    const std::size_t colon = uri.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == uri.size()) continue;
    found.emplace_back(uri);
  }
  return found;
}

}  // namespace

std::string_view to_string(Policy policy) {
  return policy == Policy::none ? "none" : policy == Policy::quarantine ? "quarantine" : "reject";
}

std::optional<Record> parse_record(std::string_view text) {
  Record record;
  bool first = true;
  bool broken = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = part.find('=');
    const std::string_view name = trimmed(part.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : trimmed(part.substr(equals + 1));
    if (first) {
      if (equals == std::string_view::npos || !same(name, "v") || value != "DMARC1") return std::nullopt;
      first = false;
      continue;
    }
    if (equals == std::string_view::npos) continue;
    if (same(name, "p")) {
      record.policy = policy(value);
    } else if (same(name, "sp")) {
      record.subdomains = policy(value);
      broken |= !record.subdomains;
    } else if (same(name, "np")) {
      record.nonexistent = policy(value);
      broken |= !record.nonexistent;
    } else if (same(name, "adkim")) {
      record.dkim = same(value, "s") ? Alignment::strict : Alignment::relaxed;
    } else if (same(name, "aspf")) {
      record.spf = same(value, "s") ? Alignment::strict : Alignment::relaxed;
    } else if (same(name, "psd")) {
      record.suffix = same(value, "y") ? Suffix::yes : same(value, "n") ? Suffix::no : Suffix::unknown;
    } else if (same(name, "t")) {
      record.testing = same(value, "y");
    } else if (same(name, "rua")) {
      record.aggregate_to = addresses(value);
    } else if (same(name, "ruf")) {
      record.failure_to = addresses(value);
    } else if (same(name, "fo")) {
      record.failure_options = std::string(value);
    }
  }
  if (first) return std::nullopt;
  record.broken_policy = broken || !record.policy;
  return record;
}

}  // namespace postern::filters::dmarc
