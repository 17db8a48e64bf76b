#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::smtp {

/// One SMTP reply: code, enhanced status code (RFC 3463; empty where the standard forbids one, e.g. the greeting, EHLO's reply and 354)
/// and text. A text with '\n' in it becomes a multi-line reply (RFC 5321 §4.2.1).
struct Reply {
  int code = 0;
  std::string enhanced;
  std::string text;

  bool positive() const { return code >= 200 && code < 400; }
  bool permanent() const { return code >= 500; }
  /// Appends the wire form, CRLF included. Octets that may not stand in a reply (controls, 8-bit unless smtputf8) become '?'; lines longer
  /// than 512 octets (RFC 5321 §4.5.3.1.5) are cut.
  void append_to(std::string& out) const;
};

}  // namespace postern::smtp
