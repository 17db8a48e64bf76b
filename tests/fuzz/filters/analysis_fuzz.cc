// Any octets as a message: fields lie in order within the header, header and body make the message, and the
// limits hold.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "filters/message/analysis.h"

namespace {

using postern::filters::Analysis;
using postern::filters::HeaderField;

constexpr std::string_view kGtubeEnd = "*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

void expect(bool condition) {
  if (!condition) std::abort();
}

void check_fields(const Analysis& analysis) {
  const char* position = analysis.header().data();
  const char* const end = position + analysis.header().size();
  for (const HeaderField& field : analysis.fields()) {
    expect(field.raw.data() >= position);
    position = field.raw.data() + field.raw.size();
    expect(position <= end);
    expect(field.raw.starts_with(field.name));
    expect(!field.name.empty());
    expect(field.value.data() > field.name.data() && field.value.data() + field.value.size() <= position);
    expect(Analysis::unfolded(field.value).find_first_of("\r\n") == std::string::npos);
    expect(analysis.count(field.name) > 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const Analysis analysis = Analysis::of(message);
  expect(analysis.header().size() + analysis.body().size() == size);
  check_fields(analysis);
  expect(analysis.has_oddity("nul_octet") == (message.find('\0') != std::string_view::npos));
  if (analysis.has_gtube()) expect(message.find(kGtubeEnd) != std::string_view::npos);

  const postern::filters::AnalysisLimits limits{.header_octets_max = size / 2, .header_fields_max = 3};
  const Analysis limited = Analysis::of(message, limits);
  check_fields(limited);
  expect(limited.fields().size() <= limits.header_fields_max);
  expect(limited.header().size() <= limits.header_octets_max);
  expect(limited.truncated() == limited.has_oddity("header_truncated"));
  return 0;
}
