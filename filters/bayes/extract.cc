#include "filters/bayes/extract.h"

#include <algorithm>
#include <array>

#include "filters/bayes/walk.h"
#include "filters/bayes/words.h"

namespace postern::filters::bayes {
namespace {

constexpr std::size_t kParentsMax = 4;  // of a host's domains

}  // namespace

void Walk::add_host(const Tag& tag, std::string_view host) {
  constexpr std::size_t kHostOctetsMax = 255;
  host = host.substr(0, kHostOctetsMax);
  while (!host.empty() && host.back() == '.') host.remove_suffix(1);
  if (host.empty()) return;
  std::string lower;
  host = lowered(host, lower);
  add(tag, host);
  if (is_ipv4(host)) {
    for (int level = 0; level < 2; ++level) {
      host = host.substr(0, host.rfind('.'));
      add(tag, host);
    }
    return;
  }
  for (std::size_t level = 0; level < kParentsMax; ++level) {
    const std::size_t dot = host.find('.');
    if (dot == host.npos) return;
    host.remove_prefix(dot + 1);
    add(tag, host);
  }
}

void Walk::add_address(const Tag& tag, std::string_view local, std::string_view domain) {
  constexpr std::size_t kLocalOctetsMax = 64;  // RFC 5321 §4.5.3.1.1
  std::string whole(local.substr(0, kLocalOctetsMax));
  whole += '@';
  whole += domain.substr(0, 255);
  std::string lower;
  const std::string_view address = lowered(whole, lower);
  add(tag, address);
  add(tag, address.substr(0, address.find('@') + 1));
  add_host(tag, domain);
}

void Walk::add_words(const Tag& tag, std::string_view text, std::size_t count, std::size_t distance) {
  constexpr std::size_t kDistanceMax = 4;
  struct Seen {
    std::uint64_t hash;
    std::string_view text;
  };
  std::array<Seen, kDistanceMax> seen{};
  for (std::size_t i = 0; i < count; ++i) {
    std::string_view word = next_word(text);
    if (word.empty()) return;
    const std::uint64_t hash = add(tag, word);
    if (const std::string_view lower = lowered(word, lower_); lower != word) add(tag, lower);
    for (std::size_t apart = 1; apart <= std::min(distance, i); ++apart) {
      const Seen& other = seen[(i - apart) % kDistanceMax];
      set_.add_pair(tag.name, other.hash, hash, apart, other.text, word);
    }
    seen[i % kDistanceMax] = {hash, word};
  }
}

void add_grams(FeatureSet& set, const Analysis& analysis, std::string& buffer) {
  buffer.clear();
  const auto append = [&buffer](std::string_view octets) {
    while (!octets.empty() && buffer.size() < Extractor::kGramOctetsMax) {
      const std::size_t end = std::min(octets.find('\r'), octets.size());
      buffer += octets.substr(0, std::min(end, Extractor::kGramOctetsMax - buffer.size()));
      octets.remove_prefix(std::min(end + 1, octets.size()));
    }
  };
  for (const HeaderField& field : analysis.fields()) {
    if (buffer.size() == Extractor::kGramOctetsMax) break;
    if (!ignored_field(field.name)) append(field.raw);
  }
  append("\n");
  append(analysis.body());
  set.add_grams(buffer);
}

void Extractor::run(const Analysis& analysis, const Content& content, std::span<const std::string> facts,
                    Features& features) const {
  FeatureSet set(hasher_, features);
  Walk walk(set);
  const Tag fact_tag = walk.tag("fact:");
  for (const std::string& fact : facts.first(std::min(facts.size(), kFactsMax))) walk.add(fact_tag, fact);
  add_header(walk, analysis, content);
  add_form(walk, content);
  add_links(walk, content);
  add_text(walk, content);
  std::string buffer;
  buffer.reserve(kGramOctetsMax);
  add_grams(set, analysis, buffer);
}

}  // namespace postern::filters::bayes
