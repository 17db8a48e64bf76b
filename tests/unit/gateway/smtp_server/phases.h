#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/gateway/smtp_server/fixture.h"

namespace postern::test {

/// Every place in which a visit can stand when something happens to it from outside.
struct Phase {
  std::string_view name;
  void (*prepare)(TestHouse&);         ///< before the server starts
  void (*reach)(Client&, TestHouse&);  ///< from connect to there
  std::string_view after_release;      ///< what the house's answer lets the client send; empty: nothing
  std::string_view drained;            ///< what it hears when the server drains, until it is closed
  bool held = false;                   ///< the house is thinking
};

namespace phase {

inline void nothing(TestHouse&) {}
inline void proxied(TestHouse& house) {
  house.expects_proxy = [](const filters::Ip&) { return true; };
}
inline void delayed(TestHouse& house) {
  house.terms_of_all.greeting_delay = std::chrono::seconds(30);
}
inline void with_tls(TestHouse& house) {
  house.terms_of_all.tls = plain_contexts();
  house.terms_of_all.session.tls_available = true;
}
inline void silent(Client&, TestHouse&) {}
inline void greeted(Client& client, TestHouse&) {
  EXPECT_EQ(client.reply().substr(0, 3), "220");
}
inline void in_transaction(Client& client, TestHouse& house) {
  greeted(client, house);
  client.send("EHLO c.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@test.example>\r\n");
  EXPECT_EQ(client.codes(3), "250 250 250");
}
inline void in_data(Client& client, TestHouse& house) {
  in_transaction(client, house);
  EXPECT_EQ(client.say("DATA").substr(0, 3), "354");
  client.send("Half a mess");
}
inline void in_tls(Client& client, TestHouse& house) {
  greeted(client, house);
  EXPECT_EQ(client.say("STARTTLS").substr(0, 3), "220");
  EXPECT_TRUE(client.start_tls());
  EXPECT_EQ(client.say("EHLO c.example").substr(0, 3), "250");
}

inline constexpr std::string_view kBye = "421 4.3.2 Shutting down, try again later\r\n";
inline constexpr std::string_view kGreetedAndBye =
    "220 mx.test.example ESMTP Postern\r\n421 4.3.2 Shutting down, try again later\r\n";
inline constexpr std::string_view kOkAndBye = "250 2.0.0 Ok\r\n421 4.3.2 Shutting down, try again later\r\n";
inline constexpr std::string_view kTakenAndBye =
    "250 2.0.0 Ok (id test)\r\n421 4.3.2 Shutting down, try again later\r\n";

}  // namespace phase

inline constexpr Phase kPhases[] = {
    {"before the PROXY header", phase::proxied, phase::silent, "", ""},
    {"inside the PROXY header", phase::proxied,
     [](Client& client, TestHouse&) { client.send("PROXY TCP4 198.51.100.7 "); }, "", ""},
    {"waiting for the greeting", phase::delayed, phase::silent, "", phase::kBye},
    {"the house thinks about the client", [](TestHouse& house) { house.hold(smtp::Stage::connect); },
     [](Client&, TestHouse& house) { EXPECT_TRUE(house.wait_until_held()); }, "", phase::kGreetedAndBye,
     true},
    {"idle after the greeting", phase::nothing, phase::greeted, "", phase::kBye},
    {"inside a command line", phase::nothing,
     [](Client& client, TestHouse& house) {
       phase::greeted(client, house);
       client.send("NO");
     },
     "OP\r\n", phase::kOkAndBye},
    {"idle inside a transaction", phase::nothing, phase::in_transaction, "", phase::kBye},
    {"the house thinks about MAIL", [](TestHouse& house) { house.hold(smtp::Stage::mail); },
     [](Client& client, TestHouse& house) {
       phase::greeted(client, house);
       EXPECT_EQ(client.say("EHLO c.example").substr(0, 3), "250");
       client.send("MAIL FROM:<a@client.example>\r\n");
       EXPECT_TRUE(house.wait_until_held());
     },
     "", "250 2.1.0 Sender ok\r\n421 4.3.2 Shutting down, try again later\r\n", true},
    {"inside DATA", phase::nothing, phase::in_data, "age\r\n.\r\n", phase::kTakenAndBye},
    {"between chunks", phase::nothing,
     [](Client& client, TestHouse& house) {
       phase::in_transaction(client, house);
       client.send("BDAT 4\r\nOne ");
       EXPECT_EQ(client.codes(1), "250");
     },
     "BDAT 3 LAST\r\ntwo", phase::kTakenAndBye},
    {"the house stores the message", [](TestHouse& house) { house.hold(smtp::Stage::message); },
     [](Client& client, TestHouse& house) {
       phase::in_data(client, house);
       client.send("age\r\n.\r\n");
       EXPECT_TRUE(house.wait_until_held());
     },
     "", phase::kTakenAndBye, true},
    {"before the ClientHello", phase::with_tls,
     [](Client& client, TestHouse& house) {
       phase::greeted(client, house);
       EXPECT_EQ(client.say("STARTTLS").substr(0, 3), "220");
     },
     "never mind", ""},
    {"idle over TLS", phase::with_tls, phase::in_tls, "", phase::kBye},
};

}  // namespace postern::test
