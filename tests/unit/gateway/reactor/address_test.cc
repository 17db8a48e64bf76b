#include <gtest/gtest.h>

#include <string>

#include "gateway/reactor/sockaddr.h"
#include "gateway/reactor/socket.h"

namespace postern::reactor {
namespace {

struct Case {
  std::string name, text;
  std::string canonical = {};  ///< what text() says
  std::string error = {};      ///< a part of the error, when there is one
};

const std::string kLongPath(107, 'p');

const Case kCases[] = {
    {.name = "IPv4", .text = "192.0.2.1:25", .canonical = "192.0.2.1:25"},
    {.name = "IPv4 any, port of the kernel's choice", .text = "0.0.0.0:0", .canonical = "0.0.0.0:0"},
    {.name = "IPv6", .text = "[2001:db8::1]:25", .canonical = "[2001:db8::1]:25"},
    {.name = "IPv6 is written in its short form",
     .text = "[2001:DB8:0:0::1]:587",
     .canonical = "[2001:db8::1]:587"},
    {.name = "IPv6 any", .text = "[::]:465", .canonical = "[::]:465"},
    {.name = "mapped IPv4 is folded", .text = "[::ffff:192.0.2.7]:25", .canonical = "192.0.2.7:25"},
    {.name = "highest port", .text = "192.0.2.1:65535", .canonical = "192.0.2.1:65535"},
    {.name = "Unix socket", .text = "unix:/run/postern/lmtp", .canonical = "unix:/run/postern/lmtp"},
    {.name = "relative Unix socket", .text = "unix:var/control.sock", .canonical = "unix:var/control.sock"},
    {.name = "longest path", .text = "unix:" + kLongPath, .canonical = "unix:" + kLongPath},

    {.name = "empty", .text = "", .error = "octet 1: a colon and a port are expected"},
    {.name = "no port", .text = "192.0.2.1", .error = "octet 10: a colon and a port are expected"},
    {.name = "empty port", .text = "192.0.2.1:", .error = "octet 11: a port is expected"},
    {.name = "port too large", .text = "192.0.2.1:65536", .error = "octet 11: a port is at most 65535"},
    {.name = "six digits", .text = "192.0.2.1:000025", .error = "octet 16: a port has at most five digits"},
    {.name = "leading zero", .text = "192.0.2.1:025", .error = "octet 11: a port has no leading zero"},
    {.name = "sign", .text = "192.0.2.1:+25", .error = "octet 11: a digit of the port is expected"},
    {.name = "space after", .text = "192.0.2.1:25 ", .error = "octet 13: a digit of the port is expected"},
    {.name = "space before", .text = " 192.0.2.1:25", .error = "octet 1: an IPv4 address is expected"},
    {.name = "name", .text = "mail.example:25", .error = "octet 1: an IPv4 address is expected"},
    {.name = "no address", .text = ":25", .error = "octet 1: an IPv4 address is expected"},
    {.name = "three parts", .text = "192.0.2:25", .error = "octet 1: an IPv4 address is expected"},
    {.name = "IPv6 without brackets",
     .text = "2001:db8::1:25",
     .error = "octet 1: an IPv4 address is expected"},
    {.name = "IPv4 in brackets", .text = "[192.0.2.1]:25", .error = "octet 2: an IPv6 address is expected"},
    {.name = "bracket not closed", .text = "[::1:25", .error = "octet 8: a closing bracket is expected"},
    {.name = "no colon after bracket",
     .text = "[::1]25",
     .error = "octet 6: a colon and a port are expected"},
    {.name = "nothing after bracket", .text = "[::1]", .error = "octet 6: a colon and a port are expected"},
    {.name = "zone", .text = "[fe80::1%eth0]:25", .error = "octet 2: an IPv6 address is expected"},
    {.name = "no path", .text = "unix:", .error = "octet 6: a path is expected"},
    {.name = "path one too long",
     .text = "unix:" + kLongPath + "p",
     .error = "octet 113: the path of a Unix socket has"},
    {.name = "NUL in path", .text = std::string("unix:/a\0b", 9), .error = "octet 8: a path holds no NUL"},
};

TEST(Address, ParsesWhatItIsAndSaysWhatItIsNot) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const auto address = Address::parse(c.text);
    if (c.error.empty()) {
      ASSERT_TRUE(address.has_value()) << address.error().text();
      EXPECT_EQ(address->text(), c.canonical);
      const auto again = Address::parse(address->text());
      ASSERT_TRUE(again.has_value());
      EXPECT_EQ(*again, *address);
    } else {
      ASSERT_FALSE(address.has_value());
      EXPECT_EQ(address.error().code, Errc::invalid);
      EXPECT_NE(address.error().text().find(c.error), std::string::npos) << address.error().text();
    }
  }
}

TEST(Address, SurvivesTheKernelsForm) {
  for (const Case& c : kCases) {
    if (!c.error.empty()) continue;
    SCOPED_TRACE(c.name);
    const Address address = *Address::parse(c.text);
    EXPECT_EQ(from_kernel(to_kernel(address)), address);
  }
}

TEST(Address, AnUnnamedPeerIsEmpty) {
  KernelAddress kernel;
  kernel.storage.ss_family = AF_UNIX;
  kernel.length = sizeof(sa_family_t);
  EXPECT_EQ(from_kernel(kernel), Address());
  EXPECT_FALSE(Address().is_unix());
  EXPECT_EQ(Address().text(), "unnamed");
}

TEST(Address, AWrongTextIsQuotedSafelyAndBounded) {
  const auto address = Address::parse(std::string(100'000, '\n'));
  ASSERT_FALSE(address.has_value());
  EXPECT_LT(address.error().text().size(), 300U);
  EXPECT_EQ(address.error().text().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace postern::reactor
