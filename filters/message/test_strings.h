#pragma once

#include <string_view>

#include "filters/verdict.h"

namespace postern::filters {

/// The agreed strings that make a filter show what it would do, found anywhere in the octets.
struct TestStrings {
  bool gtube = false;      ///< the generic test for unsolicited bulk email: to be refused as spam
  bool gtube_tag = false;  ///< rspamd's sister of it, with Y for the X in front: to be tagged as spam
  bool eicar = false;      ///< the anti-virus test file of EICAR: to be refused as a virus
  friend bool operator==(const TestStrings&, const TestStrings&) = default;
};

/// Touches every octet once, at the speed of memory for ordinary text and base64; linear for any octets.
TestStrings find_test_strings(std::string_view octets);

/// Findings EICAR, GTUBE and GTUBE_TAG; the last just reaches `tag_score`.
void check_test_strings(const TestStrings& strings, double tag_score, Findings& findings);

}  // namespace postern::filters
