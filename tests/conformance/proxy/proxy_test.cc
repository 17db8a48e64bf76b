// The PROXY protocol headers of a published suite, with what their authors expect of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/proxy/header.h"
#include "tests/support/base64.h"

namespace postern::proxy {
namespace {

std::string decoded(const std::string& text) {
  return support::decode_base64(text).value();
}

std::optional<nlohmann::json> vectors() {
  const char* shared = std::getenv("POSTERN_SHARED");
  if (shared == nullptr) return std::nullopt;
  std::ifstream file(std::filesystem::path(shared) / "conformance/smtp/proxy-protocol/aiosmtpd-vectors.json");
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

std::string protocol_of(const nlohmann::json& vector) {
  if (vector.value("command", "") == "LOCAL") return "local";
  std::string family = vector.value("family", "");
  for (char& c : family) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return family;
}

void expect_end_point(const EndPoint& end_point, const nlohmann::json& vector, const std::string& side) {
  if (!vector.contains(side)) return;
  EXPECT_EQ(end_point.ip, filters::Ip::parse(vector[side].get<std::string>()));
  EXPECT_EQ(end_point.port, vector[side + "_port"].get<unsigned>());
}

void expect_tlvs(const Header& header, const nlohmann::json& vector) {
  if (!vector.contains("tlv")) return;
  const auto value_of = [&header](std::uint8_t type) -> std::string {
    for (const Tlv& tlv : header.tlvs)
      if (tlv.type == type) return tlv.value;
    return "absent";
  };
  EXPECT_EQ(value_of(0x02), vector["tlv"]["AUTHORITY"].get<std::string>());
  EXPECT_EQ(value_of(0x05), vector["tlv"]["UNIQUE_ID"].get<std::string>());
}

TEST(ProxyConformance, PublishedHeaders) {
  const auto all = vectors();
  if (!all) GTEST_SKIP() << "the shared conformance data is not here";
  ASSERT_GE(all->size(), 60U);
  for (const nlohmann::json& vector : *all) {
    SCOPED_TRACE(vector["name"].get<std::string>());
    const std::string octets = decoded(vector["bytes_b64"].get<std::string>());
    const auto outcome = parse(octets);
    if (!vector["valid"].get<bool>()) {
      EXPECT_FALSE(outcome.has_value());
      continue;
    }
    ASSERT_TRUE(outcome.has_value()) << outcome.error().position << ": " << outcome.error().reason;
    ASSERT_TRUE(outcome->has_value());
    const Header& header = **outcome;
    const std::string tail = decoded(vector.value("unread_tail_b64", ""));
    EXPECT_EQ(octets.substr(header.consumed), tail);
    EXPECT_EQ(to_string(header.protocol), protocol_of(vector));
    expect_end_point(header.source, vector, "src");
    expect_end_point(header.destination, vector, "dst");
    expect_tlvs(header, vector);
    for (std::size_t size = 0; size < header.consumed; ++size) {
      const auto part = parse(std::string_view(octets).substr(0, size));
      ASSERT_TRUE(part.has_value()) << size;
      EXPECT_FALSE(part->has_value()) << size;
    }
  }
}

}  // namespace
}  // namespace postern::proxy
