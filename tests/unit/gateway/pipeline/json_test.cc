#include "gateway/pipeline/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace postern::pipeline {
namespace {

TEST(JsonWriter, WritesWhatAParserReads) {
  JsonWriter json(0);
  json.open_object();
  json.field("text", "a\"b\\\r\n\x01 ü \xff");
  json.field("brace", "{").field("after", "[");
  json.field("yes", true).field("no", false);
  json.field("least", std::numeric_limits<std::int64_t>::min());
  json.field("score", 0.1).field("none", std::numeric_limits<double>::infinity());
  json.open_array("empty").close_array();
  json.open_array("list").element("x").element("").close_array();
  json.open_array("objects")
      .open_object()
      .field("a", 1)
      .close_object()
      .open_object()
      .close_object()
      .close_array();
  json.open_object("inner").members_of("{\"p\":1,\"q\":[2]}").members_of("{}").field("r", 3U).close_object();
  json.close_object();
  const std::string text = json.take();
  EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(text), nlohmann::json::parse(R"({"text":"a\"b\\\r\n\u0001 ü )"
                                                               "\xEF\xBF\xBD"
                                                               R"(","brace":"{","after":"[","yes":true,
              "no":false,"least":-9223372036854775808,"score":0.1,"none":null,"empty":[],"list":["x",""],
              "objects":[{"a":1},{}],"inner":{"p":1,"q":[2],"r":3}})"));
}

}  // namespace
}  // namespace postern::pipeline
