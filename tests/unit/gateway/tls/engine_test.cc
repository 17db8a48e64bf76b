#include "gateway/tls/engine.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/tls/connection.h"

namespace postern::tls {
namespace {

using test::Connection;
using test::TlsClientOptions;
using State = Engine::State;

struct VersionCase {
  std::string_view name;
  int version;
  std::string ciphers;
  std::string_view version_text, cipher_text;
};

const VersionCase kVersionCases[] = {
    {"TLS 1.3", TLS1_3_VERSION, "", "TLSv1.3", "TLS_AES_128_GCM_SHA256"},
    {"TLS 1.2, our order", TLS1_2_VERSION, "", "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {"TLS 1.2, our order against the client's", TLS1_2_VERSION,
     "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2",
     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {"TLS 1.2, a client without AES in hardware", TLS1_2_VERSION,
     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2",
     "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    {"TLS 1.2, CBC as the last way", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA",
     "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"},
};

TEST(Engine, SpeaksEachVersionAndSaysWhatItAgreedOn) {
  for (const VersionCase& c : kVersionCases) {
    SCOPED_TRACE(c.name);
    Connection connection(test::plain_contexts(), {.server_name = "One.Example",
                                                   .version_min = c.version,
                                                   .version_max = c.version,
                                                   .ciphers = c.ciphers});
    ASSERT_TRUE(connection.shake()) << connection.failure;
    const Established facts = connection.server.established();
    EXPECT_EQ(facts.version, c.version_text);
    EXPECT_EQ(facts.cipher, c.cipher_text);
    EXPECT_EQ(facts.server_name, "one.example");
    EXPECT_FALSE(facts.resumed);
    EXPECT_EQ(connection.server_reads(connection.client.encrypted("EHLO a.example\r\n")),
              "EHLO a.example\r\n");
    ASSERT_TRUE(connection.server.write("250 fine\r\n"));
    EXPECT_EQ(connection.client_reads(), "250 fine\r\n");
  }
}

struct RefusalCase {
  std::string_view name;
  TlsClientOptions options;
  std::string_view reason;
};

const RefusalCase kRefusalCases[] = {
    {"TLS 1.1", {.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION}, "unsupported protocol"},
    {"no forward secrecy",
     {.version_max = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256:AES128-SHA"},
     "no shared cipher"},
    {"SHA-1 suites only",
     {.version_max = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA"},
     "no shared cipher"},
    {"RSA only, and we have EC",
     {.version_max = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
     "no shared cipher"},
};

TEST(Engine, RefusesWhatIsTooWeakWithAnAlert) {
  for (const RefusalCase& c : kRefusalCases) {
    SCOPED_TRACE(c.name);
    Connection connection(test::plain_contexts(), c.options);
    (void)connection.client.handshake();
    connection.server.feed(connection.client.take_output());
    const auto state = connection.server.handshake();
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().reason, c.reason);
    EXPECT_EQ(connection.server.state(), State::failed);
    const std::string alert = connection.server.take_output();
    ASSERT_FALSE(alert.empty());
    EXPECT_EQ(static_cast<unsigned char>(alert[0]), SSL3_RT_ALERT);
    // Failed stays failed, and says the same.
    connection.server.feed("more");
    std::string out;
    EXPECT_EQ(connection.server.handshake().error().reason, c.reason);
    EXPECT_EQ(connection.server.read(out, 100).error().reason, c.reason);
    EXPECT_EQ(connection.server.write("x").error().reason, c.reason);
    EXPECT_FALSE(connection.server.input_pending());
    connection.server.shutdown();
    EXPECT_TRUE(connection.server.take_output().empty());
  }
}

struct GarbageCase {
  std::string_view name, octets, reason;
};

const GarbageCase kGarbageCases[] = {
    {"an SMTP command", "EHLO a.example\r\n", "wrong version number"},
    {"HTTP", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "http request"},
    {"a record longer than any", std::string_view("\x16\x03\x01\xff\xff", 5), "packet length too long"},
    {"data before the handshake", std::string_view("\x17\x03\x03\x00\x01x", 6), "unexpected message"},
};

TEST(Engine, NamesWhatIsNoHandshake) {
  for (const GarbageCase& c : kGarbageCases) {
    SCOPED_TRACE(c.name);
    Engine server(test::plain_contexts());
    server.feed(c.octets);
    EXPECT_TRUE(server.input_pending());
    const auto state = server.handshake();
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().reason, c.reason);
  }
}

TEST(Engine, AnswersTheSameAtEverySplitOfTheHandshake) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    Connection whole(test::plain_contexts(), {.version_min = version, .version_max = version});
    (void)whole.client.handshake();
    const std::string hello = whole.client.take_output();
    for (std::size_t split = 1; split < hello.size(); ++split) {
      Engine server(test::plain_contexts());
      server.feed(std::string_view(hello).substr(0, split));
      ASSERT_FALSE(server.input_pending()) << split;  // no step is worth a slot yet
      ASSERT_EQ(server.handshake().value(), State::handshaking) << split;
      ASSERT_TRUE(server.take_output().empty()) << split;
      server.feed(std::string_view(hello).substr(split));
      ASSERT_TRUE(server.input_pending()) << split;
      ASSERT_EQ(server.handshake().value(), State::handshaking) << split;
      ASSERT_FALSE(server.take_output().empty()) << split;
    }
  }
}

TEST(Engine, DecryptsTheSameAtEverySplit) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    Connection connection(test::plain_contexts(), {.version_min = version, .version_max = version});
    ASSERT_TRUE(connection.shake());
    for (std::size_t split = 0;; ++split) {
      std::string wire = connection.client.encrypted("MAIL FROM:<>\r\n");
      wire += connection.client.encrypted("DATA\r\n");
      if (split > wire.size()) break;
      std::string text = connection.server_reads(std::string_view(wire).substr(0, split));
      text += connection.server_reads(std::string_view(wire).substr(split));
      ASSERT_EQ(text, "MAIL FROM:<>\r\nDATA\r\n") << split;
      ASSERT_FALSE(connection.server.input_pending());
    }
  }
}

TEST(Engine, TakesOneOctetAtATime) {
  Connection connection;
  bool client_done = false;
  for (int flight = 0; flight < 4; ++flight) {
    client_done = connection.client.handshake();
    for (const char octet : connection.client.take_output()) {
      connection.server.feed(std::string_view(&octet, 1));
      ASSERT_TRUE(connection.server.handshake());
    }
    connection.client.feed(connection.server.take_output());
  }
  ASSERT_TRUE(client_done);
  std::string text;
  for (const char octet : connection.client.encrypted("NOOP\r\n"))
    text += connection.server_reads(std::string_view(&octet, 1));
  EXPECT_EQ(text, "NOOP\r\n");
}

TEST(Engine, DataBehindTheClientsFinishedWaitsForRead) {
  Connection connection;
  (void)connection.client.handshake();
  connection.server.feed(connection.client.take_output());
  ASSERT_TRUE(connection.server.handshake());
  connection.client.feed(connection.server.take_output());
  ASSERT_TRUE(connection.client.handshake());
  // Finished and the first command arrive in one piece.
  const std::string finished = connection.client.take_output();
  connection.server.feed(finished + connection.client.encrypted("EHLO a.example\r\n"));
  ASSERT_EQ(connection.server.handshake().value(), State::open);
  EXPECT_TRUE(connection.server.input_pending());
  EXPECT_EQ(connection.server_reads(""), "EHLO a.example\r\n");
}

TEST(Engine, ReadStopsAtItsLimitAndGoesOnFromThere) {
  std::string sent;
  for (int i = 0; i < 50'000; ++i) sent.push_back(static_cast<char>('a' + i % 26));
  for (const std::size_t limit : {1UL, 16383UL, 16384UL, 16385UL, 49'999UL, 50'000UL, 50'001UL}) {
    SCOPED_TRACE(limit);
    Connection fresh;
    ASSERT_TRUE(fresh.shake());
    fresh.server.feed(fresh.client.encrypted(sent));
    std::string text = "before ";
    ASSERT_EQ(fresh.server.read(text, limit).value(), State::open);
    EXPECT_EQ(text, "before " + sent.substr(0, limit));
    EXPECT_EQ(fresh.server.input_pending(), limit < sent.size());
    std::string rest;
    while (fresh.server.input_pending()) ASSERT_TRUE(fresh.server.read(rest, 20'000));
    EXPECT_EQ(sent.substr(0, limit) + rest, sent);
  }
}

TEST(Engine, WritesLargeThings) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connection connection(test::plain_contexts(), {.version_min = version, .version_max = version});
    ASSERT_TRUE(connection.shake());
    const std::string text(1'000'000, 'x');
    ASSERT_TRUE(connection.server.write(text));
    EXPECT_TRUE(connection.server.output_pending());
    EXPECT_EQ(connection.client_reads(), text);
    EXPECT_FALSE(connection.server.output_pending());
    ASSERT_TRUE(connection.server.write(""));
    EXPECT_TRUE(connection.server.take_output().empty());
  }
}

TEST(Engine, CloseNotifyEndsReadingButNotWriting) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connection connection(test::plain_contexts(), {.version_min = version, .version_max = version});
    ASSERT_TRUE(connection.shake());
    const std::string quit = connection.client.encrypted("QUIT\r\n");
    EXPECT_EQ(connection.server_reads(quit + connection.client.close_notify() + "junk"), "QUIT\r\n");
    EXPECT_EQ(connection.server.state(), State::closed);
    EXPECT_FALSE(connection.server.input_pending());
    EXPECT_TRUE(connection.failure.empty());
    ASSERT_TRUE(connection.server.write("221 bye\r\n"));
    connection.server.shutdown();
    EXPECT_EQ(connection.client_reads(), "221 bye\r\n");
    EXPECT_TRUE(connection.client.saw_close_notify());
    EXPECT_EQ(connection.server.write("x").error().reason, "write after close_notify");
    connection.server.shutdown();
    EXPECT_TRUE(connection.server.take_output().empty());  // once is enough
  }
}

TEST(Engine, EndWithoutCloseNotifyIsAnOrdinaryEnd) {
  Connection connection;
  ASSERT_TRUE(connection.shake());
  const std::string wire = connection.client.encrypted("QUIT\r\n");
  connection.server.feed(wire + wire.substr(0, 7));  // and a record that was cut
  connection.server.feed_eof();
  std::string text;
  ASSERT_EQ(connection.server.read(text, 3).value(),
            State::open);  // what was there before the end still comes
  ASSERT_EQ(connection.server.read(text, 100).value(), State::closed);
  EXPECT_EQ(text, "QUIT\r\n");
}

TEST(Engine, EndDuringTheHandshakeIsAFailure) {
  Connection connection;
  (void)connection.client.handshake();
  connection.server.feed(connection.client.take_output().substr(0, 20));
  connection.server.feed_eof();
  EXPECT_EQ(connection.server.handshake().error().reason, "the peer hung up during the handshake");
}

TEST(Engine, IsNotUsedBeforeTheHandshake) {
  Engine server(test::plain_contexts());
  std::string text;
  EXPECT_EQ(server.read(text, 10).error().reason, "read before the end of the handshake");
  EXPECT_EQ(server.write("220 hello\r\n").error().reason, "write before the end of the handshake");
  EXPECT_EQ(server.state(), State::handshaking);
  server.shutdown();
  EXPECT_TRUE(server.take_output().empty());
}

TEST(Engine, ADamagedRecordIsAFailureAfterWhatCameBefore) {
  Connection connection;
  ASSERT_TRUE(connection.shake());
  const std::string good = connection.client.encrypted("NOOP\r\n");
  std::string bad = connection.client.encrypted("RSET\r\n");
  bad.back() = static_cast<char>(bad.back() ^ 1);
  EXPECT_EQ(connection.server_reads(good + bad), "NOOP\r\n");
  EXPECT_EQ(connection.failure, "decryption failed or bad record mac");
  EXPECT_EQ(connection.server.state(), State::failed);
  (void)connection.client_reads();
  EXPECT_EQ(connection.client.last_reason(), "sslv3 alert bad record mac");
}

TEST(Engine, AStaleErrorOfAnotherConnectionDoesNoHarm) {
  Connection connection;
  ASSERT_TRUE(connection.shake());
  const std::string wire = connection.client.encrypted("NOOP\r\n");
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);  // the queue is the thread's
  EXPECT_EQ(connection.server_reads(wire.substr(0, 10)), "");
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  EXPECT_EQ(connection.server_reads(wire.substr(10)), "NOOP\r\n");
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  EXPECT_TRUE(connection.server.write("250 fine\r\n"));
  EXPECT_EQ(connection.failure, "");
  // Here SSL_read itself comes to WANT_READ: one octet of no record is shown to OpenSSL at once, which waits for four more.
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  EXPECT_EQ(connection.server_reads("\xff"), "");
  EXPECT_EQ(connection.failure, "");
  EXPECT_EQ(connection.server_reads("\xff\xff\xff\xff"), "");
  EXPECT_EQ(connection.failure, "wrong version number");
  Engine fresh(test::plain_contexts());
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  EXPECT_EQ(fresh.handshake().value(), State::handshaking);
}

TEST(Engine, KeyUpdatesAreAnsweredAndBounded) {
  Connection connection(test::plain_contexts(), {.version_min = TLS1_3_VERSION});
  ASSERT_TRUE(connection.shake());
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(connection.server_reads(connection.client.key_update()), "") << i;
    ASSERT_EQ(connection.failure, "") << i;
  }
  EXPECT_EQ(connection.server_reads(connection.client.encrypted("NOOP\r\n")), "NOOP\r\n");
  ASSERT_TRUE(connection.server.write("250 fine\r\n"));
  EXPECT_LT(connection.server.take_output().size(), 64U * 40);  // each answer is a record of a few octets
  EXPECT_EQ(connection.server_reads(connection.client.key_update()), "");
  EXPECT_EQ(connection.failure, "too many handshake messages after the handshake");
}

TEST(Engine, KeyUpdatesInOnePieceAreBoundedToo) {
  Connection connection(test::plain_contexts(), {.version_min = TLS1_3_VERSION});
  ASSERT_TRUE(connection.shake());
  std::string flood;
  for (int i = 0; i < 500; ++i) flood += connection.client.key_update();
  EXPECT_EQ(connection.server_reads(flood), "");
  EXPECT_EQ(connection.failure, "too many handshake messages after the handshake");
}

TEST(Engine, RenegotiationIsRefusedWithAWarningAndTheConnectionLives) {
  Connection connection(test::plain_contexts(), {.version_max = TLS1_2_VERSION});
  ASSERT_TRUE(connection.shake());
  ASSERT_EQ(SSL_renegotiate(connection.client.ssl()), 1);
  (void)connection.client.handshake();
  const std::string hello = connection.client.take_output();
  EXPECT_EQ(connection.server_reads(hello), "");
  EXPECT_EQ(connection.failure, "");
  EXPECT_EQ(connection.server.state(), State::open);
  const std::string alert = connection.server.take_output();
  ASSERT_FALSE(alert.empty());
  EXPECT_EQ(static_cast<unsigned char>(alert[0]), SSL3_RT_ALERT);
  EXPECT_TRUE(connection.server.write("250 fine\r\n"));
}

}  // namespace
}  // namespace postern::tls
