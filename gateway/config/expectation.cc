// What a key expects, in words: the same words in problems, in `config dump` and in the reference.
#include <fmt/format.h>

#include "gateway/config/schema.h"

namespace postern::config {
namespace {

std::string shape_expectation(const Rule& rule, bool list) {
  switch (rule.shape) {
    case Shape::text:
      return list ? "a list of strings" : "a string";
    case Shape::domain:
    case Shape::ascii_domain:
      return "a domain name";
    case Shape::hostname:
      return "a domain name or an address literal";
    case Shape::mailbox:
      return list ? "a list of mail addresses" : "a mail address";
    case Shape::listener:
      return "IP:PORT, [IP6]:PORT or unix:PATH";
    case Shape::endpoint:
      return "IP:PORT or [IP6]:PORT";
    case Shape::resolver:
      return "a list of IP:PORT or [IP6]:PORT";
    case Shape::sender_entry:
      return "a list of senders";
    case Shape::recipient_entry:
      return "a list of recipients";
    case Shape::file:
      return list ? "a list of paths" : "a path";
    case Shape::socket_path:
      return "a path";
    case Shape::answers:
      return "a table of addresses and names";
    case Shape::target:
      return "a list of next hops";
    case Shape::recipients:
      return "\"accounts\", \"any\" or \"file=PATH\"";
    case Shape::ip:
      return "an IP address";
    case Shape::rule:
      return list ? "a list of rules" : "the name of a rule";
    case Shape::points:
      return "a table of rules and points";
    case Shape::name_owner:
      return "a table of names and domains";
  }
  return "a string";
}

struct Expectation {
  const Rule& rule;
  std::string operator()(bool*) const { return "true or false"; }
  std::string operator()(std::uint32_t*) const { return integer(); }
  std::string operator()(std::uint64_t*) const { return integer(); }
  std::string operator()(double*) const { return fmt::format("a number from {} to {}", rule.min, rule.max); }
  std::string operator()(std::filesystem::path*) const { return "a path"; }
  std::string operator()(std::vector<filters::Network>*) const { return "a list of networks"; }
  std::string operator()(std::vector<std::string>*) const { return shape_expectation(rule, true); }
  std::string operator()(std::vector<std::pair<std::string, std::string>>*) const {
    return shape_expectation(rule, true);
  }
  std::string operator()(Service*) const { return choices(); }
  std::string operator()(std::string*) const {
    return rule.choices.empty() ? shape_expectation(rule, false) : choices();
  }
  std::string integer() const { return fmt::format("an integer from {} to {}", rule.min, rule.max); }
  std::string choices() const {
    std::string out;
    for (std::size_t i = 0; i < rule.choices.size(); ++i) {
      const std::string_view before = i == 0 ? "" : i + 1 == rule.choices.size() ? " or " : ", ";
      fmt::format_to(std::back_inserter(out), "{}\"{}\"", before, rule.choices[i]);
    }
    return out;
  }
};

}  // namespace

std::string expectation(const Key& key, const Slot& slot) {
  return std::visit(Expectation{key.rule}, slot);
}

}  // namespace postern::config
