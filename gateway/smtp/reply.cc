#include "gateway/smtp/reply.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace postern::smtp {
namespace {

/// RFC 5321 §4.5.3.1.5: a reply line, code and CRLF included.
constexpr std::size_t kReplyLineOctetsMax = 512;

char printable(char c) {
  return c >= ' ' && c <= '~' ? c : '?';
}

}  // namespace

void Reply::append_to(std::string& out) const {
  char digits[16];
  const std::string_view number(digits, std::to_chars(digits, digits + sizeof digits, code).ptr);
  std::string_view rest = text;
  for (bool last = false; !last;) {
    const std::size_t end = rest.find('\n');
    last = end == std::string_view::npos;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(last ? rest.size() : end + 1);

    const std::size_t begin = out.size();
    out.append(number);
    // §4.2: nothing need follow the code of the last line; "-" marks all others (§4.2.1).
    if (!last) out.push_back('-');
    if (last && !(enhanced.empty() && line.empty())) out.push_back(' ');
    out.append(enhanced);  // RFC 2034 §4: on every line
    if (!enhanced.empty() && !line.empty()) out.push_back(' ');
    const std::size_t room = kReplyLineOctetsMax - std::min(kReplyLineOctetsMax, out.size() - begin + 2);
    std::ranges::transform(line.substr(0, room), std::back_inserter(out), printable);
    out.append("\r\n");
  }
}

}  // namespace postern::smtp
