#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/gateway/tls/connection.h"

namespace postern::tls {
namespace {

struct SelfSigned : testing::Test {
  test::TemporaryFolder folder;
  CertificateFiles files{folder.path() / "cert.pem", folder.path() / "key.pem"};

  std::size_t files_in_folder() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++count;
    return count;
  }
  static unsigned mode(const std::filesystem::path& file) {
    struct stat facts{};
    ::stat(file.c_str(), &facts);
    return facts.st_mode & 07777;
  }
};

TEST_F(SelfSigned, IsMadeAndServes) {
  const auto made = ensure_self_signed(files, "MX.One.Example");
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(mode(files.key), 0600U);
  EXPECT_EQ(mode(files.certificate), 0644U);
  EXPECT_EQ(files_in_folder(), 2U);  // no temporary file stays
  std::vector<std::string> warnings;
  const auto contexts = Contexts::load({files}, std::make_shared<TicketKeys>(), &warnings);
  ASSERT_TRUE(contexts) << contexts.error();
  EXPECT_TRUE(warnings.empty());
  const CertificateInfo& info = (*contexts)->certificates().front();
  EXPECT_EQ(info.names, (std::vector<std::string>{"mx.one.example", "localhost"}));
  EXPECT_EQ(info.key_type, "EC P-256");
  EXPECT_EQ(info.not_after - info.not_before, std::chrono::days(3650) + std::chrono::hours(1));

  test::Connection connection(*contexts, {.server_name = "mx.one.example"});
  ASSERT_TRUE(connection.shake());
  X509* shown = SSL_get0_peer_certificate(connection.client.ssl());
  EXPECT_EQ(X509_check_host(shown, "mx.one.example", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(shown, "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(shown, "other.example", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ca(shown), 0);
  EXPECT_EQ(X509_check_purpose(shown, X509_PURPOSE_SSL_SERVER, 0), 1);
  EXPECT_EQ(X509_verify(shown, X509_get0_pubkey(shown)), 1);
}

TEST_F(SelfSigned, LeavesExistingFilesAlone) {
  test::write_text(files.certificate, "mine");
  test::write_text(files.key, "mine too");
  ASSERT_TRUE(ensure_self_signed(files, "one.example"));
  EXPECT_EQ(test::file_text(files.certificate), "mine");
  EXPECT_EQ(test::file_text(files.key), "mine too");
}

TEST_F(SelfSigned, MakesACertificateForAKeyThatIsThere) {
  const auto key = test::rsa_key(2048);
  const std::string pem = test::key_pem(key.get());
  test::write_text(files.key, pem);
  ASSERT_TRUE(ensure_self_signed(files, "one.example"));
  EXPECT_EQ(test::file_text(files.key), pem);
  const auto contexts = Contexts::load({files}, std::make_shared<TicketKeys>());
  ASSERT_TRUE(contexts) << contexts.error();
  EXPECT_EQ((*contexts)->certificates().front().key_type, "RSA 2048");
}

TEST_F(SelfSigned, RefusesWithASentence) {
  const std::string place = folder.path().string();
  test::write_text(files.certificate, "mine");
  EXPECT_EQ(ensure_self_signed(files, "one.example").error(),
            place + "/key.pem: missing, but its certificate " + place +
                "/cert.pem exists; restore the key or remove the certificate");
  std::filesystem::remove(files.certificate);

  for (const std::string_view name : {"", "a b.example", "a,DNS:b.example",
                                      "b\xC3\xBC"
                                      "cher.example",
                                      "."}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(ensure_self_signed(files, name).error(),
              place + "/cert.pem: cannot be made for '" + std::string(name) + "', which is not a host name");
  }
  std::string longest;
  while (longest.size() < 249) longest += "abcd.";
  longest += "abc";
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_FALSE(ensure_self_signed(files, longest + "d"));
  EXPECT_EQ(files_in_folder(), 0U);
  EXPECT_TRUE(ensure_self_signed(files, longest));

  const CertificateFiles nowhere{folder.path() / "absent" / "cert.pem", folder.path() / "absent" / "key.pem"};
  EXPECT_EQ(ensure_self_signed(nowhere, "one.example").error(),
            place + "/absent/key.pem: cannot be written: No such file or directory");

  const CertificateFiles broken{folder.path() / "other.pem", folder.path() / "broken.key"};
  test::write_text(broken.key, "no key");
  EXPECT_EQ(ensure_self_signed(broken, "one.example").error(),
            place + "/broken.key: no PEM private key in it");
  EXPECT_EQ(test::file_text(broken.key), "no key");
}

TEST_F(SelfSigned, ATemporaryFileOfACrashIsNoObstacle) {
  const auto left = folder.path() / ("key.pem.new." + std::to_string(::getpid()));
  test::write_text(left, "half");
  ASSERT_TRUE(ensure_self_signed(files, "localhost"));
  EXPECT_FALSE(std::filesystem::exists(left));
}

}  // namespace
}  // namespace postern::tls
