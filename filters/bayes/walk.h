#pragma once

#include <span>
#include <string>
#include <string_view>

#include "filters/bayes/features.h"
#include "filters/message/analysis.h"
#include "filters/message/content.h"

namespace postern::filters::bayes {

/// A tag with its hash.
struct Tag {
  std::string_view name;
  std::uint64_t seed;
};

/// What the parts of the extraction share: the set that is filled, and how the common things are taken apart.
class Walk {
 public:
  explicit Walk(FeatureSet& set) : set_(set) {}

  Tag tag(std::string_view name) const { return {name, set_.hasher()(0, name)}; }
  std::uint64_t add(const Tag& tag, std::string_view text) { return set_.add(tag.name, tag.seed, text); }
  /// "www.shop.example.com" gives itself, shop.example.com and example.com; an address of IPv4 itself and its networks of 24 and 16 bits.
  void add_host(const Tag& tag, std::string_view host);
  /// Address, domain, what is left of it.
  void add_address(const Tag& tag, std::string_view local, std::string_view domain);
  /// Words in their case, and in lower case where that differs; pairs of those that stand up to `distance` apart. At most `count`.
  void add_words(const Tag& tag, std::string_view text, std::size_t count, std::size_t distance);
  FeatureSet& set() { return set_; }

 private:
  FeatureSet& set_;
  std::string lower_;
};

void add_header(Walk& walk, const Analysis& analysis, const Content& content);
void add_text(Walk& walk, const Content& content);
void add_links(Walk& walk, const Content& content);
void add_form(Walk& walk, const Content& content);
/// `buffer` is replaced.
void add_grams(FeatureSet& set, const Analysis& analysis, std::string& buffer);

}  // namespace postern::filters::bayes
