#include "gateway/smtp/sasl/exchange.h"

#include <gtest/gtest.h>

#include <string>

#include "filters/authentication/crypto/base64.h"

namespace postern::smtp::sasl {
namespace {

using namespace std::string_view_literals;

// RFC 7677 §3.
constexpr std::string_view kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view kFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view kFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
    "Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

ScramSecret secret_of_the_rfc() {
  return make_scram("pencil", *filters::crypto::decode_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
}

Exchange scram() {
  return Exchange(Mechanism::scram_sha_256, std::string(kServerNonce));
}

TEST(Exchange, ScramOfRfc7677) {
  Exchange exchange = scram();
  Step step = exchange.begin(kFirst);
  ASSERT_TRUE(std::holds_alternative<LookUp>(step));
  EXPECT_EQ(std::get<LookUp>(step).user, "user");
  step = exchange.found(secret_of_the_rfc());
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, kServerFirst);
  step = exchange.respond(kFinal);
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, kServerFinal);
  step = exchange.respond("");
  ASSERT_TRUE(std::holds_alternative<Proved>(step));
  EXPECT_EQ(std::get<Proved>(step).user, "user");
  EXPECT_TRUE(std::holds_alternative<Refused>(exchange.respond("")));
}

struct FinalCase {
  std::string_view name;
  std::string message;
  bool malformed;
};
TEST(Exchange, ScramRefusesEveryOtherFinal) {
  const std::string good(kFinal);
  std::string proof = good;
  proof[proof.find("p=") + 2] = 'e';
  std::string nonce = good;
  nonce[nonce.find("rOpr")] = 's';
  std::string binding = good;
  binding.replace(0, 6, "c=eSws");  // "y,,": the client said "n" before
  const FinalCase cases[] = {
      {"another proof", proof, false},
      {"another nonce", nonce, false},
      {"another header", binding, false},
      {"nothing", "", true},
      {"extension changes what is signed",
       good.substr(0, good.find(",p=")) + ",x=1" + good.substr(good.find(",p=")), false},
  };
  for (const FinalCase& c : cases) {
    SCOPED_TRACE(c.name);
    Exchange exchange = scram();
    (void)exchange.begin(kFirst);
    (void)exchange.found(secret_of_the_rfc());
    const Step step = exchange.respond(c.message);
    ASSERT_TRUE(std::holds_alternative<Refused>(step));
    EXPECT_EQ(std::get<Refused>(step).malformed, c.malformed);
    EXPECT_TRUE(std::holds_alternative<Refused>(exchange.respond(kFinal)));  // and no second try
  }
}

TEST(Exchange, ScramWithADecoyNeverFits) {
  Exchange exchange = scram();
  (void)exchange.begin(kFirst);
  (void)exchange.found(decoy_scram("user", "server"));
  EXPECT_TRUE(std::holds_alternative<Refused>(exchange.respond(kFinal)));
}

TEST(Exchange, ScramWithoutInitialResponse) {
  Exchange exchange = scram();
  const Step step = exchange.begin(std::nullopt);
  ASSERT_TRUE(std::holds_alternative<Challenge>(step));
  EXPECT_EQ(std::get<Challenge>(step).octets, "");
  EXPECT_TRUE(std::holds_alternative<LookUp>(exchange.respond(kFirst)));
}

TEST(Exchange, FoundBeforeItIsAsked) {
  Exchange exchange = scram();
  EXPECT_TRUE(std::holds_alternative<Refused>(exchange.found(secret_of_the_rfc())));
}

TEST(Exchange, Plain) {
  Exchange exchange(Mechanism::plain, "");
  const Step step = exchange.begin("\0tim\0secret"sv);
  ASSERT_TRUE(std::holds_alternative<CheckPassword>(step));
  EXPECT_EQ(std::get<CheckPassword>(step).user, "tim");
  EXPECT_EQ(std::get<CheckPassword>(step).password, "secret");
  EXPECT_TRUE(std::holds_alternative<Refused>(exchange.respond("\0tim\0secret"sv)));
  EXPECT_FALSE(std::get<Refused>(Exchange(Mechanism::plain, "").begin("root\0tim\0secret"sv)).malformed);
  EXPECT_TRUE(std::get<Refused>(Exchange(Mechanism::plain, "").begin("nonsense")).malformed);
}

TEST(Exchange, Login) {
  Exchange exchange(Mechanism::login, "");
  Step step = exchange.begin(std::nullopt);
  EXPECT_EQ(std::get<Challenge>(step).octets, "Username:");
  step = exchange.respond("tim");
  EXPECT_EQ(std::get<Challenge>(step).octets, "Password:");
  step = exchange.respond("secret");
  EXPECT_EQ(std::get<CheckPassword>(step).password, "secret");
  Exchange with_user(Mechanism::login, "");  // some clients send the user along
  EXPECT_EQ(std::get<Challenge>(with_user.begin("tim")).octets, "Password:");
  Exchange empty(Mechanism::login, "");
  (void)empty.begin(std::nullopt);
  EXPECT_TRUE(std::holds_alternative<Refused>(empty.respond("")));
}

TEST(Mechanisms, Names) {
  EXPECT_EQ(mechanism_of("plain"), Mechanism::plain);
  EXPECT_EQ(mechanism_of("Scram-Sha-256"), Mechanism::scram_sha_256);
  EXPECT_FALSE(mechanism_of("SCRAM-SHA-256-PLUS"));
  EXPECT_FALSE(mechanism_of("CRAM-MD5"));
  EXPECT_EQ(to_string(Mechanism::login), "LOGIN");
}

}  // namespace
}  // namespace postern::smtp::sasl
