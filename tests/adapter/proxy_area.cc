// {"bytes_b64"} to {"source", "destination", "protocol", "consumed", "tlvs"?} or {"incomplete": true}.
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "gateway/proxy/header.h"
#include "tests/adapter/areas.h"

namespace postern::adapter {
namespace {

std::string hex(std::string_view octets) {
  std::string text;
  for (const char c : octets)
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string shown(const postern::proxy::EndPoint& end_point) {
  if (end_point.ip.empty()) return end_point.path;
  return fmt::format(fmt::runtime(end_point.ip.is_v6() ? "[{}]:{}" : "{}:{}"), end_point.ip.text(),
                     end_point.port);
}

void put(Json& answer, const char* member, const postern::proxy::EndPoint& end_point) {
  if (!end_point.ip.empty() || !end_point.path.empty()) answer[member] = shown(end_point);
}

}  // namespace

Json proxy(const Json& question) {
  const auto outcome = postern::proxy::parse(octets_of(question, "bytes_b64"));
  if (!outcome) return error(fmt::format("octet {}: {}", outcome.error().position, outcome.error().reason));
  if (!*outcome) return {{"incomplete", true}};
  const postern::proxy::Header& header = **outcome;
  Json answer = {{"protocol", postern::proxy::to_string(header.protocol)}, {"consumed", header.consumed}};
  put(answer, "source", header.source);
  put(answer, "destination", header.destination);
  for (const postern::proxy::Tlv& tlv : header.tlvs)
    answer["tlvs"].push_back({{"type", tlv.type}, {"value_hex", hex(tlv.value)}});
  return answer;
}

}  // namespace postern::adapter
