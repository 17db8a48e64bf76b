// Zones signed, unsigned, forged and expired. RFC 4035 §4.3 tells their states apart.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "filters/dns.h"
#include "gateway/dns/resolver.h"
#include "tests/integration/dns/conversation.h"
#include "tests/integration/dns/name_server.h"

namespace postern::dns {
namespace {

using filters::AnswerStatus;
using filters::Question;
using test::Conversation;
using test::converse;
using test::NameServer;
using test::run_program;
using test::ScratchFolder;

constexpr const char* kSignedZone = R"($ORIGIN {0}.
$TTL 300
@ SOA ns.{0}. root.{0}. 1 3600 600 86400 60
@ NS ns.{0}.
ns A 127.0.0.1
www A 192.0.2.1
text TXT "signed"
alias CNAME www
forged A 192.0.2.66
island NS ns.{0}.
)";

constexpr const char* kUnsignedZone = R"($TTL 300
@ SOA ns.good.test. root.good.test. 1 3600 600 86400 60
@ NS ns.good.test.
www A 192.0.2.3
)";

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

/// A day relative to now, as dnssec tools write it.
std::string day(int days) {
  const auto then = std::chrono::system_clock::now() + std::chrono::days(days);
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(then));
  return fmt::format("{}{:02}{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

/// A zone signed by ldns, and the key to trust.
struct SignedZone {
  std::string file, anchor, trouble;
};

SignedZone sign(const std::filesystem::path& folder, const std::string& zone, int from_day, int to_day) {
  const std::filesystem::path output = folder / "output";
  std::ofstream(folder / zone) << fmt::format(fmt::runtime(kSignedZone), zone);
  const bool made =
      run_program({*test::find_program("ldns-keygen"), "-a", "ECDSAP256SHA256", "-k", zone}, folder, output);
  std::string key;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().stem().string();
    if (name.starts_with("K" + zone + ".") && entry.path().extension() == ".key") key = name;
  }
  if (!made || key.empty()) return {.file = {}, .anchor = {}, .trouble = "ldns-keygen: " + content(output)};
  const bool done =
      run_program({*test::find_program("ldns-signzone"), "-i", day(from_day), "-e", day(to_day), zone, key},
                  folder, output);
  if (!done) return {.file = {}, .anchor = {}, .trouble = "ldns-signzone: " + content(output)};
  return {.file = content(folder / (zone + ".signed")),
          .anchor = content(folder / (key + ".key")),
          .trouble = {}};
}

class DnssecTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"nsd", "ldns-keygen", "ldns-signzone"})
      if (!test::find_program(program)) GTEST_SKIP() << program << " is not installed";
    SignedZone good = sign(folder_.path(), "good.test", -2, 20);
    SignedZone old = sign(folder_.path(), "old.test", -30, -10);
    ASSERT_EQ(good.trouble, "");
    ASSERT_EQ(old.trouble, "");
    const std::size_t forged = good.file.find("192.0.2.66");
    ASSERT_NE(forged, std::string::npos);
    good.file.replace(forged, 10, "192.0.2.67");
    const NameServer::Options options{.zones = {{"good.test", good.file},
                                                {"old.test", old.file},
                                                {"island.good.test", kUnsignedZone},
                                                {"plain.test", kUnsignedZone}}};
    server_ = std::make_unique<NameServer>(options);
    ASSERT_EQ(server_->trouble(), "");
    validating_.resolvers = {server_->address()};
    validating_.trust_anchors = {first_line(good.anchor), first_line(old.anchor)};
  }
  static std::string first_line(const std::string& text) { return text.substr(0, text.find_first_of(";\n")); }

  ScratchFolder folder_;
  std::unique_ptr<NameServer> server_;
  ResolverOptions validating_;
};

struct Row {
  std::string name;
  Question question;
  AnswerStatus status;
  bool secure;
};

std::vector<Row> rows() {
  using namespace filters::dns;
  return {
      {"signed", a("www.good.test"), AnswerStatus::data, true},
      {"signed text", txt("text.good.test"), AnswerStatus::data, true},
      {"a signed alias", a("alias.good.test"), AnswerStatus::data, true},
      {"proof of no such record", aaaa("www.good.test"), AnswerStatus::no_data, true},
      {"proof of no such name", a("nothing.good.test"), AnswerStatus::no_such_name, true},
      {"changed after signing", a("forged.good.test"), AnswerStatus::bogus, false},
      {"signatures of long ago", a("www.old.test"), AnswerStatus::bogus, false},
      {"unsigned below signed, with proof", a("www.island.good.test"), AnswerStatus::data, false},
      {"no key to trust", a("www.plain.test"), AnswerStatus::data, false},
  };
}

TEST_F(DnssecTest, SecureInsecureAndBogusAreToldApart) {
  for (const bool at_once : {true, false}) {
    SCOPED_TRACE(at_once ? "all at once" : "twice, one after the other");
    std::vector<Question> questions;
    for (int round = 0; round < (at_once ? 1 : 2); ++round)
      for (const Row& row : rows()) questions.push_back(row.question);
    test::Manner manner;
    manner.at_once = at_once;
    const Conversation result = converse(validating_, questions, manner);
    ASSERT_EQ(result.trouble, "");
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const Row row = rows()[i % rows().size()];
      SCOPED_TRACE(row.name);
      EXPECT_EQ(result.answers[i].status, row.status) << to_string(result.answers[i].status);
      EXPECT_EQ(result.answers[i].secure, row.secure);
      EXPECT_EQ(result.answers[i].records.empty(), row.status != AnswerStatus::data);
    }
  }
}

TEST_F(DnssecTest, WithoutValidationEverythingIsInsecure) {
  ResolverOptions options = validating_;
  options.dnssec = Dnssec::off;
  std::vector<Question> questions;
  for (const Row& row : rows()) questions.push_back(row.question);
  const Conversation result = converse(options, questions);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    SCOPED_TRACE(rows()[i].name);
    EXPECT_FALSE(result.answers[i].secure);
    EXPECT_NE(result.answers[i].status, AnswerStatus::bogus);
  }
  EXPECT_THAT(result.answers[5].records, testing::ElementsAre("192.0.2.67"));
}

}  // namespace
}  // namespace postern::dns
