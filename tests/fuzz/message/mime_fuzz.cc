// Any octets as a message: leaves lie in it in order without overlap, decoded parts are no larger than they were, texts are UTF-8, and
// the limits hold.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/message/charset.h"
#include "filters/message/content.h"
#include "filters/message/urls.h"

namespace {

using namespace postern::filters;

void expect(bool condition) {
  if (!condition) std::abort();
}

void check_tree(std::string_view body, const Mime& mime, const MimeLimits& limits) {
  expect(!mime.entities().empty() && mime.entities().size() <= limits.parts_max);
  const char* position = body.data();
  const char* const end = body.data() + body.size();
  for (std::size_t i = 0; i < mime.entities().size(); ++i) {
    const Entity& entity = mime.entities()[i];
    expect(entity.parent == Entity::kNone ? i == 0 : entity.parent < i);
    expect(entity.kind == Entity::Kind::multipart || !entity.path.empty());
    expect(!entity.type.empty());
    if (entity.kind != Entity::Kind::leaf) continue;
    expect(entity.body.data() >= position);
    position = entity.body.data() + entity.body.size();
    expect(position <= end);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const Analysis analysis = Analysis::of(message);
  check_tree(analysis.body(), Mime::of(analysis.fields(), analysis.body()), {});
  const MimeLimits limits{.depth_max = 2, .parts_max = 3, .header_fields_max = 2};
  check_tree(analysis.body(), Mime::of(analysis.fields(), analysis.body(), limits), limits);

  const Content content = Content::of(analysis);
  for (const ContentPart& part : content.parts()) {
    expect(part.octets.size() <= part.raw.size());
    expect(is_utf8(part.filename));
  }
  expect(is_utf8(content.text()) && is_utf8(content.subject()));
  expect(content.urls().size() <= UrlList::kUrlsMax);
  return 0;
}
