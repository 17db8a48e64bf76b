#include "gateway/config/reader.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "gateway/config/schema.h"
#include "gateway/config/suggestion.h"
#include "gateway/config/values.h"

namespace postern::config {
namespace {

/// Dots in a row of names, a.b.c: tables inside tables, which toml++ builds and destroys by recursion without
/// a bound of its own.
constexpr std::size_t kDotsMax = 500;

unsigned line_of(const toml::source_region& region) {
  return std::max(1U, static_cast<unsigned>(region.begin.line));
}

std::string describe(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return node.is_array_of_tables() ? "an array of tables" : "an array";
    case toml::node_type::string:
      return fmt::format("the string {}", shown(node.as_string()->get()));
    case toml::node_type::integer:
      return fmt::format("the integer {}", node.as_integer()->get());
    case toml::node_type::floating_point:
      return fmt::format("the number {}", node.as_floating_point()->get());
    case toml::node_type::boolean:
      return node.as_boolean()->get() ? "true" : "false";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

/// One key of one table.
struct At {
  const Key& key;
  std::uint64_t place;
  std::string name;  ///< for problems
  unsigned line;
};

class Reader {
 public:
  Reader(const std::filesystem::path& base, Config& config, Places& places, Report& report)
      : base_(base), config_(config), places_(places), report_(report) {}

  void read_root(const toml::table& root) { read_table(0, 0, &config_, root, 1); }

 private:
  /// `number` is the section's in the schema.
  void read_table(unsigned number, std::size_t index, void* object, const toml::table& table, unsigned line) {
    const Section& section = sections()[number];
    places_.set(Places::packed(number, index, Places::kTable), line);
    for (const auto& [name, node] : table) {
      const auto key = std::ranges::find(section.keys, name.str(), &Key::name);
      if (key != section.keys.end()) {
        read_key(number, index, static_cast<unsigned>(key - section.keys.begin()), object, name, node);
      } else {
        read_section(section, index, name, node);
      }
    }
    for (const Key& key : section.keys) {
      if (key.rule.required && !table.contains(key.name)) {
        report_.problem(line, key_name(section.name, section.repeated, index, key.name), "is missing");
      }
    }
  }

  void read_key(unsigned number, std::size_t index, unsigned key_number, void* object, const toml::key& name,
                const toml::node& node) {
    const Section& section = sections()[number];
    const Key& key = section.keys[key_number];
    const Slot slot = key.slot(object);
    const At at{.key = key,
                .place = Places::packed(number, index, key_number),
                .name = key_name(section.name, section.repeated, index, key.name),
                .line = line_of(name.source())};
    places_.set(at.place, at.line);
    std::visit([&](auto* target) { read_value(at, slot, node, *target); }, slot);
  }

  /// Not a key of the section: a section inside it, or a mistake.
  void read_section(const Section& parent, std::size_t index, const toml::key& name, const toml::node& node) {
    const std::string full = fmt::format("{}{}{}", parent.name, parent.name.empty() ? "" : ".", name.str());
    const unsigned line = line_of(name.source());
    const auto all = sections();
    const auto found = std::ranges::find(all, full, &Section::name);
    if (found == all.end() || parent.repeated || name.str().empty()) {
      report_.problem(line, key_name(parent.name, parent.repeated, index, printable(name.str())),
                      unknown_key(parent, name.str()));
      return;
    }
    const auto number = static_cast<unsigned>(found - all.begin());
    if (found->repeated) {
      read_tables(number, node, line);
    } else if (const toml::table* table = node.as_table()) {
      read_table(number, 0, found->at(config_, 0), *table, line);
    } else {
      report_.problem(
          line, full,
          fmt::format("expected a table, written [{}] and only once, found {}", full, describe(node)));
    }
  }

  void read_tables(unsigned number, const toml::node& node, unsigned line) {
    const Section& section = sections()[number];
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      report_.problem(line, std::string(section.name),
                      fmt::format("expected tables, written [[{}]], found {}", section.name, describe(node)));
      return;
    }
    std::size_t index = 0;
    for (const toml::node& element : *array) {
      const toml::table* table = element.as_table();
      if (table == nullptr) {
        report_.problem(
            line_of(element.source()), key_name(section.name, true, index, {}),
            fmt::format("expected a table, written [[{}]], found {}", section.name, describe(element)));
      }
      void* object = section.append(config_);
      set_defaults(section, object);
      if (table != nullptr) read_table(number, index, object, *table, line_of(element.source()));
      ++index;
    }
  }

  // One overload for each type a slot may have.

  void read_value(const At& at, const Slot& slot, const toml::node& node, bool& target) {
    if (const auto* value = node.as_boolean()) {
      target = value->get();
    } else {
      wrong_type(at, slot, node);
    }
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, std::uint32_t& target) {
    if (const auto value = integer(at, slot, node)) target = static_cast<std::uint32_t>(*value);
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, std::uint64_t& target) {
    if (const auto value = integer(at, slot, node)) target = static_cast<std::uint64_t>(*value);
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, double& target) {
    const auto value = node.is_number() ? node.value<double>() : std::nullopt;
    const Rule& rule = at.key.rule;
    if (!value) {
      wrong_type(at, slot, node);
    } else if (std::isnan(*value) || *value < static_cast<double>(rule.min) ||
               *value > static_cast<double>(rule.max)) {
      report_.problem(at.line, at.name,
                      fmt::format("{} is out of range: {} to {}", *value, rule.min, rule.max));
    } else {
      target = *value;
    }
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, std::string& target) {
    if (auto value = string(at, slot, node)) target = std::move(*value);
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, std::filesystem::path& target) {
    auto value = string(at, slot, node);
    if (!value) return;
    const bool checked = at.key.rule.shape != Shape::text;  // by its shape
    const bool none = value->empty() && at.key.rule.may_be_empty;
    if (const auto wrong = checked || none ? std::nullopt : normalise_path(*value, base_)) {
      report_.problem(at.line, at.name, *wrong);
    } else {
      target = *value;
    }
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, Service& target) {
    const auto value = string(at, slot, node);
    for (const Service service : {Service::mx, Service::submission, Service::submissions, Service::lmtp}) {
      if (value && *value == to_string(service)) target = service;
    }
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node,
                  std::vector<filters::Network>& target) {
    target.clear();
    each_string(at, slot, node, "a network", [&](std::string& value) -> std::optional<std::string> {
      const auto network = filters::Network::parse(value);
      if (!network)
        return fmt::format("{} is not a network, such as 192.0.2.0/24 or 2001:db8::/32", shown(value));
      target.push_back(*network);
      return std::nullopt;
    });
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node, std::vector<std::string>& target) {
    target.clear();
    each_string(at, slot, node, "a string", [&](std::string& value) -> std::optional<std::string> {
      auto wrong = normalise(at.key.rule.shape, value, base_);
      target.push_back(wrong ? std::string()
                             : std::move(value));  // empty: the element's number stays, checks pass over it
      return wrong;
    });
  }

  void read_value(const At& at, const Slot& slot, const toml::node& node,
                  std::vector<std::pair<std::string, std::string>>& target) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      wrong_type(at, slot, node);
      return;
    }
    target.clear();
    for (const auto& [name, element] : *table) {
      const unsigned line = line_of(name.source());
      std::string key(name.str());
      if (const auto wrong = normalise(at.key.rule.shape, key, base_)) report_.problem(line, at.name, *wrong);
      if (const auto* value = element.as_string()) {
        std::string text = value->get();
        if (const auto wrong = normalise_value(at.key.rule.shape, text))
          report_.problem(line, at.name, *wrong);
        target.emplace_back(std::move(key), std::move(text));
      } else if (at.key.rule.shape == Shape::points && element.is_number()) {
        std::string text = fmt::format("{}", *element.value<double>());
        if (const auto wrong = normalise_value(at.key.rule.shape, text))
          report_.problem(line, at.name, *wrong);
        target.emplace_back(std::move(key), std::move(text));
      } else {
        report_.problem(line, at.name,
                        fmt::format("{}: expected a string, found {}", shown(key), describe(element)));
      }
    }
  }

  std::optional<std::int64_t> integer(const At& at, const Slot& slot, const toml::node& node) {
    const auto* value = node.as_integer();
    const Rule& rule = at.key.rule;
    if (value == nullptr) {
      wrong_type(at, slot, node);
      return std::nullopt;
    }
    if (value->get() >= rule.min && value->get() <= rule.max) return value->get();
    report_.problem(at.line, at.name,
                    fmt::format("{} is out of range: {} to {}", value->get(), rule.min, rule.max));
    return std::nullopt;
  }

  std::optional<std::string> string(const At& at, const Slot& slot, const toml::node& node) {
    const auto* text = node.as_string();
    if (text == nullptr) {
      wrong_type(at, slot, node);
      return std::nullopt;
    }
    std::string value = text->get();
    const Rule& rule = at.key.rule;
    if (value.empty() && rule.may_be_empty) return value;
    if (const auto why = refusal(rule.refusals, value)) {
      report_.problem(at.line, at.name, *why);
      return std::nullopt;
    }
    if (!rule.choices.empty() && std::ranges::find(rule.choices, value) == rule.choices.end()) {
      wrong_type(at, slot, node);
      return std::nullopt;
    }
    if (const auto wrong = normalise(rule.shape, value, base_)) {
      report_.problem(at.line, at.name, *wrong);
      return std::nullopt;
    }
    return value;
  }

  /// Calls `take` for each string of an array and reports what it complains about at the element's own line.
  template <typename Take>
  void each_string(const At& at, const Slot& slot, const toml::node& node, std::string_view one, Take take) {
    const toml::array* array = node.as_array();
    if (array == nullptr) {
      wrong_type(at, slot, node);
      return;
    }
    std::uint64_t taken = 0;
    for (const toml::node& element : *array) {
      const unsigned line = line_of(element.source());
      const auto* text = element.as_string();
      if (text == nullptr) {
        report_.problem(line, at.name, fmt::format("expected {}, found {}", one, describe(element)));
        continue;
      }
      std::string value = text->get();
      if (const auto wrong = take(value)) report_.problem(line, at.name, *wrong);
      if (line != at.line) places_.set(at.place - Places::kWhole + taken, line);
      ++taken;
    }
  }

  void wrong_type(const At& at, const Slot& slot, const toml::node& node) {
    report_.problem(at.line, at.name,
                    fmt::format("expected {}, found {}", expectation(at.key, slot), describe(node)));
  }

  static std::optional<std::string> refusal(std::span<const Refusal> refusals, std::string_view value) {
    for (const Refusal& refusal : refusals) {
      const bool prefix = refusal.value.ends_with('*');
      const std::string_view word = refusal.value.substr(0, refusal.value.size() - (prefix ? 1 : 0));
      if (prefix ? value.starts_with(word) : value == word) return std::string(refusal.why);
    }
    return std::nullopt;
  }

  /// A key may be any string; an odd one is shown as one.
  static std::string printable(std::string_view name) {
    const bool plain = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
             c == '-';
    });
    return plain ? std::string(name) : shown(name);
  }

  const std::filesystem::path& base_;
  Config& config_;
  Places& places_;
  Report& report_;
};

unsigned line_at(std::string_view text, std::size_t position) {
  return 1 + static_cast<unsigned>(
                 std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
}

/// The first place with more than kDotsMax dots and nothing between them that ends a name. Strings and
/// comments are not told apart: nothing that a manifest has reason to say looks like this.
std::optional<std::size_t> too_many_dots(std::string_view text) {
  std::size_t dots = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    switch (text[at]) {
      case '.':
        if (++dots > kDotsMax) return at;
        break;
      case '\n':
      case '=':
      case ',':
        dots = 0;
        break;
      default:
        break;
    }
  }
  return std::nullopt;
}

std::string one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace

bool read(std::string_view text, const std::filesystem::path& base, Config& config, Places& places,
          Report& report) {
  if (const auto position = invalid_utf8(text)) {
    report.problem(line_at(text, *position), {}, "not valid UTF-8");
    return false;
  }
  if (const auto position = too_many_dots(text)) {
    report.problem(line_at(text, *position), {}, fmt::format("more than {} dots in a name", kDotsMax));
    return false;
  }
  try {
    const toml::table root = toml::parse(text);
    Reader(base, config, places, report).read_root(root);
    return true;
  } catch (const toml::parse_error& error) {
    report.problem(
        line_of(error.source()), {},
        fmt::format("not TOML, column {}: {}", error.source().begin.column, one_line(error.description())));
  }
  return false;
}

}  // namespace postern::config
