#include "filters/authentication/dkim/canonical.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "filters/authentication/dkim/body_hash.h"

namespace postern::filters::dkim {
namespace {

std::string canonical_header(const std::string& header, Canonical canonical) {
  const Analysis analysis = Analysis::of(header);
  std::string text;
  for (const HeaderField& field : analysis.fields()) append_field(text, field, canonical);
  return text;
}

TEST(Canonical, DkimpyPairs) {
  const char* shared = std::getenv("POSTERN_SHARED");
  std::ifstream file(std::string(shared == nullptr ? "" : shared) +
                     "/conformance/dkim/dkimpy/canonicalization-pairs.json");
  if (!file) GTEST_SKIP() << "no conformance data";
  for (const auto& pair : nlohmann::json::parse(file)) {
    SCOPED_TRACE(pair.dump());
    const auto canonical = pair["mode"] == "relaxed" ? Canonical::relaxed : Canonical::simple;
    if (pair["part"] == "body") {
      for (const char* side : {"input", "output"}) {
        BodyHash hash(canonical, crypto::Algorithm::sha256);
        hash.update(pair[side].get<std::string>());
        EXPECT_EQ(hash.finish().digest,
                  crypto::digest(crypto::Algorithm::sha256, pair["output"].get<std::string>()));
      }
      continue;
    }
    const auto joined = [](const nlohmann::json& fields) {
      std::string text;
      for (const auto& field : fields)
        text += field[0].get<std::string>() + ':' + field[1].get<std::string>();
      return text;
    };
    EXPECT_EQ(canonical_header(joined(pair["input"]), canonical), joined(pair["output"]));
    EXPECT_EQ(canonical_header(joined(pair["output"]), canonical), joined(pair["output"]));
  }
}

struct SignatureRow {
  std::string_view name, field, simple, relaxed;
};

const SignatureRow kSignatures[] = {
    {"b= at the end", "DKIM-Signature: v=1; b=abc\r\n", "DKIM-Signature: v=1; b=", "dkim-signature:v=1; b="},
    {"b= inside, folded", "DKIM-Signature: v=1; b = ab\r\n c; bh=x=\r\n",
     "DKIM-Signature: v=1; b =; bh=x=", "dkim-signature:v=1; b =; bh=x="},
    {"bh= is another tag", "DKIM-Signature: bh=abc; b=\r\n",
     "DKIM-Signature: bh=abc; b=", "dkim-signature:bh=abc; b="},
};

TEST(Canonical, TheValueOfASignatureIsTakenOut) {
  for (const SignatureRow& row : kSignatures) {
    SCOPED_TRACE(row.name);
    const Analysis analysis = Analysis::of(row.field);
    std::string simple, relaxed;
    append_signature_field(simple, analysis.fields().front(), Canonical::simple);
    append_signature_field(relaxed, analysis.fields().front(), Canonical::relaxed);
    EXPECT_EQ(simple, row.simple);
    EXPECT_EQ(relaxed, row.relaxed);
  }
}

TEST(Canonical, FieldsAreTakenFromTheBottomAndOnlyOnce) {
  const Analysis analysis = Analysis::of("A: 1\r\nB: 2\r\na: 3\r\n\r\n");
  const auto selected = select_fields(analysis.fields(), {"a", "A", "a", "C", "b"});
  ASSERT_EQ(selected.size(), 3U);
  EXPECT_EQ(selected[0]->value, " 3");
  EXPECT_EQ(selected[1]->value, " 1");
  EXPECT_EQ(selected[2]->value, " 2");
}

}  // namespace
}  // namespace postern::filters::dkim
