#include "filters/message/test_strings.h"

#include <algorithm>
#include <cstddef>

namespace postern::filters {
namespace {

/// Both tests share "-STANDARD-ANTI". Of its pairs of neighbours "D-" is the rarest in mail: base64 has no
/// hyphen, and prose no capital D in front of one. It is looked for first.
constexpr char kPairFirst = 'D';
constexpr char kPairSecond = '-';

/// The same as in SpamAssassin and rspamd but for the first letter, which says what is to happen.
constexpr std::string_view kGtubeRest = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
constexpr std::size_t kGtubePairOffset = kGtubeRest.find("D-A");

/// Written backwards, so that virus scanners let this file and the program alone.
constexpr std::string_view kEicarReversed =
    "*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\\4[PA@%P!O5X";
constexpr std::size_t kEicarPairOffset = kEicarReversed.size() - kEicarReversed.find("-DRAD") - 2;

constexpr std::size_t kBlockOctets = 128;

constexpr double kCertainScore = 1000.0;

/// Whether the pair starts anywhere in the block; block[kBlockOctets] is looked at as well. No early exit: so
/// written, the compiler compares a vector of octets at a time.
bool has_pair(const char* block) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < kBlockOctets; ++i)
    found |= static_cast<unsigned char>((block[i] == kPairFirst) & (block[i + 1] == kPairSecond));
  return found != 0;
}

/// What the pair at `position` belongs to.
void inspect(std::string_view octets, std::size_t position, TestStrings& found) {
  if (position > kGtubePairOffset) {
    const std::size_t start = position - kGtubePairOffset;
    const char letter = octets[start - 1];
    if ((letter == 'X' || letter == 'Y') && octets.substr(start).starts_with(kGtubeRest))
      (letter == 'X' ? found.gtube : found.gtube_tag) = true;
  }
  if (position >= kEicarPairOffset) {
    const std::string_view candidate = octets.substr(position - kEicarPairOffset, kEicarReversed.size());
    if (std::equal(candidate.begin(), candidate.end(), kEicarReversed.rbegin(), kEicarReversed.rend()))
      found.eicar = true;
  }
}

/// All pairs that start in [from, to); octets[to] exists.
void inspect_pairs(std::string_view octets, std::size_t from, std::size_t to, TestStrings& found) {
  const std::string_view reach = octets.substr(0, to);
  for (std::size_t i = reach.find(kPairFirst, from); i != std::string_view::npos;
       i = reach.find(kPairFirst, i + 1))
    if (octets[i + 1] == kPairSecond) inspect(octets, i, found);
}

}  // namespace

TestStrings find_test_strings(std::string_view octets) {
  TestStrings found;
  std::size_t position = 0;
  for (; octets.size() - position > kBlockOctets; position += kBlockOctets)
    if (has_pair(octets.data() + position)) inspect_pairs(octets, position, position + kBlockOctets, found);
  if (!octets.empty()) inspect_pairs(octets, position, octets.size() - 1, found);
  return found;
}

void check_test_strings(const TestStrings& strings, double tag_score, Findings& findings) {
  if (strings.eicar)
    findings.found.push_back(
        {.name = "EICAR", .score = kCertainScore, .evidence = "contains the EICAR anti-virus test file"});
  if (strings.gtube)
    findings.found.push_back(
        {.name = "GTUBE", .score = kCertainScore, .evidence = "contains the GTUBE test string for spam"});
  if (strings.gtube_tag)
    findings.found.push_back(
        {.name = "GTUBE_TAG", .score = tag_score, .evidence = "contains the GTUBE test string for tagging"});
}

}  // namespace postern::filters
