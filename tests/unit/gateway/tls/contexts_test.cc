#include "gateway/tls/contexts.h"

#include <gtest/gtest.h>

#include "tests/unit/gateway/tls/connection.h"

namespace postern::tls {
namespace {

using test::CertificateWish;
using test::Connection;

struct ContextsTest : testing::Test {
  test::TemporaryFolder folder;
  std::shared_ptr<TicketKeys> keys = std::make_shared<TicketKeys>();

  std::filesystem::path file(std::string_view name, std::string_view text) {
    const auto path = folder.path() / name;
    test::write_text(path, text);
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    return path;
  }
  /// The error, with the folder's name cut out.
  std::string refusal(const std::vector<CertificateFiles>& files) {
    const auto loaded = Contexts::load(files, keys);
    return loaded ? "" : without_folder(loaded.error());
  }
  std::string without_folder(std::string text) {
    const std::string prefix = folder.path().string() + "/";
    for (std::size_t at = 0; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }
  std::string shown(const std::shared_ptr<const Contexts>& contexts, const test::TlsClientOptions& options) {
    Connection connection(contexts, options);
    return connection.shake() ? connection.client.server_common_name() : "failed: " + connection.failure;
  }
};

TEST_F(ContextsTest, RefusalsNameTheFileAndTheRule) {
  const auto key = test::ec_key();
  const auto other = test::ec_key();
  const auto weak = test::rsa_key(1024);
  const CertificateWish wish{.names = "DNS:one.example"};
  const std::string pem = test::certificate_pem(key.get(), wish);
  const auto good = file("good.pem", pem);
  const auto good_key = file("good.key", test::key_pem(key.get()));
  const auto text = file("text", "hello\n");
  std::string damaged = pem;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  std::string damaged_key = test::key_pem(key.get());
  damaged_key[60] = '!';

  struct Row {
    std::string_view name;
    CertificateFiles files;
    std::string_view error;
  };
  const Row rows[] = {
      {"certificate missing",
       {folder.path() / "absent.pem", good_key},
       "absent.pem: cannot be read: No such file or directory"},
      {"key missing",
       {good, folder.path() / "absent.key"},
       "absent.key: cannot be read: No such file or directory"},
      {"a folder", {folder.path() / ".", good_key}, ".: cannot be read: not a regular file"},
      {"certificate is not PEM", {text, good_key}, "text: no PEM certificate in it"},
      {"certificate is empty", {file("empty", ""), good_key}, "empty: no PEM certificate in it"},
      {"a key where the certificate should be", {good_key, good_key}, "good.key: no PEM certificate in it"},
      {"key is not PEM", {good, text}, "text: no PEM private key in it"},
      {"certificate where the key should be", {good, good}, "good.pem: no PEM private key in it"},
      {"second certificate damaged",
       {file("second", pem + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), good_key},
       "second: certificate 2 in it is damaged: "},
      {"key damaged",
       {good, file("damaged.key", damaged_key)},
       "damaged.key: the private key in it is damaged: "},
      {"key with a passphrase",
       {good, file("locked.key", test::key_pem(key.get(), "secret"))},
       "locked.key: the key is protected by a passphrase, which a server cannot type"},
      {"key of another certificate",
       {good, file("other.key", test::key_pem(other.get()))},
       "other.key: the key does not match the first certificate in good.pem"},
      {"RSA of 1024 bits", test::make_certificate(folder.path(), "weak", weak.get(), wish),
       "weak.key: an RSA key of 1024 bits; clients expect at least 2048"},
      {"too large for a PEM file",
       {file("huge", std::string(1024 * 1024 + 1, 'x')), good_key},
       "huge: cannot be read: 1048577 octets, at most 1048576 are expected of a PEM file"},
      {"as large as a PEM file may be",
       {file("large", std::string(1024 * 1024, 'x')), good_key},
       "large: no PEM certificate in it"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string error = refusal({row.files});
    EXPECT_TRUE(error.starts_with(row.error)) << error;
    EXPECT_FALSE(row.error.empty());
    // A good pair before it does not help.
    EXPECT_EQ(refusal({{good, good_key}, row.files}), error);
  }
  EXPECT_EQ(refusal({}), "no certificate is configured");
  EXPECT_EQ(refusal({{good, good_key}}), "");
}

TEST_F(ContextsTest, TheChainThatIsSentIsBounded) {
  const auto key = test::ec_key();
  const std::string leaf = test::certificate_pem(key.get(), {.names = "DNS:one.example"});
  const std::string large = test::certificate_pem(key.get(), {.comment_octets = 10'000});
  const auto key_file = file("key", test::key_pem(key.get()));
  EXPECT_EQ(refusal({{file("three", leaf + large + large + large), key_file}}), "");
  const std::string error = refusal({{file("bundle", leaf + large + large + large + large), key_file}});
  EXPECT_TRUE(error.starts_with("bundle: 5 certificates of 4")) << error;

  // What was accepted can also be sent.
  const auto contexts = Contexts::load({{folder.path() / "three", key_file}}, keys).value();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION})
    EXPECT_EQ(shown(contexts, {.version_min = version, .version_max = version}), "one.example");
}

TEST_F(ContextsTest, WarningsAreNotErrors) {
  const auto key = test::ec_key();
  struct Row {
    std::string_view name;
    CertificateWish wish;
    std::string_view warning;
  };
  const Row rows[] = {
      {"expired",
       {.names = "DNS:one.example", .not_after = "20210203040506Z"},
       "pair.pem: the certificate expired on 2021-02-03"},
      {"not yet valid",
       {.names = "DNS:one.example", .not_before = "29980102000000Z"},
       "pair.pem: the certificate is not valid before 2998-01-02"},
      {"nameless", {.common_name = ""}, "pair.pem: the certificate names no host"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    std::vector<std::string> warnings;
    const auto files = test::make_certificate(folder.path(), "pair", key.get(), row.wish);
    ASSERT_TRUE(Contexts::load({files}, keys, &warnings));
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(without_folder(warnings[0]), row.warning);
  }
  std::vector<std::string> warnings;
  const auto files = test::make_certificate(folder.path(), "open", key.get(), {.names = "DNS:one.example"});
  std::filesystem::permissions(files.key, std::filesystem::perms(0644));
  ASSERT_TRUE(Contexts::load({files}, keys, &warnings));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(without_folder(warnings[0]), "open.key: the key is readable by every user of this machine");
  warnings.clear();
  const std::string unrelated = test::certificate_pem(key.get(), {.common_name = "unrelated.example"});
  const auto chain = file("chain", test::file_text(files.certificate) + unrelated);
  std::filesystem::permissions(files.key, std::filesystem::perms(0600));
  ASSERT_TRUE(Contexts::load({{chain, files.key}}, keys, &warnings));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(without_folder(warnings[0]),
            "chain: the chain is not in order, each certificate must be followed by its issuer's");
}

TEST_F(ContextsTest, SaysWhatACertificateIs) {
  const auto ec = test::ec_key();
  const auto ec384 = test::ec_key("P-384");
  const auto rsa = test::rsa_key(2048);
  const CertificateWish wish{.common_name = "ignored.example",
                             .names = "DNS:One.Example,DNS:*.ONE.example,email:a@b.example",
                             .not_before = "20220304050607Z"};
  const std::vector<CertificateFiles> files = {
      test::make_certificate(folder.path(), "ec", ec.get(), wish),
      test::make_certificate(folder.path(), "rsa", rsa.get(), {.common_name = "Two.Example"}),
      test::make_certificate(folder.path(), "ec384", ec384.get(), {.common_name = "Three.Example"}),
  };
  const auto contexts = Contexts::load(files, keys).value();
  const auto& infos = contexts->certificates();
  ASSERT_EQ(infos.size(), 3U);
  EXPECT_EQ(infos[0].file, files[0].certificate);
  EXPECT_EQ(infos[0].names, (std::vector<std::string>{"one.example", "*.one.example"}));
  EXPECT_EQ(infos[0].key_type, "EC P-256");
  EXPECT_EQ(infos[0].not_before, std::chrono::sys_days(std::chrono::year(2022) / 3 / 4) +
                                     std::chrono::hours(5) + std::chrono::minutes(6) +
                                     std::chrono::seconds(7));
  EXPECT_EQ(infos[0].not_after,
            std::chrono::sys_days(std::chrono::year(3000) / 1 / 1) - std::chrono::seconds(1));
  EXPECT_EQ(infos[1].names, std::vector<std::string>{"two.example"});
  EXPECT_EQ(infos[1].key_type, "RSA 2048");
  EXPECT_EQ(infos[2].key_type, "EC P-384");
}

TEST_F(ContextsTest, TheServerNameChoosesTheCertificate) {
  const auto key = test::ec_key();
  const auto make = [&](const std::string& stem, const std::string& names) {
    return test::make_certificate(folder.path(), stem, key.get(), {.common_name = stem, .names = names});
  };
  const std::vector<CertificateFiles> files = {
      make("first", "DNS:first.example"), make("wild", "DNS:*.wild.example"),
      make("exact", "DNS:mx.wild.example,DNS:exact.example"),
      make("late", "DNS:first.example,DNS:late.example"), make("top", "DNS:*.example")};
  const auto contexts = Contexts::load(files, keys).value();
  struct Row {
    std::string_view name, asked, shown;
  };
  const Row rows[] = {
      {"no name", "", "first"},
      {"exact", "exact.example", "exact"},
      {"case does not count", "EXACT.exAmple", "exact"},
      {"a final dot does not count", "exact.example.", "exact"},
      {"wildcard", "a.wild.example", "wild"},
      {"wildcard, case", "A.WILD.EXAMPLE", "wild"},
      {"exact goes before wildcard", "mx.wild.example", "exact"},
      {"a wildcard is one label, not two", "a.b.wild.example", "first"},
      {"a wildcard is one label, not none", "wild.example", "top"},
      {"no label before the dot", ".wild.example", "first"},
      {"the first with a name keeps it", "first.example", "first"},
      {"another name of the same", "late.example", "late"},
      {"unknown", "unknown.test", "first"},
      {"a wildcard is no name", "*.wild.example", "first"},
      {"not a host name", "exact.example\r\nX: y", "first"},
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.name);
      EXPECT_EQ(
          shown(contexts,
                {.server_name = std::string(row.asked), .version_min = version, .version_max = version}),
          row.shown);
    }
  }
}

TEST_F(ContextsTest, AStrangeServerNameIsNotReported) {
  Connection connection(test::plain_contexts(), {.server_name = "a b\r\nX-Evil: 1"});
  ASSERT_TRUE(connection.shake());
  EXPECT_EQ(connection.server.established().server_name, "");
}

TEST_F(ContextsTest, EcAndRsaForTheSameNamesServeBothKindsOfClients) {
  const auto ec = test::ec_key();
  const auto rsa = test::rsa_key(2048);
  const CertificateWish ec_wish{.common_name = "ec", .names = "DNS:one.example,DNS:two.example"};
  const CertificateWish rsa_wish{.common_name = "rsa", .names = "DNS:two.example,DNS:one.example"};
  const auto contexts = Contexts::load({test::make_certificate(folder.path(), "ec", ec.get(), ec_wish),
                                        test::make_certificate(folder.path(), "rsa", rsa.get(), rsa_wish)},
                                       keys)
                            .value();
  EXPECT_EQ(contexts->certificates().size(), 2U);
  EXPECT_EQ(shown(contexts, {}), "ec");
  EXPECT_EQ(shown(contexts, {.version_max = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"}),
            "rsa");
  EXPECT_EQ(shown(contexts, {.version_max = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-SHA256"}), "rsa");
  EXPECT_EQ(shown(contexts, {.version_min = TLS1_3_VERSION, .signature_algorithms = "rsa_pss_rsae_sha256"}),
            "rsa");
}

TEST_F(ContextsTest, AnEngineKeepsItsContexts) {
  const auto key = test::ec_key();
  auto contexts =
      Contexts::load({test::make_certificate(folder.path(), "one", key.get(), {.names = "DNS:one.example"})},
                     keys)
          .value();
  Connection connection(contexts);
  contexts.reset();
  keys.reset();
  EXPECT_TRUE(connection.shake());
}

}  // namespace
}  // namespace postern::tls
