// Dovecot's table of addresses (src/lib-smtp), read without leniency: valid or not, local part, domain and normal form.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "gateway/smtp/address.h"

namespace postern::smtp {
namespace {

/// Taken there, refused here.
const std::map<std::string, std::string> kDeviations = {
    {".email@example.com",
     "RFC 5321 §4.1.2: Dot-string begins with an Atom, so with no dot; quoted it is taken"},
    {"email.@example.com", "RFC 5321 §4.1.2: Dot-string ends in an Atom"},
    {"email..email@example.com", "RFC 5321 §4.1.2: an Atom stands between two dots"},
    {"Abc..123@example.com", "RFC 5321 §4.1.2: an Atom stands between two dots"},
    {"Abc..@example.com", "RFC 5321 §4.1.2: Dot-string ends in an Atom"},
    {"email@-example.com",
     "RFC 5321 §4.1.2: sub-domain begins with Let-dig; RFC 1123 §2.1 allows a digit, no hyphen"},
};

TEST(ConformanceAddresses, Strict) {
  const char* const shared = std::getenv("POSTERN_SHARED");
  const std::filesystem::path file =
      std::filesystem::path(shared != nullptr && *shared != '\0' ? shared : "../shared") /
      "conformance/smtp/dovecot/addresses-strict.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  std::ifstream in(file);
  const nlohmann::json cases = nlohmann::json::parse(in);
  ASSERT_GE(cases.size(), 80u);

  std::size_t deviations = 0;
  for (const nlohmann::json& c : cases) {
    const std::string text = c.at("input");
    const bool is_path = c.at("kind") == "path";
    SCOPED_TRACE(text);
    Mailbox mailbox;
    bool valid = false;
    std::string normal;
    if (is_path) {
      std::size_t consumed = 0;
      const auto path = parse_path(text, PathKind::forward, false, &consumed);
      valid = path && consumed == text.size();
      if (valid) mailbox = path->mailbox;
      if (valid) normal = "<" + path->normal_form() + ">";
    } else {
      const auto parsed = parse_mailbox(text, false);
      valid = parsed.has_value();
      if (valid) mailbox = *parsed;
      if (valid) normal = parsed->normal_form();
    }
    if (kDeviations.contains(text)) {
      ++deviations;
      EXPECT_TRUE(c.at("valid").get<bool>()) << "no deviation any more";
      EXPECT_FALSE(valid) << "no deviation any more";
      continue;
    }
    ASSERT_EQ(valid, c.at("valid").get<bool>());
    if (!valid) continue;
    EXPECT_EQ(mailbox.local, c.at("localpart").get<std::string>());
    EXPECT_EQ(mailbox.domain, c.at("domain").get<std::string>());
    EXPECT_EQ(normal, c.value("rewritten", text));
  }
  EXPECT_EQ(deviations, kDeviations.size());
}

}  // namespace
}  // namespace postern::smtp
