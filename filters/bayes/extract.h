#pragma once

#include <span>
#include <string>
#include <string_view>

#include "filters/bayes/features.h"
#include "filters/bayes/key.h"
#include "filters/message/analysis.h"
#include "filters/message/content.h"

namespace postern::filters::bayes {

/// What a message looks like to the classifier. Tokens, each under the tag that says where it stands:
///
///   header   names of fields, what follows what; each field's words under its name. Addresses, hosts and networks also in parts; of
///            Message-ID, boundaries and the like the shape instead of the text
///   text     words of the visible text in their case, pairs of the first ones; hidden text apart
///   links    host, parent domains, port, words of path and query
///   form     HTML elements and attributes, MIME types, charsets, file names, sizes, what is odd (oddities.h)
///   facts    what the gateway knows and the message cannot say, as given: "spf=pass"
///
/// and, as a second view that no decoder stands before, every run of four octets of the message's first kGramOctetsMax.
///
/// Fields that other filters write are never looked at, nor are a mail program's own notes (ignored_field()): who writes them could
/// tell us what to think, and where they come and go with training they would teach us the teacher.
///
/// One pass, linear, bounded by the constants below. Not thread-safe; each thread its own. Pure: the same message, facts and secret
/// give the same features.
class Extractor {
 public:
  static constexpr std::size_t kGramOctetsMax = 3'000;
  static constexpr std::size_t kTextOctetsMax = 64U << 10;  ///< of visible text; of hidden text an eighth
  static constexpr std::size_t kHtmlOctetsMax = 64U << 10;  ///< looked at for elements
  static constexpr std::size_t kFieldsMax = 200;            ///< header fields looked at
  static constexpr std::size_t kFieldOctetsMax = 4096;      ///< of one field's value
  static constexpr std::size_t kWordsPerFieldMax = 30;      ///< of a field with no form of its own
  static constexpr std::size_t kPartsMax = 50, kUrlsMax = 200, kFactsMax = 64;
  static constexpr std::size_t kPairedWordsMax = 200;  ///< first words of the text that are paired

  explicit Extractor(const Secret& secret) : hasher_(secret) {}

  /// Replaces what `features` held.
  void run(const Analysis& analysis, const Content& content, std::span<const std::string> facts,
           Features& features) const;

 private:
  Hasher hasher_;
};

/// Whether a header field is never looked at. `name` in any case.
bool ignored_field(std::string_view name);

}  // namespace postern::filters::bayes
