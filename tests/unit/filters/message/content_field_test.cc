#include "filters/message/content_field.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

struct FieldCase {
  std::string_view name, field, value;
  std::vector<std::pair<std::string, std::string>> parameters = {};
  std::vector<std::string> oddities = {};
};

const FieldCase kFieldCases[] = {
    {.name = "plain", .field = " text/plain", .value = "text/plain"},
    {.name = "upper case",
     .field = "TEXT/HTML; Charset=UTF-8",
     .value = "text/html",
     .parameters = {{"charset", "UTF-8"}}},
    {.name = "blanks within", .field = "image/ jpeg", .value = "image/jpeg"},
    {.name = "comments",
     .field = "(a) text (b) / (c(d)) plain (e); charset=us-ascii (Plain)",
     .value = "text/plain",
     .parameters = {{"charset", "us-ascii"}}},
    {.name = "quoted",
     .field = "x/y; name=\"a;b \\\"c\\\" \\\\ \"",
     .value = "x/y",
     .parameters = {{"name", "a;b \"c\" \\ "}}},
    {.name = "path with backslashes",
     .field = "x/y; name=\"C:\\temp\\a.doc\"",
     .value = "x/y",
     .parameters = {{"name", "C:\\temp\\a.doc"}}},
    {.name = "blanks without quotes",
     .field = "attachment; filename=my file(1).pdf ; x=1",
     .value = "attachment",
     .parameters = {{"filename", "my file(1).pdf"}, {"x", "1"}}},
    {.name = "empty parameters",
     .field = "text/plain ;;;  = ;; name=\"v\"",
     .value = "text/plain",
     .parameters = {{"name", "v"}},
     .oddities = {"parameter_broken"}},
    {.name = "no equals sign",
     .field = "x/y; foo; bar=1",
     .value = "x/y",
     .parameters = {{"bar", "1"}},
     .oddities = {"parameter_broken"}},
    {.name = "unended quotation",
     .field = "x/y; name=\"abc",
     .value = "x/y",
     .parameters = {{"name", "abc"}},
     .oddities = {"parameter_broken"}},
    {.name = "unended comment", .field = "x/y (abc", .value = "x/y", .oddities = {"parameter_broken"}},
    {.name = "text behind a quotation",
     .field = "x/y; a=\"1\" junk; b=2",
     .value = "x/y",
     .parameters = {{"a", "1"}, {"b", "2"}},
     .oddities = {"parameter_broken"}},
    {.name = "forgotten semicolon",
     .field = "x/y\r\n a=1\r\n b=\"2\"\r\n c=3",
     .value = "x/y",
     .parameters = {{"a", "1"}, {"b", "2"}, {"c", "3"}},
     .oddities = {"parameter_broken"}},
    {.name = "repeated",
     .field = "x/y; a=1; a=2",
     .value = "x/y",
     .parameters = {{"a", "1"}},
     .oddities = {"parameter_repeated"}},
    {.name = "RFC 2231 pieces",
     .field = "x/y; a*1=cd; a*0=ab; a*2=\"ef\"",
     .value = "x/y",
     .parameters = {{"a", "abcdef"}}},
    {.name = "RFC 2231 charset",
     .field = "x/y; a*=iso-8859-1'en'%E4%2",
     .value = "x/y",
     .parameters = {{"a", "\xE4%2"}}},
    {.name = "RFC 2231 both",
     .field = "x/y; t*0*=us-ascii'en'This%20is%20; t*1*=%2Afun%2A ; t*2=\" isn't%20\"",
     .value = "x/y",
     .parameters = {{"t", "This is *fun* isn't%20"}}},
    {.name = "extended wins over plain",
     .field = "x/y; f=old; f*=utf-8''n%C3%A9w",
     .value = "x/y",
     .parameters = {{"f", "n\xC3\xA9w"}}},
    {.name = "a piece missing",
     .field = "x/y; a*0=1; a*2=3",
     .value = "x/y",
     .parameters = {{"a", "13"}},
     .oddities = {"parameter_gap"}},
    {.name = "empty", .field = "", .value = ""},
};

TEST(StructuredField, ReadsWhatMailHas) {
  for (const FieldCase& c : kFieldCases) {
    SCOPED_TRACE(c.name);
    const StructuredField field = parse_structured_field(c.field);
    EXPECT_EQ(field.value, c.value);
    std::vector<std::pair<std::string, std::string>> parameters;
    for (const Parameter& each : field.parameters) parameters.emplace_back(each.name, each.value);
    EXPECT_EQ(parameters, c.parameters);
    EXPECT_EQ(field.oddities.names(), c.oddities);
  }
}

TEST(StructuredField, KeepsTheCharset) {
  const StructuredField field = parse_structured_field("x/y; a*=ISO-8859-1'en'%E4");
  ASSERT_EQ(field.parameters.size(), 1U);
  EXPECT_EQ(field.parameters[0].charset, "iso-8859-1");
}

TEST(StructuredField, HasALimitOfParameters) {
  std::string text = "x/y";
  for (std::size_t i = 0; i < StructuredField::kParametersMax; ++i) text += "; p" + std::to_string(i) + "=v";
  EXPECT_FALSE(parse_structured_field(text).oddities.has(Oddity::parameter_limit));
  const StructuredField field = parse_structured_field(text + "; last=v");
  EXPECT_TRUE(field.oddities.has(Oddity::parameter_limit));
  EXPECT_EQ(field.parameters.size(), StructuredField::kParametersMax);
  EXPECT_EQ(field.find("last"), nullptr);
}

TEST(MediaType, IsTypeAndSubtype) {
  for (const char* good : {"text/plain", "application/ld+json", "x/y"})
    EXPECT_TRUE(is_media_type(good)) << good;
  for (const char* bad : {"", "text", "text/", "/plain", "a/b/c", "te xt/plain", "text/pl=ain"})
    EXPECT_FALSE(is_media_type(bad)) << bad;
}

}  // namespace
}  // namespace postern::filters
