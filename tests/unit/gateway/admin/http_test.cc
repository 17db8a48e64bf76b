#include "gateway/admin/http.h"

#include <gtest/gtest.h>

#include "tests/support/splits.h"

namespace postern::admin {
namespace {

using State = RequestReader::State;

constexpr ServerLimits kSmall{.header_octets_max = 200, .body_octets_max = 20};

struct Case {
  std::string_view name, wire;
  unsigned status = 0;  ///< of the refusal; 0: understood
  std::string_view method = "GET", path = "/", body = "";
  std::vector<std::pair<std::string, std::string>> query = {};
  bool head = false, keep_alive = true;
};

const Case kCases[] = {
    {.name = "the least", .wire = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {.name = "HTTP/1.0 needs no Host and does not stay",
     .wire = "GET /v1/status HTTP/1.0\r\n\r\n",
     .path = "/v1/status",
     .keep_alive = false},
    {.name = "asked to close",
     .wire = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
     .keep_alive = false},
    {.name = "HEAD is GET without a body",
     .wire = "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n",
     .path = "/x",
     .head = true},
    {.name = "body with a length",
     .wire = "POST /v1/scan HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
     .method = "POST",
     .path = "/v1/scan",
     .body = "hello"},
    {.name = "escapes in the path",
     .wire = "GET /v1/mailboxes/a%2Fb%40c.example/folders HTTP/1.1\r\nHost: a\r\n\r\n",
     .path = "/v1/mailboxes/a/b@c.example/folders"},
    {.name = "UTF-8 in escapes", .wire = "GET /%C3%BC HTTP/1.1\r\nHost: a\r\n\r\n", .path = "/\xC3\xBC"},
    {.name = "query",
     .wire = "GET /x?a=1&b=two%20words&empty=&bare&a=2&plus=a+b HTTP/1.1\r\nHost: a\r\n\r\n",
     .path = "/x",
     .query = {{"a", "1"}, {"b", "two words"}, {"empty", ""}, {"bare", ""}, {"a", "2"}, {"plus", "a+b"}}},
    {.name = "absolute form",
     .wire = "GET http://host:1/x?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
     .path = "/x",
     .query = {{"q", "1"}}},
    {.name = "body of the greatest length",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789",
     .method = "POST",
     .body = "01234567890123456789"},

    {.name = "a longer body",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n",
     .status = 413},
    {.name = "a body in chunks",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     .status = 411},
    {.name = "no Host", .wire = "GET / HTTP/1.1\r\n\r\n", .status = 400},
    {.name = "two Hosts", .wire = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", .status = 400},
    {.name = "length and chunks",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     .status = 400},
    {.name = "two lengths",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
     .status = 400},
    {.name = "a length that is none",
     .wire = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n",
     .status = 400},
    {.name = "SMTP", .wire = "EHLO client.example\r\n", .status = 400},
    {.name = "TLS", .wire = "\x16\x03\x01\x02\n", .status = 400},
    {.name = "an empty line first", .wire = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400},
    {.name = "half an escape", .wire = "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400},
    {.name = "an escape that is none", .wire = "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400},
    {.name = "an escaped NUL", .wire = "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400},
    {.name = "an escaped line end in the query",
     .wire = "GET /?a=%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n",
     .status = 400},
    {.name = "no path", .wire = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400},
    {.name = "an unknown expectation",
     .wire = "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n",
     .status = 417},
    {.name = "another version", .wire = "GET / HTTP/2.0\r\nHost: a\r\n\r\n", .status = 505},
};

TEST(RequestReader, GivesTheSameAnswerAtEverySplit) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    test::for_each_split(c.wire, [&](const std::vector<std::string_view>& pieces) {
      RequestReader reader(kSmall);
      State state = State::more;
      for (const std::string_view piece : pieces) state = reader.feed(piece);
      if (c.status != 0) {
        ASSERT_EQ(state, State::failed);
        EXPECT_EQ(reader.problem().status, c.status) << reader.problem().sentence;
        EXPECT_FALSE(reader.problem().sentence.empty());
        EXPECT_EQ(reader.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), State::failed);  // it stays so
        return;
      }
      ASSERT_EQ(state, State::ready);
      const auto incoming = reader.take();
      EXPECT_EQ(incoming.request.method, c.method);
      EXPECT_EQ(incoming.request.path, c.path);
      EXPECT_EQ(incoming.request.body, c.body);
      EXPECT_EQ(incoming.request.query, c.query);
      EXPECT_EQ(incoming.head, c.head);
      EXPECT_EQ(incoming.keep_alive, c.keep_alive);
      EXPECT_TRUE(reader.idle());
    });
  }
}

std::string with_header_of(std::size_t octets) {
  const std::string front = "GET / HTTP/1.1\r\nHost: a\r\nX: ", back = "\r\n\r\n";
  return front + std::string(octets - front.size() - back.size(), 'x') + back;
}

TEST(RequestReader, BoundsTheHeader) {
  RequestReader reader(kSmall);
  EXPECT_EQ(reader.feed(with_header_of(kSmall.header_octets_max)), State::ready);
  (void)reader.take();
  EXPECT_EQ(reader.feed(with_header_of(kSmall.header_octets_max + 1)), State::failed);
  EXPECT_EQ(reader.problem().status, 431U);

  RequestReader endless(kSmall);
  State state = endless.feed("GET / HTTP/1.1\r\nX: ");
  std::size_t fed = 0;
  for (; state == State::more && fed < 10 * kSmall.header_octets_max; ++fed) state = endless.feed("x");
  EXPECT_EQ(state, State::failed);
  EXPECT_LE(fed, kSmall.header_octets_max + 1);
}

TEST(RequestReader, KeepsWhatWasSentInAdvance) {
  RequestReader reader(kSmall);
  const std::string two =
      "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: a\r\n\r\nGE";
  ASSERT_EQ(reader.feed(two), State::ready);
  EXPECT_EQ(reader.take().request.path, "/a");
  ASSERT_EQ(reader.feed({}), State::ready);
  EXPECT_EQ(reader.take().request.path, "/b");
  EXPECT_EQ(reader.feed({}), State::more);
  EXPECT_FALSE(reader.idle());
}

TEST(RequestReader, SaysOnceThatTheClientWaitsToContinue) {
  RequestReader reader(kSmall);
  ASSERT_EQ(reader.feed("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-con"), State::more);
  EXPECT_FALSE(reader.take_continue());
  ASSERT_EQ(reader.feed("tinue\r\nContent-Length: 2\r\n\r\n"), State::more);
  EXPECT_TRUE(reader.take_continue());
  EXPECT_FALSE(reader.take_continue());
  ASSERT_EQ(reader.feed("ok"), State::ready);
  EXPECT_EQ(reader.take().request.body, "ok");
}

TEST(ResponseHead, NamesLengthTypeAndWhetherItStays) {
  const Response response{.status = 405, .content_type = "text/plain", .body = "12345", .allow = "GET, HEAD"};
  const std::string head = response_head(response, 11, false);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n")) << head;
  EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Content-Type: text/plain\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Allow: GET, HEAD\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_EQ(response_head(response, 11, true).find("Connection: close"), std::string::npos);
}

TEST(ErrorResponse, IsJsonWhateverTheSentenceHolds) {
  EXPECT_EQ(error_response(404, "no \"x\"\n").body, "{\"error\": \"no \\\"x\\\"\\n\"}\n");
}

TEST(PercentEncode, IsUndoneByDecode) {
  std::string all;
  for (int octet = 0x20; octet < 0x100; ++octet)
    if (octet != 0x7f) all += static_cast<char>(octet);
  std::string back;
  ASSERT_TRUE(percent_decode(percent_encode(all), back));
  EXPECT_EQ(back, all);
  EXPECT_EQ(percent_encode("a/b+c@d.example"), "a%2Fb%2Bc@d.example");
  EXPECT_EQ(percent_encode("/a/b", true), "/a/b");
}

TEST(Request, GivesTheFirstValueOfAName) {
  const Request request{.query = {{"a", "1"}, {"a", "2"}}};
  EXPECT_EQ(request.query_value("a"), "1");
  EXPECT_EQ(request.query_value("b"), "");
}

}  // namespace
}  // namespace postern::admin
