#pragma once

#include <string_view>
#include <vector>

#include "filters/rules/rule.h"

namespace postern::filters::rules {

/// Reads a file of SpamAssassin's rule syntax, such as a local.cf, into the book: header, body, rawbody, uri, full, meta, score, describe,
/// tflags (multiple, maxhits). What needs one of its plugins or is no rule at all is left out. Returns what was left out, each with its
/// place and why, at most kSkippedMax; the rules that could be read are usable all the same. A rule of our own language is never replaced;
/// "score" applies to it. Linear in the text.
inline constexpr std::size_t kSkippedMax = 10'000;
std::vector<Problem> import_spamassassin(std::string_view text, std::string_view file, RuleBook& book);

}  // namespace postern::filters::rules
