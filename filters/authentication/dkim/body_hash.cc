#include "filters/authentication/dkim/body_hash.h"

#include <algorithm>
#include <cstring>

namespace postern::filters::dkim {
namespace {

constexpr std::size_t kBuffer = 16384;

}  // namespace

BodyHash::BodyHash(Canonical canonical, crypto::Algorithm algorithm, std::uint64_t length)
    : canonical_(canonical), digest_(algorithm), left_(length) {
  buffer_.reserve(kBuffer + 64);
}

void BodyHash::flush() {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), left_));
  if (size > 0) digest_.update(std::string_view(buffer_).substr(0, size));
  if (left_ != kWhole) left_ -= size;
  buffer_.clear();
}

void BodyHash::emit(std::string_view octets) {
  octets_ += octets.size();
  if (left_ == 0) return;  // beyond l=: only counted
  if (octets.size() >= kBuffer / 4) {
    flush();
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(octets.size(), left_));
    digest_.update(octets.substr(0, size));
    if (left_ != kWhole) left_ -= size;
    return;
  }
  buffer_ += octets;
  if (buffer_.size() >= kBuffer) flush();
}

void BodyHash::line_end() {
  blank_ = false;  // relaxed: blanks at the end of a line vanish
  if (line_has_content_) {
    emit("\r\n");
  } else {
    ++empty_lines_;
  }
  line_has_content_ = false;
}

void BodyHash::content(std::string_view octets) {
  for (; empty_lines_ > 0; --empty_lines_) emit("\r\n");
  if (blank_) emit(" ");
  blank_ = false;
  line_has_content_ = true;
  emit(octets);
}

void BodyHash::update(std::string_view octets) {
  if (octets.empty()) return;
  if (cr_ && octets.front() != '\n') content("\r");  // it ended no line
  cr_ = false;
  for (std::size_t at = 0; at < octets.size();) {
    const char* const begin = octets.data() + at;
    const auto* lf = static_cast<const char*>(std::memchr(begin, '\n', octets.size() - at));
    std::size_t size = lf != nullptr ? static_cast<std::size_t>(lf - begin) : octets.size() - at;
    const bool ends = lf != nullptr;
    at += size + (ends ? 1 : 0);
    if (size > 0 && begin[size - 1] == '\r') {
      --size;
      if (!ends) cr_ = true;  // its LF may come with the next octets
    }
    const std::string_view line(begin, size);
    if (canonical_ == Canonical::simple) {
      if (!line.empty()) content(line);
    } else {
      for (std::size_t i = 0; i < line.size();) {
        if (line[i] == ' ' || line[i] == '\t') {
          blank_ = true;
          ++i;
          continue;
        }
        std::size_t j = i + 1;
        while (j < line.size() && line[j] != ' ' && line[j] != '\t') ++j;
        // A single space inside the line stays as it is: take the words around it in one piece.
        while (j + 1 < line.size() && line[j] == ' ' && line[j + 1] != ' ' && line[j + 1] != '\t') {
          ++j;
          while (j < line.size() && line[j] != ' ' && line[j] != '\t') ++j;
        }
        content(line.substr(i, j - i));
        i = j;
      }
    }
    if (ends) line_end();
  }
}

BodyHash::Result BodyHash::finish() {
  if (cr_) content("\r");  // at the very end it is content, as inside a line
  if (line_has_content_) line_end();
  // §3.4.3: an empty body is one CRLF; §3.4.4: relaxed, it is nothing.
  if (octets_ == 0 && canonical_ == Canonical::simple) emit("\r\n");
  flush();
  return {.digest = digest_.finish(), .octets = octets_};
}

const BodyHash::Result& BodyHashes::get(Canonical canonical, crypto::Algorithm algorithm,
                                        std::uint64_t length) {
  const auto key = std::tuple(canonical, algorithm, length);
  if (const auto found = results_.find(key); found != results_.end()) return found->second;
  BodyHash hash(canonical, algorithm, length);
  hash.update(body_);
  return results_.emplace(key, hash.finish()).first->second;
}

}  // namespace postern::filters::dkim
