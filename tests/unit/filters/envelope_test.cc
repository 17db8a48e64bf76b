#include "filters/envelope.h"

#include <gtest/gtest.h>

namespace postern::filters {
namespace {

TEST(Envelope, SplitsAddressesAtTheLastAt) {
  EXPECT_EQ(domain_of("a@b.example"), "b.example");
  EXPECT_EQ(local_part_of("a@b.example"), "a");
  EXPECT_EQ(domain_of("\"a@b\"@c.example"), "c.example");
  EXPECT_EQ(local_part_of("\"a@b\"@c.example"), "\"a@b\"");
  EXPECT_EQ(domain_of("postmaster"), "");
  EXPECT_EQ(local_part_of("postmaster"), "postmaster");
  EXPECT_EQ(domain_of(""), "");
  EXPECT_EQ(local_part_of(""), "");
  EXPECT_EQ(domain_of("a@"), "");
  EXPECT_EQ(local_part_of("@b"), "");
}

TEST(Envelope, TlsIsActiveWithAVersion) {
  EXPECT_FALSE(TlsFacts{}.active());
  EXPECT_TRUE(TlsFacts{.version = "TLSv1.3"}.active());
}

}  // namespace
}  // namespace postern::filters
