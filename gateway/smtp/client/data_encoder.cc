#include "gateway/smtp/client/data_encoder.h"

#include <algorithm>

namespace postern::smtp::client {
namespace {

/// Where the header of `head` and `content` together ends: an offset into both, all of it when no line is empty.
std::size_t header_octets(std::string_view head, std::string_view content) {
  // An empty line is CRLF at the beginning, or behind a line end. The pieces meet at a line end (the first is made of whole
  // fields), so that each can be searched alone.
  const auto empty_line = [](std::string_view text) {
    if (text.starts_with("\r\n")) return std::size_t{0};
    return text.find("\r\n\r\n");
  };
  const std::size_t in_head = empty_line(head);
  if (in_head != std::string_view::npos) return in_head;
  const std::size_t in_content = empty_line(content);
  return head.size() + (in_content == std::string_view::npos ? content.size() : in_content);
}

bool any_eight_bit(std::string_view octets) {
  unsigned all = 0;
  for (const char c : octets) all |= static_cast<unsigned char>(c);
  return (all & 0x80) != 0;
}

/// `before` and `behind`: the octets around these.
bool any_bare(std::string_view octets, char before, char behind) {
  for (std::size_t at = octets.find('\n'); at != std::string_view::npos; at = octets.find('\n', at + 1)) {
    if ((at == 0 ? before : octets[at - 1]) != '\r') return true;
  }
  for (std::size_t at = octets.find('\r'); at != std::string_view::npos; at = octets.find('\r', at + 1)) {
    if ((at + 1 == octets.size() ? behind : octets[at + 1]) != '\n') return true;
  }
  return false;
}

/// The first CR or LF from `from` on. In windows, so that a message of CRs alone costs no more than its length.
std::size_t next_line_end(std::string_view octets, std::size_t from) {
  constexpr std::size_t kWindow = 256;
  for (; from < octets.size(); from += kWindow) {
    const std::string_view window = octets.substr(from, kWindow);
    const std::size_t lf = std::min(window.find('\n'), window.size());
    const std::size_t cr = std::min(window.substr(0, lf).find('\r'), lf);
    if (cr < window.size()) return from + cr;
  }
  return octets.size();
}

}  // namespace

Survey Survey::of(std::string_view head, std::string_view content) {
  Survey survey;
  const std::size_t header = header_octets(head, content);
  const std::size_t in_head = std::min(header, head.size()), in_content = header - in_head;
  survey.eight_bit_header =
      any_eight_bit(head.substr(0, in_head)) || any_eight_bit(content.substr(0, in_content));
  survey.eight_bit_content = any_eight_bit(head.substr(in_head)) || any_eight_bit(content.substr(in_content));
  const char head_end = head.empty() ? '\0' : head.back();
  const char content_start = content.empty() ? '\0' : content.front();
  survey.bare_line_ending = any_bare(head, '\0', content_start) || any_bare(content, head_end, '\0');
  survey.nul = head.find('\0') != std::string_view::npos || content.find('\0') != std::string_view::npos;
  return survey;
}

bool DataEncoder::next(std::string& out, std::size_t octets_max) {
  out.clear();
  if (done_) return false;
  while (part_ < 2 && out.size() < octets_max) {
    std::string_view& part = parts_[part_];
    const std::string_view now = part.substr(0, octets_max - out.size());
    part.remove_prefix(now.size());
    encode(now, out);
    if (part.empty()) ++part_;
  }
  if (part_ < 2) return true;
  if (after_cr_) {  // a CR at the very end stood alone
    out.append("\n");
    line_start_ = true;
  }
  if (!line_start_) out.append("\r\n");  // §4.1.1.4: the end of data needs a line end before it
  out.append(".\r\n");
  done_ = true;
  return true;
}

void DataEncoder::encode(std::string_view octets, std::string& out) {
  std::size_t at = 0;
  while (at < octets.size()) {
    if (after_cr_) {  // the CR is out already; its LF follows, or is added
      out.push_back('\n');
      if (octets[at] == '\n') ++at;
      after_cr_ = false;
      line_start_ = true;
      continue;
    }
    const char c = octets[at];
    if (c == '\r' || c == '\n') {
      out.push_back('\r');
      if (c == '\r') {
        after_cr_ = true;
      } else {
        out.push_back('\n');
        line_start_ = true;
      }
      ++at;
      continue;
    }
    if (line_start_ && c == '.') out.push_back('.');  // §4.5.2
    const std::size_t end = next_line_end(octets, at);
    out.append(octets.substr(at, end - at));
    line_start_ = false;
    at = end;
  }
}

}  // namespace postern::smtp::client
