#include "gateway/pipeline/snapshot.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/pipeline/house.h"

namespace postern::pipeline {
namespace {

config::Config manifest(const std::filesystem::path& folder) {
  config::Config config;
  config.hostname = "mx.test.example";
  config.store.path = folder / "var" / "store";
  config.domains = {{.name = "test.example"}};
  config.filter.block.senders = {"@bad.example"};
  config.filter.tag_score = 3;
  return config;
}

TEST(Snapshot, MakesACertificateWhereNoneIsConfigured) {
  const TemporaryFolder folder;
  const auto tickets = std::make_shared<tls::TicketKeys>();
  std::vector<std::string> warnings;
  const auto first = make_snapshot(manifest(folder.path()), tickets, &warnings);
  ASSERT_TRUE(first) << first.error();
  ASSERT_TRUE((*first)->tls);
  EXPECT_EQ((*first)->tls->certificates().at(0).names.at(0), "mx.test.example");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("self-signed"), std::string::npos);
  const auto mode = std::filesystem::status(folder.path() / "var" / "store").permissions();
  EXPECT_EQ(mode & (std::filesystem::perms::group_all | std::filesystem::perms::others_all),
            std::filesystem::perms::none);

  const auto file = (*first)->tls->certificates().at(0).file;
  const auto written = std::filesystem::last_write_time(file);
  const auto second = make_snapshot(manifest(folder.path()), tickets, &warnings);
  ASSERT_TRUE(second);
  EXPECT_EQ(std::filesystem::last_write_time(file),
            written);  // kept, so that clients that pinned it stay content

  // The store opens in a folder that holds the certificate already.
  storage::Options options;
  options.path = folder.path() / "var" / "store";
  const auto store = storage::Store::open(options);
  EXPECT_TRUE(store) << store.error().text();
}

TEST(Snapshot, ABadCertificateIsASentence) {
  const TemporaryFolder folder;
  config::Config config = manifest(folder.path());
  config.tls.certificates = {{.certificate = folder.path() / "none.pem", .key = folder.path() / "none.key"}};
  const auto made = make_snapshot(config, std::make_shared<tls::TicketKeys>());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().find("none.pem"), std::string::npos) << made.error();
}

TEST(Snapshot, CompilesThePolicy) {
  const TemporaryFolder folder;
  config::Config config = manifest(folder.path());
  config.tls.enabled = false;
  std::vector<std::string> warnings;
  const auto made = make_snapshot(config, nullptr, &warnings);
  ASSERT_TRUE(made);
  EXPECT_FALSE((*made)->tls);
  EXPECT_TRUE(warnings.empty());
  EXPECT_EQ((*made)->policy.tag_score, 3);
  EXPECT_TRUE((*made)->policy.has_sender_list);
  EXPECT_FALSE((*made)->policy.has_client_list);
  EXPECT_FALSE((*made)->policy.has_recipient_list);
  EXPECT_TRUE((*made)->directory.is_local_domain("test.example"));
}

}  // namespace
}  // namespace postern::pipeline
