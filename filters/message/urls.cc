#include "filters/message/urls.h"

#include <algorithm>
#include <utility>

#include "filters/message/content_field.h"

namespace postern::filters {
namespace {

constexpr std::size_t kHostOctetsMax = 253;  // RFC 1035 §2.3.4

constexpr std::string_view kSchemes[] = {"https://", "http://", "ftp://"};

/// Top-level domains that make a bare "name.tld" a host in running text. A short list on purpose: "readme.md", "main.rs" and the end of
/// one sentence glued to the next are not hosts, though there are such domains.
constexpr std::string_view kTopLevels[] = {
    "app",  "at",  "au",  "be",   "biz",     "br",   "ca",    "cc", "ch", "click",  "cloud", "club", "cn",
    "co",   "com", "cz",  "de",   "dev",     "dk",   "edu",   "es", "eu", "fi",     "fr",    "fun",  "gov",
    "gr",   "hk",  "hu",  "icu",  "ie",      "il",   "info",  "io", "ir", "it",     "jp",    "kr",   "link",
    "live", "ly",  "mil", "mx",   "net",     "ng",   "nl",    "no", "nz", "online", "org",   "pl",   "pt",
    "ro",   "ru",  "se",  "shop", "site",    "sk",   "store", "su", "tk", "top",    "tr",    "tv",   "tw",
    "ua",   "uk",  "us",  "vip",  "website", "work", "xyz",   "za",
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool is_letter(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
/// Of a host in plain text. Octets above 127: names in other scripts, behind a scheme only.
bool is_host_octet(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
}

bool starts_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && same_word(text.substr(0, word.size()), word);
}

/// Whether a URL ends before this octet. Of the characters above ASCII: no-break space, general and CJK punctuation, wide forms.
bool ends_url(std::string_view text, std::size_t at) {
  const auto octet = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned c = octet(at);
  if (c <= ' ' || c == 0x7F || c == '<' || c == '>' || c == '"' || c == '`' || c == '{' || c == '}' ||
      c == '|' || c == '\\' || c == '^')
    return true;
  if (c == 0xC2) return octet(at + 1) <= 0xBF;
  if (c == 0xE2) return octet(at + 1) == 0x80 || octet(at + 1) == 0x81;
  if (c == 0xE3) return octet(at + 1) == 0x80;
  return c == 0xEF && (octet(at + 1) == 0xBC || octet(at + 1) == 0xBD);
}

std::size_t url_end(std::string_view text, std::size_t from) {
  while (from < text.size() && !ends_url(text, from)) ++from;
  return from;
}

/// Punctuation at the end off.
std::string_view without_punctuation(std::string_view url) {
  constexpr std::string_view kBrackets = ")]";
  constexpr std::string_view kOpening = "([";
  std::size_t surplus[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto closing = std::ranges::count(url, kBrackets[i]);
    const auto opening = std::ranges::count(url, kOpening[i]);
    surplus[i] = closing > opening ? static_cast<std::size_t>(closing - opening) : 0;
  }
  while (!url.empty()) {
    const char c = url.back();
    if (const std::size_t bracket = kBrackets.find(c); bracket != std::string_view::npos) {
      if (surplus[bracket] == 0) break;
      --surplus[bracket];
    } else if (std::string_view(".,;:!?'*_~").find(c) == std::string_view::npos) {
      break;
    }
    url.remove_suffix(1);
  }
  return url;
}

std::string_view last_label(std::string_view host) {
  return host.substr(host.rfind('.') + 1);
}

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > kHostOctetsMax || host.front() == '.' || host.front() == '-' ||
      host.back() == '-')
    return false;
  return host.find("..") == std::string_view::npos && host.find('.') != std::string_view::npos;
}

class Finder {
 public:
  Finder(std::string_view text, std::size_t count_max) : text_(text), count_max_(count_max) {}

  std::vector<FoundUrl> run() {
    while (at_ < text_.size() && found_.size() < count_max_) {
      if (!is_host_octet(text_[at_])) {
        ++at_;
        continue;
      }
      std::size_t end = at_;
      while (end < text_.size() && is_host_octet(text_[end])) ++end;
      word(end);
    }
    return std::move(found_);
  }

 private:
  /// A run of letters, digits, dots and hyphens from at_ to `end`: a scheme, a host or neither.
  void word(std::size_t end) {
    const std::string_view run = text_.substr(at_, end - at_);
    if (text_.substr(end).starts_with("://")) {
      for (const std::string_view scheme : kSchemes) {
        const std::size_t length = scheme.size() - 3;
        // Something may be glued to the scheme: "URL-http://…".
        if (run.size() < length ||
            !starts_with_word(run.substr(run.size() - length), scheme.substr(0, length)))
          continue;
        take(end - length, end + 3, {});
        return;
      }
      at_ = end + 3;
      return;
    }
    const char before = at_ > 0 ? text_[at_ - 1] : ' ';
    const char after = end < text_.size() ? text_[end] : ' ';
    const bool of_address = before == '@' || after == '@' || before == '/' || before == '=' ||
                            before == '%' || before == '&' ||
                            (static_cast<unsigned char>(before) >= 0x80 && !is_separator(at_));
    std::string_view host = run;
    std::size_t start = at_;
    while (!host.empty() && (host.front() == '.' || host.front() == '-' || host.front() == '_')) {
      host.remove_prefix(1);
      ++start;
    }
    const bool has_path =
        after == '/' || after == '?' || (after == ':' && end + 1 < text_.size() && is_digit(text_[end + 1]));
    while (!has_path && (host.ends_with('.') || host.ends_with('_') || host.ends_with('-')))
      host.remove_suffix(1);
    if (of_address || !is_host(host) || !is_bare_host(host, has_path)) {
      at_ = end;
      return;
    }
    take(start, start + host.size(), "http://");
  }

  /// A character in front that does not belong to a word: see ends_url.
  bool is_separator(std::size_t at) const {
    for (std::size_t back = 2; back <= 3 && back <= at; ++back)
      if (static_cast<unsigned char>(text_[at - back]) >= 0xC0) return ends_url(text_, at - back);
    return false;
  }

  static bool is_bare_host(std::string_view host, bool has_path) {
    const std::string_view top = last_label(host);
    const bool letters = !top.empty() && std::ranges::all_of(top, is_letter);
    if (starts_with_word(host, "www.") && host.size() > 5 && letters && top.size() >= 2) return true;
    const bool known =
        std::ranges::any_of(kTopLevels, [top](std::string_view each) { return same_word(each, top); });
    // "3.com", "e.g.it": a label of one letter in front is rather an abbreviation.
    const std::size_t second = host.size() - top.size() - 1;
    const bool abbreviation = second < 2 && !has_path;
    return letters && known && !abbreviation && std::ranges::any_of(host.substr(0, second), is_letter);
  }

  /// A URL that starts at `start`; its host, or what follows the host, is from `rest` on.
  void take(std::size_t start, std::size_t rest, std::string_view prefix) {
    const std::size_t end = rest < text_.size() && !prefix.empty() &&
                                    std::string_view("/?#:").find(text_[rest]) == std::string_view::npos
                                ? rest
                                : url_end(text_, rest);
    const std::string_view url = without_punctuation(text_.substr(start, end - start));
    at_ = std::max(end, at_ + 1);
    if (prefix.empty() && start + url.size() <= rest) return;  // a scheme and nothing behind it
    found_.push_back({.url = std::string(prefix) + std::string(url), .position = start});
  }

  std::string_view text_;
  std::size_t count_max_;
  std::size_t at_ = 0;
  std::vector<FoundUrl> found_;
};

}  // namespace

std::vector<FoundUrl> find_urls(std::string_view text, std::size_t count_max) {
  return Finder(text, count_max).run();
}

std::string url_of_target(std::string_view target) {
  if (target.starts_with("//") || target.starts_with("\\\\"))
    return "http://" + std::string(target.substr(2));
  for (const std::string_view scheme : kSchemes) {
    const std::string_view name = scheme.substr(0, scheme.size() - 2);  // with the colon
    // Readers take any number of slashes of either kind: URL standard §4.4.
    if (starts_with_word(target, name))
      return target.size() > name.size() ? std::string(target) : std::string();
  }
  if (starts_with_word(target, "www.")) return "http://" + std::string(target);
  return {};
}

void UrlList::add(std::string url) {
  if (url.empty()) return;
  if (url.size() > kUrlOctetsMax) url.resize(kUrlOctetsMax);
  if (known_.contains(url)) return;
  if (urls_.size() == kUrlsMax) {
    truncated_ = true;
    return;
  }
  known_.insert(url);
  urls_.push_back(std::move(url));
}

}  // namespace postern::filters
