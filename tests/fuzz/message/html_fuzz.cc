// Any octets as HTML: the same for every split (the first octet chooses it), and references lie within the text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/message/html_text.h"
#include "filters/message/urls.h"

namespace {

using namespace postern::filters;

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view html(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t limit = data[0] >= 0x80 ? 16 : 1U << 20;
  HtmlReader whole(limit);
  whole.write(html);
  const HtmlText text = whole.finish();
  expect(text.text.size() <= limit && text.hidden.size() <= limit);
  for (const HtmlReference& reference : text.references)
    expect(reference.position <= reference.text_end && reference.text_end <= text.text.size());

  HtmlReader pieces(limit);
  const std::size_t step = (data[0] & 0x0F) + 1U;
  for (std::size_t at = 0; at < html.size(); at += step) pieces.write(html.substr(at, step));
  const HtmlText again = pieces.finish();
  expect(again.text == text.text && again.hidden == text.hidden &&
         again.references.size() == text.references.size());

  for (const FoundUrl& found : find_urls(html, 100))
    expect(found.position < html.size() && !found.url.empty());
  return 0;
}
