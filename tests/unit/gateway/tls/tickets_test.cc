#include <gtest/gtest.h>

#include "tests/unit/gateway/tls/connection.h"

namespace postern::tls {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using test::Connection;

/// Ticket keys by a clock that stands still until a test moves it.
struct Tickets : testing::Test {
  std::chrono::steady_clock::time_point now{hours(1000)};
  std::shared_ptr<TicketKeys> keys = std::make_shared<TicketKeys>([this] { return now; });
  test::TemporaryFolder folder;
  CertificateFiles files = [this] {
    const auto key = test::ec_key();
    return test::make_certificate(folder.path(), "one", key.get(),
                                  {.names = "DNS:one.example,DNS:two.example"});
  }();
  std::shared_ptr<const Contexts> contexts = Contexts::load({files}, keys).value();

  /// A full handshake, whose client keeps the ticket.
  std::unique_ptr<Connection> first_visit(int version) {
    auto connection = std::make_unique<Connection>(
        contexts, test::TlsClientOptions{.version_min = version, .version_max = version});
    EXPECT_TRUE(connection->shake());
    (void)connection->client.read();  // TLS 1.3 brings the ticket after the handshake
    EXPECT_FALSE(connection->server.established().resumed);
    EXPECT_NE(connection->client.session(), nullptr);
    return connection;
  }
  /// Comes again with the ticket; the connection if it was taken up.
  std::unique_ptr<Connection> next_visit(Connection& before,
                                         std::shared_ptr<const Contexts> there = nullptr) {
    const int version = SSL_version(before.client.ssl());
    auto connection = std::make_unique<Connection>(
        there ? there : contexts,
        test::TlsClientOptions{
            .version_min = version, .version_max = version, .session = before.client.session()});
    EXPECT_TRUE(connection->shake());
    (void)connection->client.read();
    EXPECT_EQ(connection->server.established().resumed, SSL_session_reused(connection->client.ssl()) == 1);
    return connection;
  }
};

TEST_F(Tickets, ResumeInBothVersions) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SCOPED_TRACE(version);
    const auto first = first_visit(version);
    EXPECT_EQ(first->client.tickets(), 1);  // one is enough for a mail client
    const auto second = next_visit(*first);
    EXPECT_TRUE(second->server.established().resumed);
    EXPECT_EQ(second->server_reads(second->client.encrypted("NOOP\r\n")), "NOOP\r\n");
  }
}

TEST_F(Tickets, SurviveAReloadOfTheCertificates) {
  const auto first = first_visit(TLS1_3_VERSION);
  const auto other_key = test::ec_key();
  const auto renewed =
      test::make_certificate(folder.path(), "renewed", other_key.get(), {.names = "DNS:one.example"});
  const auto reloaded = Contexts::load({renewed}, keys).value();
  EXPECT_TRUE(next_visit(*first, reloaded)->server.established().resumed);
}

TEST_F(Tickets, OfAnotherServerMeanAFullHandshake) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto first = first_visit(version);
    const auto stranger = Contexts::load({files}, std::make_shared<TicketKeys>()).value();
    EXPECT_FALSE(next_visit(*first, stranger)->server.established().resumed);
  }
}

std::string ticket_of(const SSL_SESSION* session) {
  const unsigned char* ticket = nullptr;
  std::size_t octets = 0;
  SSL_SESSION_get0_ticket(session, &ticket, &octets);
  return {reinterpret_cast<const char*>(ticket), octets};
}

struct AgeCase {
  std::string_view name;
  minutes age;
  bool resumed, renewed_in_tls12;
};

// The ticket itself says eight hours, by the wall clock, which stands still here: these rows are about the
// keys.
const AgeCase kAgeCases[] = {
    {"fresh", minutes(0), true, false},
    {"just before the rotation", hours(8) - minutes(1), true, false},
    {"at the rotation", hours(8), true, true},
    {"the previous key's last minute", hours(16) - minutes(1), true, true},
    {"the previous key is gone", hours(16), false, true},
    {"long ago", hours(100), false, true},
};

TEST_F(Tickets, ThePreviousKeyStillDecryptsAndAsksForRenewal) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const AgeCase& c : kAgeCases) {
      SCOPED_TRACE(testing::Message() << c.name << " version " << version);
      keys = std::make_shared<TicketKeys>([this] { return now; });
      contexts = Contexts::load({files}, keys).value();
      const auto first = first_visit(version);
      now += c.age;
      const auto second = next_visit(*first);
      EXPECT_EQ(second->server.established().resumed, c.resumed);
      // TLS 1.3 tickets are for one use, so each visit brings another.
      const bool renewed =
          ticket_of(SSL_get_session(second->client.ssl())) != ticket_of(first->client.session());
      EXPECT_EQ(renewed, version == TLS1_3_VERSION || c.renewed_in_tls12);
    }
  }
}

TEST_F(Tickets, RotateWhileInUse) {
  auto visit = first_visit(TLS1_3_VERSION);
  for (int day = 0; day < 6; ++day) {
    now += hours(7);
    auto next = next_visit(*visit);
    ASSERT_TRUE(next->server.established().resumed) << day;
    ASSERT_NE(next->client.session(), nullptr);
    visit = std::move(next);
  }
}

TEST_F(Tickets, ADamagedTicketMeansAFullHandshake) {
  const auto first = first_visit(TLS1_2_VERSION);
  const unsigned char* ticket = nullptr;
  std::size_t octets = 0;
  SSL_SESSION_get0_ticket(first->client.session(), &ticket, &octets);
  ASSERT_GT(octets, 60U);
  for (const std::size_t place : {0UL, 20UL, 40UL, octets - 1}) {
    auto* octet = const_cast<unsigned char*>(ticket) + place;
    *octet ^= 1;
    EXPECT_FALSE(next_visit(*first)->server.established().resumed) << place;
    *octet ^= 1;
  }
  EXPECT_TRUE(next_visit(*first)->server.established().resumed);
}

}  // namespace
}  // namespace postern::tls
