#include "gateway/smtp/sasl/message.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::smtp::sasl {
namespace {

using namespace std::string_view_literals;

struct PlainCase {
  std::string_view name, message;
  bool good;
};
TEST(SaslPlain, Parses) {  // RFC 4616 §2
  const std::string long_user(kUserOctetsMax, 'u'), long_password(kPasswordOctetsMax, 'p');
  const std::string at_limit = std::string(1, '\0') + long_user + '\0' + long_password;
  const std::string user_over = std::string(1, '\0') + long_user + "u" + '\0' + "p";
  const std::string password_over = std::string(1, '\0') + "u" + '\0' + long_password + "p";
  const PlainCase cases[] = {
      {"usual", "\0tim\0secret"sv, true},
      {"authorization", "tim\0tim\0secret"sv, true},
      {"utf-8", "\0t\xc3\xaf\0s\xc3\xa9"sv, true},
      {"no NUL", "tim"sv, false},
      {"one NUL", "tim\0secret"sv, false},
      {"three NULs", "\0tim\0sec\0ret"sv, false},
      {"no user", "\0\0secret"sv, false},
      {"no password", "\0tim\0"sv, false},
      {"no UTF-8", "\0tim\0\xff"sv, false},
      {"at the limits", at_limit, true},
      {"user over", user_over, false},
      {"password over", password_over, false},
      {"empty", "", false},
  };
  for (const PlainCase& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(parse_plain(c.message).has_value(), c.good);
  }
  EXPECT_EQ(parse_plain("a\0u\0p"sv)->authorization, "a");
  EXPECT_EQ(parse_plain("a\0u\0p"sv)->user, "u");
  EXPECT_EQ(parse_plain("a\0u\0p"sv)->password, "p");
}

struct FirstCase {
  std::string_view name, message, user;  ///< user empty: refused
};
constexpr FirstCase kFirst[] = {
    {"usual", "n,,n=user,r=abc", "user"},
    {"client could bind", "y,,n=user,r=abc", "user"},
    {"channel binding is not offered", "p=tls-unique,,n=user,r=abc", ""},
    {"authorization", "n,a=user,n=user,r=abc", "user"},
    {"for somebody else", "n,a=root,n=user,r=abc", ""},
    {"escaped", "n,,n=a=2Cb=3Dc,r=abc", "a,b=c"},
    {"bad escape", "n,,n=a=2cb,r=abc", ""},
    {"extension", "n,,n=user,r=abc,x=1", "user"},
    {"mandatory extension", "n,,m=x,n=user,r=abc", ""},
    {"no nonce", "n,,n=user", ""},
    {"empty nonce", "n,,n=user,r=", ""},
    {"blank in the nonce", "n,,n=user,r=a b", ""},
    {"no user", "n,,n=,r=abc", ""},
    {"order", "n,,r=abc,n=user", ""},
    {"no header", "n=user,r=abc", ""},
    {"half a header", "n,", ""},
    {"empty", "", ""},
};
TEST(SaslScram, ParsesTheFirst) {
  for (const FirstCase& c : kFirst) {
    SCOPED_TRACE(c.name);
    const auto first = parse_scram_first(c.message);
    ASSERT_EQ(first.has_value(), !c.user.empty());
    if (first) {
      EXPECT_EQ(first->user, c.user);
      EXPECT_EQ(first->nonce, "abc");
      EXPECT_EQ(first->gs2_header + first->bare, c.message);
    }
  }
  EXPECT_TRUE(parse_scram_first("n,,n=u,r=" + std::string(kNonceOctetsMax, 'x')));
  EXPECT_FALSE(parse_scram_first("n,,n=u,r=" + std::string(kNonceOctetsMax + 1, 'x')));
}

struct FinalCase {
  std::string_view name, message;
  bool good;
};
constexpr FinalCase kFinal[] = {
    {"usual", "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", true},
    {"extension", "c=biws,r=abc,x=1,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", true},
    {"short proof", "c=biws,r=abc,p=dHzb", false},
    {"no base64", "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ", false},
    {"blanks in base64", "c=bi ws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", false},
    {"no binding", "r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", false},
    {"no nonce", "c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", false},
    {"no proof", "c=biws,r=abc", false},
    {"something behind the proof", "c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=1", false},
    {"empty", "", false},
};
TEST(SaslScram, ParsesTheFinal) {
  for (const FinalCase& c : kFinal) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(parse_scram_final(c.message).has_value(), c.good);
  }
}

}  // namespace
}  // namespace postern::smtp::sasl
