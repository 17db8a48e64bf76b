#include "gateway/dns/packet.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "filters/dns.h"
#include "filters/ip.h"

namespace postern::dns {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::QuestionKind;

/// A name that is the last thing of its record, in normal form; nothing when it is none that we could ask for.
std::optional<std::string> name_at(const ns_msg& message, std::span<const unsigned char> data) {
  std::array<unsigned char, NS_MAXCDNAME> labels{};
  const int octets =
      ns_name_unpack(ns_msg_base(message), ns_msg_end(message), data.data(), labels.data(), labels.size());
  if (octets < 0 || static_cast<std::size_t>(octets) != data.size()) return std::nullopt;
  std::string text;
  for (const unsigned char* label = labels.data(); *label != 0; label += 1 + *label) {
    const std::string_view part(reinterpret_cast<const char*>(label + 1), *label);
    if (part.contains('.')) return std::nullopt;  // as text it would be another name
    text.append(part) += '.';
  }
  return filters::dns::normal_name(text);
}

/// TXT: character-strings, each a length and its octets (RFC 1035 §3.3.14).
std::optional<std::string> joined(std::span<const unsigned char> data) {
  std::string text;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size = data[at];
    if (at + 1 + size > data.size()) return std::nullopt;
    text.append(reinterpret_cast<const char*>(data.data()) + at + 1, size);
    at += 1 + size;
  }
  return text;
}

std::optional<std::string> record_text(const ns_msg& message, const ns_rr& record, QuestionKind kind) {
  const std::span<const unsigned char> data(ns_rr_rdata(record), ns_rr_rdlen(record));
  switch (kind) {
    case QuestionKind::dns_a: {
      if (data.size() != 4) return std::nullopt;
      std::array<std::uint8_t, 4> octets{};
      std::ranges::copy(data, octets.begin());
      return filters::Ip::v4(octets).text();
    }
    case QuestionKind::dns_aaaa: {
      if (data.size() != 16) return std::nullopt;
      std::array<std::uint8_t, 16> octets{};
      std::ranges::copy(data, octets.begin());
      return filters::Ip::v6(octets).text();
    }
    case QuestionKind::dns_txt:
      return joined(data);
    case QuestionKind::dns_mx: {
      if (data.size() < 3) return std::nullopt;
      const unsigned preference = static_cast<unsigned>(data[0]) << 8 | data[1];
      if (data.size() == 3 && data[2] == 0) return fmt::format("{} .", preference);  // RFC 7505 §3
      const auto host = name_at(message, data.subspan(2));
      return host ? std::optional(fmt::format("{} {}", preference, *host)) : std::nullopt;
    }
    case QuestionKind::dns_ptr:
      return name_at(message, data);
    default:
      return std::nullopt;
  }
}

/// How long "there is none" holds: RFC 2308 §5, by the SOA of the authority section.
std::optional<std::uint32_t> negative_ttl(ns_msg& message) {
  constexpr std::size_t kMinimumOctets = 4;  // MINIMUM is the last field (RFC 1035 §3.3.13)
  const int count = ns_msg_count(message, ns_s_ns);
  for (int i = 0; i < count; ++i) {
    ns_rr record{};
    if (ns_parserr(&message, ns_s_ns, i, &record) != 0) return std::nullopt;
    const std::size_t octets = ns_rr_rdlen(record);
    if (ns_rr_type(record) != ns_t_soa || octets < kMinimumOctets) continue;
    const auto minimum = static_cast<std::uint32_t>(ns_get32(ns_rr_rdata(record) + octets - kMinimumOctets));
    return std::min(static_cast<std::uint32_t>(ns_rr_ttl(record)), minimum);
  }
  return std::nullopt;
}

void lower(std::optional<std::uint32_t>& ttl, std::optional<std::uint32_t> other) {
  if (other) ttl = std::min(ttl.value_or(*other), *other);
}

}  // namespace

std::uint16_t type_of(QuestionKind kind) {
  switch (kind) {
    case QuestionKind::dns_a:
      return ns_t_a;
    case QuestionKind::dns_aaaa:
      return ns_t_aaaa;
    case QuestionKind::dns_txt:
      return ns_t_txt;
    case QuestionKind::dns_mx:
      return ns_t_mx;
    case QuestionKind::dns_ptr:
      return ns_t_ptr;
    default:
      return 0;
  }
}

std::string presentation(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\{:03}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Answer read_packet(std::span<const unsigned char> packet, QuestionKind kind) {
  Answer answer;
  answer.status = AnswerStatus::servfail;
  ns_msg message{};
  if (ns_initparse(packet.data(), static_cast<int>(packet.size()), &message) != 0) return answer;
  switch (ns_msg_getflag(message, ns_f_rcode)) {
    case ns_r_noerror:
      break;
    case ns_r_nxdomain:
      answer.status = AnswerStatus::no_such_name;
      break;
    case ns_r_refused:
      answer.status = AnswerStatus::refused;
      return answer;
    default:
      return answer;
  }
  std::optional<std::uint32_t> ttl;
  const int count = ns_msg_count(message, ns_s_an);
  for (int i = 0; i < count; ++i) {
    ns_rr record{};
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) {
      answer.status = AnswerStatus::servfail;
      answer.records.clear();
      return answer;
    }
    lower(ttl, static_cast<std::uint32_t>(ns_rr_ttl(record)));
    if (ns_rr_type(record) != type_of(kind) || answer.records.size() == kRecordsMax) continue;
    if (auto text = record_text(message, record, kind)) answer.records.push_back(std::move(*text));
  }
  if (answer.status == AnswerStatus::no_such_name) {
    answer.records.clear();
  } else {
    answer.status = answer.records.empty() ? AnswerStatus::no_data : AnswerStatus::data;
  }
  if (answer.status != AnswerStatus::data) lower(ttl, negative_ttl(message));
  answer.ttl = std::chrono::seconds(ttl.value_or(0));
  return answer;
}

}  // namespace postern::dns
