#include "gateway/smtp/sasl/secret.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::smtp::sasl {
namespace {

const std::string kSalt(kSaltOctets, 's');

TEST(Scrypt, KeepsAndChecks) {
  const std::string kept = make_scrypt("correct horse", kSalt);
  EXPECT_TRUE(kept.starts_with("scrypt:14:8:1:"));
  EXPECT_TRUE(is_scrypt(kept));
  EXPECT_TRUE(check_scrypt(kept, "correct horse"));
  EXPECT_FALSE(check_scrypt(kept, "correct horsf"));
  EXPECT_FALSE(check_scrypt(kept, ""));
  EXPECT_FALSE(check_scrypt("", ""));
}

TEST(Scrypt, VectorOfRfc7914) {  // §12, the third: N=16384, r=8, p=1; the first 32 octets
  const std::string made = make_scrypt("pleaseletmein", "SodiumChloride");
  EXPECT_EQ(made, "scrypt:14:8:1:U29kaXVtQ2hsb3JpZGU=:cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI=");
}

struct TextCase {
  std::string_view name, text;
};
constexpr TextCase kBadScrypt[] = {
    {"empty", ""},
    {"another", "argon2:14:8:1:YQ==:YQ=="},
    {"too costly", "scrypt:21:8:1:YQ==:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="},
    {"too cheap", "scrypt:9:8:1:YQ==:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="},
    {"short hash", "scrypt:14:8:1:YQ==:YQ=="},
    {"no salt", "scrypt:14:8:1::YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="},
    {"more", "scrypt:14:8:1:YQ==:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:x"},
    {"negative", "scrypt:-1:8:1:YQ==:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="},
};
TEST(Scrypt, RefusesOtherTexts) {
  for (const TextCase& c : kBadScrypt) {
    SCOPED_TRACE(c.name);
    EXPECT_FALSE(is_scrypt(c.text));
  }
}

TEST(Scram, TextThereAndBack) {
  const ScramSecret made = make_scram("pencil", kSalt, 4096);
  const auto read = parse_scram(to_text(made));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->iterations, 4096U);
  EXPECT_EQ(read->salt, made.salt);
  EXPECT_EQ(read->stored_key, made.stored_key);
  EXPECT_EQ(read->server_key, made.server_key);
  for (const std::string_view bad : {"", "SCRAM-SHA-256", "SCRAM-SHA-1:1:YQ==:YQ==:YQ==",
                                     "SCRAM-SHA-256:0:YQ==:YQ==:YQ==", "SCRAM-SHA-256:4096:YQ==:YQ==:YQ=="})
    EXPECT_FALSE(parse_scram(bad)) << bad;
}

TEST(Scram, DecoysAreSteadyAndDiffer) {
  const ScramSecret one = decoy_scram("a", "key"), again = decoy_scram("a", "key"),
                    other = decoy_scram("b", "key");
  EXPECT_EQ(one.salt, again.salt);
  EXPECT_NE(one.salt, other.salt);
  EXPECT_EQ(one.iterations, kScramIterations);
  EXPECT_EQ(one.salt.size(), kSaltOctets);
}

TEST(SameOctets, Compares) {
  EXPECT_TRUE(same_octets("abc", "abc"));
  EXPECT_FALSE(same_octets("abc", "abd"));
  EXPECT_FALSE(same_octets("abc", "ab"));
  EXPECT_TRUE(same_octets("", ""));
}

}  // namespace
}  // namespace postern::smtp::sasl
