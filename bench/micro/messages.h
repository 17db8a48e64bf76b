#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::bench {

/// Words with the frequencies of a text: a few often, most seldom; the same at every run.
class Words {
 public:
  std::string_view next() {
    seed_ = seed_ * 6364136223846793005 + 1442695040888963407;
    const auto draw = static_cast<std::uint32_t>(seed_ >> 40);
    const std::uint32_t reach = (draw & 3) != 0 ? 60 : 4000;
    std::uint32_t number = (draw >> 2) % reach + 1;
    word_.clear();
    for (; number != 0; number /= 12) {
      word_ += "bdfgklmnprst"[number % 12];
      word_ += "aeiou"[number % 5];
    }
    return word_;
  }

 private:
  std::uint64_t seed_ = 1;
  std::string word_;
};

/// A message of text and HTML of about so many octets, with the header that mail has, made without any file.
inline std::string made_message(std::size_t octets) {
  std::string message =
      "Received: from mail.sender.example (mail.sender.example [192.0.2.10])\r\n\tby mx.receiver.example "
      "with ESMTPS id 4A7B1; Mon, 6 Jan 2025 10:00:00 +0000\r\n"
      "Received: from desk.sender.example (desk.sender.example [192.0.2.77])\r\n\tby mail.sender.example "
      "with ESMTPSA id 99; Mon, 6 Jan 2025 09:59:58 +0000\r\n"
      "From: Robin Sample <robin@sender.example>\r\nTo: Kim <kim@receiver.example>\r\n"
      "Subject: A note on the meeting\r\nDate: Mon, 6 Jan 2025 10:00:00 +0000\r\n"
      "Message-ID: <20250106.1@sender.example>\r\nMIME-Version: 1.0\r\nX-Mailer: Sample 1.0\r\n"
      "Content-Type: multipart/alternative; boundary=\"part\"\r\n\r\n"
      "--part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
      "See http://www.sender.example/notes/1\r\n";
  Words words;
  const auto fill = [&](std::size_t until, std::string_view line_end) {
    for (std::size_t column = 0; message.size() < until;) {
      const std::string_view word = words.next();
      message += word;
      column += word.size() + 1;
      message += column > 70 ? line_end : " ";
      if (column > 70) column = 0;
    }
  };
  const std::size_t header = message.size();
  fill(header + (octets - std::min(octets, header)) / 2, "\r\n");
  message +=
      "\r\n--part\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p class=\"first\">See <a "
      "href=\"http://www.sender.example/notes/1\">the notes</a></p>\r\n";
  fill(octets, " <br>\r\n<b>more</b> ");
  message += "</body></html>\r\n--part--\r\n";
  return message;
}

}  // namespace postern::bench
