#include "filters/authentication/dkim/body_hash.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "filters/authentication/crypto/base64.h"
#include "tests/support/splits.h"

namespace postern::filters::dkim {
namespace {

BodyHash::Result hashed(std::string_view body, Canonical canonical, std::uint64_t length = BodyHash::kWhole) {
  BodyHash hash(canonical, crypto::Algorithm::sha256, length);
  hash.update(body);
  return hash.finish();
}

std::string sha256(std::string_view octets) {
  return crypto::digest(crypto::Algorithm::sha256, octets);
}

struct BodyRow {
  std::string_view name, body, simple, relaxed;  ///< the canonical forms written out
};

const BodyRow kBodies[] = {
    {"nothing", "", "\r\n", ""},
    {"one empty line", "\r\n", "\r\n", ""},
    {"empty lines only", "\r\n\r\n\r\n", "\r\n", ""},
    {"blanks only", " \t\r\n \r\n", " \t\r\n \r\n", ""},
    {"no line end", "abc", "abc\r\n", "abc\r\n"},
    {"empty lines at the end", "abc\r\n\r\n\r\n", "abc\r\n", "abc\r\n"},
    {"empty lines inside", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
    {"blanks inside and at the end", " a \t b \t\r\nc  d\t", " a \t b \t\r\nc  d\t\r\n", " a b\r\nc d\r\n"},
    {"the example of RFC 6376 §3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"},
    {"a bare LF ends a line", "a \nb\n\n", "a \r\nb\r\n", "a\r\nb\r\n"},
};

TEST(BodyHash, CanonicalFormsAtEverySplit) {
  for (const BodyRow& row : kBodies) {
    SCOPED_TRACE(row.name);
    for (const Canonical canonical : {Canonical::simple, Canonical::relaxed}) {
      const std::string_view expected = canonical == Canonical::simple ? row.simple : row.relaxed;
      test::for_each_split(row.body, [&](const std::vector<std::string_view>& pieces) {
        BodyHash hash(canonical, crypto::Algorithm::sha256);
        for (const std::string_view piece : pieces) hash.update(piece);
        const BodyHash::Result result = hash.finish();
        ASSERT_EQ(result.digest, sha256(expected)) << to_string(canonical);
        ASSERT_EQ(result.octets, expected.size());
      });
    }
  }
}

TEST(BodyHash, LengthCutsTheCanonicalBody) {
  const std::string_view body = "a \t b\r\nc\r\n";
  for (std::uint64_t length = 0; length <= 8; ++length) {
    const BodyHash::Result result = hashed(body, Canonical::relaxed, length);
    EXPECT_EQ(result.digest, sha256(std::string_view("a b\r\nc\r\n").substr(0, length)));
    EXPECT_EQ(result.octets, 8U);
  }
}

TEST(BodyHash, EachIsComputedOnceAndKeepsItsPlace) {
  BodyHashes hashes("abc\r\n");
  const BodyHash::Result* first = &hashes.get(Canonical::simple, crypto::Algorithm::sha256, BodyHash::kWhole);
  (void)hashes.get(Canonical::relaxed, crypto::Algorithm::sha256, 2);
  EXPECT_EQ(&hashes.get(Canonical::simple, crypto::Algorithm::sha256, BodyHash::kWhole), first);
}

TEST(BodyHash, MailauthCases) {
  const char* shared = std::getenv("POSTERN_SHARED");
  std::ifstream file(std::string(shared == nullptr ? "" : shared) +
                     "/conformance/dkim/mailauth/body-hash-cases.json");
  if (!file) GTEST_SKIP() << "no conformance data";
  for (const auto& row : nlohmann::json::parse(file)) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto body = crypto::decode_base64(row["body_b64"].get<std::string>());
    ASSERT_TRUE(body);
    const auto canonical = row["canonicalization"] == "relaxed" ? Canonical::relaxed : Canonical::simple;
    const auto algorithm =
        row["algorithm"] == "rsa-sha1" ? crypto::Algorithm::sha1 : crypto::Algorithm::sha256;
    const auto& limit = row["body_length_limit"];
    const std::uint64_t length = limit.is_null() ? BodyHash::kWhole : limit.get<std::uint64_t>();
    test::for_each_split(
        *body,
        [&](const std::vector<std::string_view>& pieces) {
          BodyHash hash(canonical, algorithm, length);
          for (const std::string_view piece : pieces) hash.update(piece);
          ASSERT_EQ(crypto::encode_base64(hash.finish().digest), row["expected_bh"].get<std::string>());
        },
        256);
  }
}

}  // namespace
}  // namespace postern::filters::dkim
