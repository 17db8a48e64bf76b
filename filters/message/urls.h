#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace postern::filters {

/// A URL found in text; as it stands there, with "http://" in front of a host without a scheme.
struct FoundUrl {
  std::string url;
  std::size_t position = 0;  ///< in the text
};

/// The URLs in plain text: http, https and ftp with a scheme, hosts that start with "www.", and bare hosts whose last label is a
/// top-level domain of a short list (or any of two letters or known length when a path follows). Domains of mail addresses are not
/// taken. A URL ends at a blank, a quotation mark, an angle bracket or punctuation of another script; punctuation at its end is the
/// sentence's, and so is a bracket it did not open. Linear; at most `count_max`.
std::vector<FoundUrl> find_urls(std::string_view text, std::size_t count_max);

/// The target of a link as a URL of the list: "//host/…" gets "http:", a scheme other than http, https and ftp gives nothing, and so
/// does a relative target.
std::string url_of_target(std::string_view target);

/// URLs in the order of their appearance, each once.
class UrlList {
 public:
  static constexpr std::size_t kUrlsMax = 1000;
  static constexpr std::size_t kUrlOctetsMax = 8192;  ///< longer ones are cut off

  void add(std::string url);
  const std::vector<std::string>& urls() const { return urls_; }
  std::vector<std::string> take() { return std::move(urls_); }
  bool truncated() const { return truncated_; }

 private:
  std::vector<std::string> urls_;
  std::unordered_set<std::string> known_;
  bool truncated_ = false;
};

}  // namespace postern::filters
