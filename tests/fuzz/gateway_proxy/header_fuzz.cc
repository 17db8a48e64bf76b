// Whatever a peer sends before its first command: a header that is taken consumes what it should, waits for
// more at every proper prefix, and does not look at what follows.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/proxy/header.h"

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

bool same(const postern::proxy::Header& a, const postern::proxy::Header& b) {
  return a.consumed == b.consumed && a.protocol == b.protocol && a.version == b.version &&
         a.source.ip == b.source.ip && a.source.port == b.source.port && a.source.path == b.source.path &&
         a.destination.ip == b.destination.ip && a.tlvs.size() == b.tlvs.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using postern::proxy::parse;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto outcome = parse(input);
  if (!outcome) {
    expect(outcome.error().position <= size);
    expect(!outcome.error().reason.empty());
    return 0;
  }
  if (!*outcome) {
    expect(size < postern::proxy::kHeaderOctetsMax);
    return 0;
  }
  const postern::proxy::Header& header = **outcome;
  expect(header.consumed > 0 && header.consumed <= size);
  expect(header.consumed <= postern::proxy::kHeaderOctetsMax);
  const auto exact = parse(input.substr(0, header.consumed));
  expect(exact && *exact && same(**exact, header));
  const std::size_t step = header.consumed > 256 ? header.consumed / 64 : 1;
  for (std::size_t part = 0; part < header.consumed; part += step) {
    const auto prefix = parse(input.substr(0, part));
    expect(prefix && !*prefix);
  }
  return 0;
}
