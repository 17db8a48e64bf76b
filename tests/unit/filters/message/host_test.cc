#include "filters/message/host.h"

#include <gtest/gtest.h>

namespace postern::filters {
namespace {

struct SplitCase {
  std::string_view url, scheme, userinfo, host, port, path;
};

constexpr SplitCase kSplits[] = {
    {"http://a.test/x?y#z", "http", "", "a.test", "", "/x?y#z"},
    {"https://u:p@a.test:8080", "https", "u:p", "a.test", "8080", ""},
    {"http://bank.example@evil.test/", "http", "bank.example", "evil.test", "", "/"},
    {"http://a.test/@b", "http", "", "a.test", "", "/@b"},
    {"http:\\\\a.test\\x", "http", "", "a.test", "", "\\x"},
    {"http:///a.test?q", "http", "", "a.test", "", "?q"},
    {"http://[2001:db8::1]:80/", "http", "", "[2001:db8::1]", "80", "/"},
    {"", "", "", "", "", ""},
};

TEST(Host, SplitsUrls) {
  for (const SplitCase& c : kSplits) {
    SCOPED_TRACE(c.url);
    const UrlPieces pieces = split_url(c.url);
    EXPECT_EQ(pieces.scheme, c.scheme);
    EXPECT_EQ(pieces.userinfo, c.userinfo);
    EXPECT_EQ(pieces.host, c.host);
    EXPECT_EQ(pieces.port, c.port);
    EXPECT_EQ(pieces.path, c.path);
  }
}

TEST(Host, NormalFormAndRegistrableDomain) {
  const struct {
    std::string_view host, normal, domain;
  } cases[] = {
      {"WWW.Example.COM.", "www.example.com", "example.com"},
      {"a.b.example.co.uk", "a.b.example.co.uk", "example.co.uk"},
      {"www.%62ank.com", "www.bank.com", "bank.com"},
      {"b\xc3\xbc"
       "cher.de",
       "xn--bcher-kva.de", "xn--bcher-kva.de"},
      {"3405803783", "203.0.113.7", "203.0.113.7"},
      {"0xcb.0x0.0x71.0x7", "203.0.113.7", "203.0.113.7"},
      {"0313.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"203.29191", "203.0.114.7", "203.0.114.7"},
      {"256.1.1.1", "256.1.1.1", "256.1.1.1"},
      {"com", "com", "com"},
      {"localhost", "localhost", "localhost"},
      {"a.user.github.io", "a.user.github.io", "user.github.io"},
      {"", "", ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.host);
    EXPECT_EQ(normal_host(c.host), c.normal);
    if (c.host != "256.1.1.1") {
      EXPECT_EQ(registrable_domain(normal_host(c.host)), c.domain);
    }
  }
  EXPECT_TRUE(is_address_host("203.0.113.7"));
  EXPECT_TRUE(is_address_host("[2001:db8::1]"));
  EXPECT_FALSE(is_address_host("a.test"));
}

}  // namespace
}  // namespace postern::filters
