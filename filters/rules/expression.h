#pragma once

#include <expected>
#include <string_view>

#include "filters/rules/rule.h"

namespace postern::filters::rules {

/// Which words an expression may use: ours (README.md), or those of SpamAssassin's meta rules, which are names, numbers and operators.
enum class Dialect : std::uint8_t { postern, spamassassin };

/// Reads one expression; its patterns, subjects and names go into the book. `place` is where the text begins; the problem's column
/// is that of the mistake. Linear; depth and steps are bounded by Expression's limits.
std::expected<Expression, Problem> parse_expression(std::string_view text, const Place& place,
                                                    Dialect dialect, RuleBook& book);

/// A pattern with its delimiters and flags at the start of `text`, as in /…/i or m{…}x; `used` is its length. Flags: i (letters of
/// either case), m (^ and $ at each line), s (. takes line ends), x (blanks and comments are not part of it).
struct Delimited {
  std::string_view expression;
  bool caseless = false, multiline = false, dotall = false, extended = false;
  std::size_t used = 0;
};
/// The error says what is wrong; `used` has no meaning then.
std::expected<Delimited, std::string> read_delimited(std::string_view text);

/// Upper and lower case letters, digits and "_", not beginning with a digit, at most 100.
bool is_rule_name(std::string_view name);

}  // namespace postern::filters::rules
