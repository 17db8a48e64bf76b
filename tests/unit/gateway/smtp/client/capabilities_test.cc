#include "gateway/smtp/client/capabilities.h"

#include <gtest/gtest.h>

#include <string_view>

namespace postern::smtp::client {
namespace {

Capabilities of(std::vector<std::string> lines) {
  return Capabilities::of(ServerReply{.code = 250, .lines = std::move(lines)});
}

TEST(Capabilities, ReadsWhatIsOffered) {
  const Capabilities all =
      of({"mx.example greets you", "PIPELINING", "size 1000", "8BITMIME", "BINARYMIME", "CHUNKING",
          "SMTPUTF8", "DSN", "STARTTLS", "ENHANCEDSTATUSCODES", "AUTH CRAM-MD5 plain LOGIN",
          "LIMITS RCPTMAX=50 MAILMAX=7 OTHER=x", "X-WHATEVER a b"});
  EXPECT_TRUE(all.pipelining && all.eight_bit_mime && all.binary_mime && all.chunking && all.smtputf8 &&
              all.dsn);
  EXPECT_TRUE(all.starttls && all.enhanced_codes && all.auth_plain && all.auth_login && all.size);
  EXPECT_EQ(all.octets_max, 1000U);
  EXPECT_EQ(all.recipients_max, 50U);
  EXPECT_EQ(all.transactions_max, 7U);
}

TEST(Capabilities, TheFirstLineIsAName) {
  EXPECT_FALSE(of({"PIPELINING"}).pipelining);
}

TEST(Capabilities, WordsMustBeWhole) {
  const Capabilities none = of({"h", "PIPELINING2", "XDSN", "AUTHPLAIN PLAIN", "AUTH PLAINX"});
  EXPECT_FALSE(none.pipelining || none.dsn || none.auth_plain);
}

struct SizeCase {
  std::string_view name, line;
  std::optional<std::uint64_t> octets_max;
};
TEST(Capabilities, Size) {
  const SizeCase cases[] = {
      {"number", "SIZE 42", 42},
      {"zero is no maximum", "SIZE 0", std::nullopt},
      {"none", "SIZE", std::nullopt},
      {"no number", "SIZE many", std::nullopt},
      {"over 64 bits", "SIZE 99999999999999999999999", std::nullopt},
      {"negative", "SIZE -1", std::nullopt},
  };
  for (const SizeCase& c : cases) {
    SCOPED_TRACE(c.name);
    const Capabilities offered = of({"h", std::string(c.line)});
    EXPECT_TRUE(offered.size);
    EXPECT_EQ(offered.octets_max, c.octets_max);
  }
}

TEST(Capabilities, BinaryMimeNeedsChunking) {  // RFC 3030 §3
  EXPECT_FALSE(of({"h", "BINARYMIME"}).binary_mime);
}

TEST(Capabilities, OldAuthForm) {
  EXPECT_TRUE(of({"h", "AUTH=LOGIN PLAIN"}).auth_login);
  EXPECT_TRUE(of({"h", "AUTH=LOGIN PLAIN"}).auth_plain);
}

}  // namespace
}  // namespace postern::smtp::client
