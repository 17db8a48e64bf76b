#include "filters/authentication/dkim/canonical.h"

#include <algorithm>
#include <unordered_map>

#include "filters/authentication/dkim/tag_list.h"

namespace postern::filters::dkim {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/// As it stands, line ends as CRLF, the last one left out.
void append_simple(std::string& out, std::string_view raw) {
  if (raw.ends_with('\n')) raw.remove_suffix(1);
  if (raw.ends_with('\r')) raw.remove_suffix(1);
  for (std::size_t at = 0; at < raw.size();) {
    const std::size_t lf = std::min(raw.find('\n', at), raw.size());
    out += raw.substr(at, lf - at);
    if (lf < raw.size()) {
      if (!out.ends_with('\r')) out += '\r';
      out += '\n';
    }
    at = lf + 1;
  }
}

/// §3.4.2: unfolded, runs of blanks are one space, none at the ends.
void append_relaxed_value(std::string& out, std::string_view value) {
  bool blank = false;
  const std::size_t begin = out.size();
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < value.size() && value[i + 1] == '\n');
    if (line_end) continue;
    if (is_blank(c)) {
      blank = true;
      continue;
    }
    if (blank && out.size() > begin) out += ' ';
    blank = false;
    out += c;
  }
}

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

/// Where the value of b= stands in a signature field's value: from behind "=" to the semicolon or the end.
std::pair<std::size_t, std::size_t> signature_span(std::string_view value) {
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t end = std::min(value.find(';', at), value.size());
    const std::string_view part = value.substr(at, end - at);
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos && trimmed(part.substr(0, equals)) == "b")
      return {at + equals + 1, end};
    at = end + 1;
  }
  return {value.size(), value.size()};
}

}  // namespace

std::string_view to_string(Canonical canonical) {
  return canonical == Canonical::simple ? "simple" : "relaxed";
}

void append_field(std::string& out, const HeaderField& field, Canonical canonical) {
  if (canonical == Canonical::simple) {
    append_simple(out, field.raw);
  } else {
    out += lower(field.name);
    out += ':';
    append_relaxed_value(out, field.value);
  }
  out += "\r\n";
}

void append_signature_field(std::string& out, const HeaderField& field, Canonical canonical) {
  const std::string_view value = without_line_end(field.value);
  const auto [begin, end] = signature_span(value);
  std::string without(value.substr(0, begin));
  without += value.substr(end);
  if (canonical == Canonical::simple) {
    const std::string_view front =
        field.raw.substr(0, static_cast<std::size_t>(field.value.data() - field.raw.data()));
    append_simple(out, std::string(front) + without + "\r\n");
  } else {
    out += lower(field.name);
    out += ':';
    append_relaxed_value(out, without);
  }
}

std::vector<const HeaderField*> select_fields(const std::vector<HeaderField>& fields,
                                              const std::vector<std::string_view>& names) {
  std::unordered_map<std::string, std::vector<const HeaderField*>> wanted;
  for (const std::string_view name : names) wanted[lower(name)];
  for (const HeaderField& field : fields) {
    const auto found = wanted.find(lower(field.name));
    if (found != wanted.end()) found->second.push_back(&field);
  }
  std::vector<const HeaderField*> selected;
  for (const std::string_view name : names) {
    auto& instances = wanted[lower(name)];
    if (instances.empty()) continue;
    selected.push_back(instances.back());
    instances.pop_back();
  }
  return selected;
}

}  // namespace postern::filters::dkim
