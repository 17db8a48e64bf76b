#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "gateway/smtp/session.h"
#include "tests/support/splits.h"

namespace postern::smtp {
namespace {

/// A house that knows one password, and asks for "bW9yZQ==" ("more") when AUTH came without one.
struct Visit {
  Session session;
  std::string said;
  std::string asked;  ///< what AUTH gave to the house

  static SessionOptions options(bool required) {
    SessionOptions made;
    made.hostname = "mx.example";
    made.auth_mechanisms = "PLAIN SCRAM-SHA-256";
    made.auth_required = required;
    return made;
  }
  explicit Visit(bool tls, bool required = true) : session(options(required), {}, nullptr) {
    if (tls) session.tls_established(true);
  }

  void run(std::string_view octets) {
    session.feed(octets);
    for (;;) {
      const Step step = session.next();
      if (std::holds_alternative<NeedInput>(step) || std::holds_alternative<Close>(step)) break;
      if (const auto* ask = std::get_if<Ask>(&step)) answer(ask->stage);
    }
    said += session.take_output();
  }
  void answer(Stage stage) {
    if (stage == Stage::connect) return session.decide({.code = 220});
    if (stage != Stage::auth) return session.decide({.code = 250});
    const AuthInput& input = session.pending_auth();
    asked += input.mechanism + (input.begins ? "!" : "?") + input.base64.value_or("-") + ";";
    if (!input.base64) return session.decide({.code = 334, .text = "bW9yZQ=="});
    if (*input.base64 == "Z29vZA==")
      return session.decide({.code = 235, .enhanced = "2.7.0", .text = "Welcome"});
    session.decide({.code = 535, .enhanced = "5.7.8", .text = "No"});
  }
};

struct Case {
  std::string_view name, input, codes, asked;
  bool authenticated;
  bool tls = true;
};

constexpr Case kCases[] = {
    {"initial response", "AUTH PLAIN Z29vZA==\r\n", "235", "PLAIN!Z29vZA==;", true},
    {"mechanism in any case", "auth plain Z29vZA==\r\n", "235", "plain!Z29vZA==;", true},
    {"challenge", "AUTH PLAIN\r\nZ29vZA==\r\n", "334 235", "PLAIN!-;PLAIN?Z29vZA==;", true},
    {"wrong", "AUTH PLAIN YmFk\r\n", "535", "PLAIN!YmFk;", false},
    {"wrong, then right", "AUTH PLAIN YmFk\r\nAUTH PLAIN Z29vZA==\r\n", "535 235",
     "PLAIN!YmFk;PLAIN!Z29vZA==;", true},
    {"empty initial response", "AUTH PLAIN =\r\n", "535", "PLAIN!;", false},
    {"empty answer", "AUTH PLAIN\r\n\r\n", "334 535", "PLAIN!-;PLAIN?;", false},
    {"cancelled", "AUTH PLAIN\r\n*\r\nNOOP\r\n", "334 501 250", "PLAIN!-;", false},
    {"a command is no answer", "AUTH PLAIN\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\n", "334 501 250", "PLAIN!-;",
     false},
    {"bare LF", "AUTH PLAIN\r\nZ29vZA==\nNOOP\r\nNOOP\r\n", "334 500 250", "PLAIN!-;", false},
    {"no base64", "AUTH PLAIN a:b\r\n", "501", "", false},
    {"no mechanism", "AUTH\r\n", "501", "", false},
    {"two responses", "AUTH PLAIN a b\r\n", "501", "", false},
    {"not offered", "AUTH CRAM-MD5\r\n", "504", "", false},
    {"part of a name", "AUTH SCRAM\r\n", "504", "", false},
    {"twice", "AUTH PLAIN Z29vZA==\r\nAUTH PLAIN Z29vZA==\r\n", "235 503", "PLAIN!Z29vZA==;", true},
    {"inside a transaction", "AUTH PLAIN Z29vZA==\r\nMAIL FROM:<a@b.example>\r\nAUTH PLAIN Z29vZA==\r\n",
     "235 250 503", "PLAIN!Z29vZA==;", true},
    {"MAIL before AUTH", "MAIL FROM:<a@b.example>\r\n", "530", "", false},
    {"VRFY before AUTH", "VRFY a\r\n", "530", "", false},
    {"AUTH= of MAIL",
     "AUTH PLAIN Z29vZA==\r\nMAIL FROM:<a@b.example> AUTH=<>\r\nRSET\r\nMAIL FROM:<a@b.example> "
     "AUTH=a+ZZ\r\n",
     "235 250 250 501", "PLAIN!Z29vZA==;", true},
    {"not without TLS", "AUTH PLAIN Z29vZA==\r\n", "538", "", false, false},
};

std::string codes_of(std::string_view said) {
  std::string codes;
  while (!said.empty()) {
    const std::size_t end = said.find("\r\n");
    if (said[3] != '-') codes += (codes.empty() ? "" : " ") + std::string(said.substr(0, 3));
    said.remove_prefix(end + 2);
  }
  return codes;
}

TEST(SessionAuth, DialoguesAtEverySplit) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    test::for_each_split(c.input, [&](const std::vector<std::string_view>& pieces) {
      Visit visit(c.tls);
      visit.run("EHLO client.example\r\n");
      visit.said.clear();
      for (const std::string_view piece : pieces) visit.run(piece);
      EXPECT_EQ(codes_of(visit.said), c.codes) << visit.said;
      EXPECT_EQ(visit.asked, c.asked);
      EXPECT_EQ(visit.session.authenticated(), c.authenticated);
    });
  }
}

TEST(SessionAuth, IsOfferedUnderTlsOnlyAndOnce) {
  Visit plain(false);
  plain.run("EHLO client.example\r\n");
  EXPECT_EQ(plain.said.find("AUTH"), std::string::npos);
  Visit secure(true);
  secure.run("EHLO client.example\r\n");
  EXPECT_NE(secure.said.find("250-AUTH PLAIN SCRAM-SHA-256\r\n"), std::string::npos);
  secure.run("AUTH PLAIN Z29vZA==\r\n");
  secure.said.clear();
  secure.run("EHLO client.example\r\n");
  EXPECT_EQ(secure.said.find("AUTH"), std::string::npos);
}

TEST(SessionAuth, NeedsEhlo) {
  Visit visit(true);
  visit.run("HELO client.example\r\nAUTH PLAIN Z29vZA==\r\n");
  EXPECT_EQ(codes_of(visit.said), "220 250 503");
}

TEST(SessionAuth, ProtocolNames) {  // RFC 3848
  Visit visit(true);
  visit.run("EHLO client.example\r\nAUTH PLAIN Z29vZA==\r\nMAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(visit.session.protocol_name(), "ESMTPSA");
}

TEST(SessionAuth, TheLogHoldsNoSecret) {
  for (const std::string_view line :
       {"AUTH PLAIN c2VjcmV0\r\n", "AUTH PLAIN c2VjcmV0 x\r\n", "AUTH PLAIN c2VjcmV0:\r\n",
        "AUTH NONE c2VjcmV0\r\n", "AUTH PLAIN c2VjcmV0\x01\r\n", "AUTH PLAIN c2VjcmV0\n\r\n",
        "AUTH PLAIN c2VjcmV0\xff\r\n", "AUTH PLAIN\r\nc2VjcmV0\r\n", "AUTH PLAIN\r\nc2VjcmV0:\r\n"}) {
    SCOPED_TRACE(line);
    Visit visit(true);
    visit.run("EHLO client.example\r\n");
    visit.run(line);
    EXPECT_FALSE(visit.session.last_refusal().empty());
    EXPECT_EQ(visit.session.last_refusal().find("c2VjcmV0"), std::string::npos)
        << visit.session.last_refusal();
    EXPECT_EQ(visit.said.find("c2VjcmV0"), std::string::npos);
  }
}

TEST(SessionAuth, LongLineInside) {
  Visit visit(true);
  visit.run("EHLO client.example\r\nAUTH PLAIN\r\n");
  visit.said.clear();
  visit.run(std::string(5000, 'A') + "\r\nNOOP\r\n");
  EXPECT_EQ(codes_of(visit.said), "500 250");
}

TEST(SessionAuth, WithoutMechanismsThereIsNone) {
  SessionOptions options;
  options.hostname = "mx.example";
  Session session(options, {}, nullptr);
  session.tls_established(true);
  session.feed("EHLO c.example\r\nAUTH PLAIN Z29vZA==\r\n");
  for (;;) {
    const Step step = session.next();
    if (!std::holds_alternative<Ask>(step)) break;
    session.decide({.code = std::get<Ask>(step).stage == Stage::connect ? 220 : 250});
  }
  EXPECT_NE(session.take_output().find("502 5.5.1"), std::string::npos);
}

}  // namespace
}  // namespace postern::smtp
