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

/// The inverse of presentation(): \DDD and \c.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const auto digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      const int value = (text[i + 1] - '0') * 100 + (text[i + 2] - '0') * 10 + (text[i + 3] - '0');
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[++i];
    }
  }
  return out;
}

/// A name inside the packet, normal form; nothing when it is none that we could ask for.
std::optional<std::string> name_at(const ns_msg& message, const unsigned char* at) {
  std::array<char, NS_MAXDNAME> text{};
  if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), at, text.data(), text.size()) < 0)
    return std::nullopt;
  return filters::dns::normal_name(unescaped(text.data()));
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
      if (data[2] == 0) return fmt::format("{} .", preference);  // RFC 7505 §3
      const auto host = name_at(message, data.data() + 2);
      return host ? std::optional(fmt::format("{} {}", preference, *host)) : std::nullopt;
    }
    case QuestionKind::dns_ptr:
      return name_at(message, data.data());
    default:
      return std::nullopt;
  }
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
    ttl = std::min(ttl.value_or(ns_rr_ttl(record)), static_cast<std::uint32_t>(ns_rr_ttl(record)));
    if (ns_rr_type(record) != type_of(kind) || answer.records.size() == kRecordsMax) continue;
    if (auto text = record_text(message, record, kind)) answer.records.push_back(std::move(*text));
  }
  answer.ttl = std::chrono::seconds(ttl.value_or(0));
  if (answer.status == AnswerStatus::no_such_name) {
    answer.records.clear();
  } else {
    answer.status = answer.records.empty() ? AnswerStatus::no_data : AnswerStatus::data;
  }
  return answer;
}

}  // namespace postern::dns
