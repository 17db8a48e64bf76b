#include "filters/dns.h"

#include <charconv>

namespace postern::filters::dns {
namespace {

constexpr char kHex[] = "0123456789abcdef";

Question question(QuestionKind kind, std::string_view name) {
  return {.kind = kind, .name = std::string(name)};
}

}  // namespace

std::optional<std::string> normal_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameOctetsMax) return std::nullopt;
  std::string name;
  name.reserve(text.size());
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return std::nullopt;
      label = 0;
      name += c;
      continue;
    }
    if (c < ' ' || c >= 0x7f || ++label > kLabelOctetsMax)
      return std::nullopt;  // char is signed: 8-bit is < ' '
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (label == 0) return std::nullopt;
  return name;
}

Question a(std::string_view name) {
  return question(QuestionKind::dns_a, name);
}
Question aaaa(std::string_view name) {
  return question(QuestionKind::dns_aaaa, name);
}
Question txt(std::string_view name) {
  return question(QuestionKind::dns_txt, name);
}
Question mx(std::string_view name) {
  return question(QuestionKind::dns_mx, name);
}
Question ptr(const Ip& ip) {
  return question(QuestionKind::dns_ptr, reverse_name(ip));
}

std::string reversed(const Ip& ip) {
  std::string name;
  const std::string_view octets = ip.octets();
  for (std::size_t i = octets.size(); i > 0; --i) {
    const auto octet = static_cast<unsigned char>(octets[i - 1]);
    if (!name.empty()) name += '.';
    if (ip.is_v4()) {
      name += std::to_string(octet);
    } else {
      name += kHex[octet & 15];
      name += '.';
      name += kHex[octet >> 4];
    }
  }
  return name;
}

std::string reverse_name(const Ip& ip) {
  return reversed(ip) + (ip.is_v4() ? ".in-addr.arpa" : ".ip6.arpa");
}

std::vector<Ip> addresses(const Answer& answer) {
  std::vector<Ip> found;
  found.reserve(answer.records.size());
  for (const std::string& record : answer.records)
    if (const auto ip = Ip::parse(record)) found.push_back(*ip);
  return found;
}

std::vector<Exchange> exchanges(const Answer& answer) {
  std::vector<Exchange> found;
  found.reserve(answer.records.size());
  for (const std::string& record : answer.records) {
    Exchange exchange;
    const char* const end = record.data() + record.size();
    const auto [at, problem] = std::from_chars(record.data(), end, exchange.preference);
    if (problem != std::errc{} || at == end || *at != ' ') continue;
    const std::string_view host(at + 1, end);
    if (host != ".") {
      auto name = normal_name(host);
      if (!name) continue;
      exchange.host = std::move(*name);
    }
    found.push_back(std::move(exchange));
  }
  return found;
}

}  // namespace postern::filters::dns
