#pragma once

#include <string>
#include <string_view>

namespace postern::test {

/// What a message on the wire means, written down a second time and the slow way: whole text, no states. Tests and the fuzz
/// target compare the decoder with it.
struct DataModel {
  bool ended = false;
  std::size_t consumed = 0;  ///< with the end of data
  std::size_t bare_line_endings = 0;
  std::string body;  ///< each bare line ending as CRLF; only when `ended`
};

/// RFC 5321 §4.1.1.4: CRLF.CRLF ends the data, .CRLF where it is all there is.
inline DataModel model_of_data(std::string_view wire) {
  constexpr std::string_view kEnd = "\r\n.\r\n";
  DataModel model;
  std::string_view content;
  if (wire.starts_with(kEnd.substr(2))) {
    model.ended = true;
    model.consumed = 3;
  } else if (const std::size_t end = wire.find(kEnd); end != std::string_view::npos) {
    model.ended = true;
    model.consumed = end + kEnd.size();
    content = wire.substr(0, end + 2);
  } else {
    return model;
  }
  while (!content.empty()) {
    const std::size_t ending = content.find_first_of("\r\n");
    std::string_view line = content.substr(0, ending);
    const bool crlf = content.substr(ending).starts_with("\r\n");
    if (!crlf) ++model.bare_line_endings;
    // §4.5.2; a dot alone that ends nothing is left, whoever wrote it meant a line of one dot.
    if (line.size() > 1 && line.front() == '.') line.remove_prefix(1);
    model.body.append(line).append("\r\n");
    content.remove_prefix(ending + (crlf ? 2 : 1));
  }
  return model;
}

}  // namespace postern::test
