// Any octets as an event of the journal, and as a snapshot: what is taken is written back as it was.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "filters/bayes/event.h"
#include "filters/bayes/learner.h"

namespace {

using namespace postern::filters::bayes;

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  Learner learner(Table::kBitsMin);
  if (const auto event = decode_event(octets)) {
    std::string again;
    encode(*event, again);
    expect(again == octets);
    learner.apply(*event);
    return 0;
  }
  (void)Learner::snapshot_bits(octets);
  (void)learner.read_snapshot(octets);
  return 0;
}
