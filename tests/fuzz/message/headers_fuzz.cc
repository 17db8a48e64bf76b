// Any octets as a structured field, a text, addresses and an encoded body.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "filters/message/charset.h"
#include "filters/message/decode.h"
#include "filters/message/header_text.h"

namespace {

using namespace postern::filters;

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Oddities oddities;
  const StructuredField field = parse_structured_field(text);
  expect(field.parameters.size() <= StructuredField::kParametersMax);
  expect(field.value.find_first_of("\r\n") == std::string::npos);
  for (const Parameter& parameter : field.parameters) expect(is_utf8(decode_parameter(parameter, oddities)));
  expect(is_utf8(decode_header_text(text, oddities)));
  for (const MailboxName& mailbox : decode_addresses(text, oddities).mailboxes) expect(is_utf8(mailbox.name));
  expect(decode_base64(text, oddities).size() <= size);
  expect(decode_quoted_printable(text, oddities).size() <= size);
  expect(decode_uuencode(text, oddities).size() <= size);
  const std::string_view charset = text.substr(0, text.find('\n'));
  expect(is_utf8(to_utf8(text.substr(charset.size()), charset, oddities)));
  return 0;
}
