#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// Rules that postmasters write: conditions over what a message says, with scores. The language is described in README.md.
namespace postern::filters::rules {

/// Where something stands in a rule file. Line and column count from 1; line 0: the file as a whole.
struct Place {
  std::string file;
  unsigned line = 0, column = 0;
};

struct Problem {
  Place place;
  std::string what;
  std::string text() const;  ///< "FILE:LINE:COLUMN: what"
};

/// What a pattern looks at, or what is counted.
enum class Field : std::uint8_t {
  body,     ///< the subject and the visible text, decoded, blanks folded, one paragraph a line
  hidden,   ///< text of HTML that a style hides, folded likewise
  rawbody,  ///< each text part, decoded but not rendered
  message,  ///< the octets as they came
  url,
  url_host,
  url_domain,  ///< registrable domain
  header,
  header_block,     ///< all fields, unfolded and decoded, "Name: value" one a line
  attachment_name,  ///< file name
  attachment_type,
  attachment_extension,  ///< lower case, without the dot
  envelope_from,
  envelope_recipient,
  envelope_helo,
  client_name,
  client_ip,
  authentication,  ///< `name` is the method; the value is its result, "none" where it was not evaluated
};

/// Which reading of a header field.
enum class Form : std::uint8_t { decoded, raw, address, name, domain };

/// One thing to look at: a field, and for headers and authentication which.
struct Subject {
  Field field = Field::body;
  Form form = Form::decoded;
  std::string name;  ///< header field or method, lower case; several fields may be joined by commas
  friend bool operator==(const Subject&, const Subject&) = default;
  friend auto operator<=>(const Subject&, const Subject&) = default;
};

struct Pattern {
  static constexpr std::size_t kExpressionOctetsMax = 8192;

  std::uint32_t subject = 0;  ///< in RuleBook::subjects
  std::string expression;     ///< PCRE syntax, octets
  bool caseless = false, multiline = false, dotall = false, extended = false;
  bool counted = false;       ///< its value is how often it matches, at most kCountMax
  bool inverted = false;      ///< true where nothing matches: !~
  bool has_default = false;   ///< SpamAssassin's [if-unset: …]
  std::string default_value;  ///< looked at where the subject does not occur
  Place place;
  static constexpr unsigned kCountMax = 100;
  bool same_as(const Pattern& other) const;
};

/// One step of an expression in postfix order.
struct Step {
  enum class Kind : std::uint8_t {
    number,
    pattern,  ///< index: RuleBook::patterns
    fact,     ///< index: facts.h
    count,    ///< index: RuleBook::subjects: how many there are
    rule,     ///< index: RuleBook::names, and in a RuleSet the rule's
    finding,  ///< index: RuleBook::names: what another check found
    logical_not,
    negate,
    logical_and,
    logical_or,
    add,
    subtract,
    multiply,
    divide,  ///< by zero: 0
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
  };
  Kind kind = Kind::number;
  double number = 0;
  std::uint32_t index = 0;
};

struct Expression {
  static constexpr std::size_t kStepsMax = 2000;
  static constexpr unsigned kDepthMax = 64;
  std::vector<Step> steps;
};

/// A message made for a rule, which the rule must find, or must not.
struct Sample {
  bool match = true;
  /// "body", "html", "header", "attach", "envelope", "auth", "message" and what stands behind it.
  std::vector<std::pair<std::string, std::string>> pieces;
  Place place;
};

struct Rule {
  std::string name;  ///< upper case; one that starts with "__" is no finding, only part of others
  std::string description;
  double score = 0;
  bool scored = false;                                 ///< a score was written
  std::vector<std::pair<std::string, double>> scores;  ///< by profile
  int group = -1;                                      ///< in RuleBook::groups
  Expression when;
  std::vector<Sample> samples;
  Place place;
  bool imported = false;  ///< of SpamAssassin's syntax
  bool off = false;       ///< there a score of 0 says so: never true
  bool hidden() const { return name.starts_with("__"); }
};

/// What the findings of several rules together may count at most.
struct Group {
  std::string name;
  double cap = 0;
};

/// What rule files say, not yet compiled.
struct RuleBook {
  static constexpr std::size_t kRulesMax = 20'000;

  std::vector<Rule> rules;
  std::vector<Pattern> patterns;
  std::vector<Subject> subjects;
  std::vector<Group> groups;
  std::vector<std::string> names;  ///< of rules and findings that expressions mention

  std::uint32_t subject(Subject wanted);
  std::uint32_t pattern(Pattern wanted);
  std::uint32_t name(std::string_view wanted);
  /// Null where there is none of that name.
  Rule* find(std::string_view name);
  /// The name must be new.
  Rule& add(Rule rule);

 private:
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace postern::filters::rules
