// What applies to a connection.
#include <gtest/gtest.h>

#include "tests/unit/gateway/pipeline/house.h"

namespace postern::pipeline {
namespace {

constexpr std::string_view kTermsManifest = R"(
hostname = "mx.test.example"
[tls]
enabled = false
required = true
[smtp]
bare_line_endings_exempt = ["10.0.0.0/8"]
greeting_delay_ms = 700
early_talker = "reject"
greeting_delay_exempt = ["10.0.0.0/8"]
[limits]
recipients_max = 7
connections_max = 9
connections_per_network_max = 3
unlimited_from = ["10.1.0.0/16"]
[[listener]]
address = "127.0.0.1:2525"
xclient_from = ["10.2.0.0/16"]
proxy_protocol_from = ["10.3.0.0/16"]
[[listener]]
address = "127.0.0.1:2424"
service = "lmtp"
[[domain]]
name = "test.example"
)";

filters::Ip ip(std::string_view text) {
  return filters::Ip::parse(text).value_or(filters::Ip());
}

std::string manifest_without_required() {
  std::string text(kTermsManifest);
  return text.replace(text.find("required = true\n"), 16, "");
}

TEST(Terms, FollowTheManifest) {
  House house({.manifest = manifest_without_required()});
  const smtp::Terms stranger = house.pipeline().terms(0, ip("192.0.2.1"));
  EXPECT_EQ(stranger.session.hostname, "mx.test.example");
  EXPECT_EQ(stranger.session.protocol, smtp::Protocol::smtp);
  EXPECT_EQ(stranger.session.limits.recipients_max, 7U);
  EXPECT_EQ(stranger.session.bare_line_endings, smtp::BareLineEndings::reject);
  EXPECT_FALSE(stranger.session.tls_available);
  EXPECT_FALSE(stranger.session.xclient_allowed);
  EXPECT_FALSE(stranger.session.local_network);
  EXPECT_EQ(stranger.admission.connections_max, 9U);
  EXPECT_EQ(stranger.admission.connections_per_network_max, 3U);
  EXPECT_FALSE(stranger.admission.unlimited);
  EXPECT_EQ(stranger.greeting_delay, std::chrono::milliseconds(700));
  EXPECT_TRUE(stranger.early_talker_refused);

  const smtp::Terms exempt = house.pipeline().terms(0, ip("10.1.2.3"));
  EXPECT_EQ(exempt.session.bare_line_endings, smtp::BareLineEndings::normalize);
  EXPECT_TRUE(exempt.session.local_network);
  EXPECT_TRUE(exempt.admission.unlimited);
  EXPECT_EQ(exempt.greeting_delay, std::chrono::milliseconds(0));
  EXPECT_FALSE(exempt.early_talker_refused);

  EXPECT_TRUE(house.pipeline().terms(0, ip("10.2.0.1")).session.xclient_allowed);
  EXPECT_FALSE(house.pipeline().terms(1, ip("10.2.0.1")).session.xclient_allowed);
  EXPECT_TRUE(house.pipeline().proxy_expected(0, ip("10.3.0.1")));
  EXPECT_FALSE(house.pipeline().proxy_expected(0, ip("10.2.0.1")));
  EXPECT_FALSE(house.pipeline().proxy_expected(1, ip("10.3.0.1")));

  const smtp::Terms lmtp = house.pipeline().terms(1, ip("192.0.2.1"));
  EXPECT_EQ(lmtp.session.protocol, smtp::Protocol::lmtp);
  EXPECT_EQ(lmtp.greeting_delay, std::chrono::milliseconds(0));

  const smtp::Terms unix_socket = house.pipeline().terms(1, {});
  EXPECT_TRUE(unix_socket.session.local_network);
  EXPECT_TRUE(unix_socket.admission.unlimited);
}

TEST(Terms, AReloadNeverMovesTrustToAnotherListener) {
  House house({.manifest = manifest_without_required()});
  std::string swapped = manifest_without_required();
  const std::size_t first = swapped.find("127.0.0.1:2525");
  const std::size_t second = swapped.find("127.0.0.1:2424");
  swapped.replace(first, 14, "127.0.0.1:2424").replace(second, 14, "127.0.0.1:2525");
  house.snapshots().set(house.snapshot(swapped));
  // Listener 0 is still the socket at :2525, which is LMTP now and trusts nobody.
  EXPECT_FALSE(house.pipeline().terms(0, ip("10.2.0.1")).session.xclient_allowed);
  EXPECT_FALSE(house.pipeline().proxy_expected(0, ip("10.3.0.1")));
  EXPECT_TRUE(house.pipeline().terms(1, ip("10.2.0.1")).session.xclient_allowed);

  std::string gone = manifest_without_required();
  gone.replace(gone.find("127.0.0.1:2525"), 14, "127.0.0.1:2526");
  house.snapshots().set(house.snapshot(gone));
  EXPECT_TRUE(house.pipeline().terms(0, ip("10.2.0.1")).session.xclient_allowed);
}

}  // namespace
}  // namespace postern::pipeline
