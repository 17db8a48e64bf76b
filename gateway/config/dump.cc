// The configuration back as a manifest, and the reference of all keys. Both walk the schema and say nothing
// that is not in it.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/places.h"
#include "gateway/config/schema.h"

namespace postern::config {
namespace {

constexpr std::size_t kCommentColumns = 110;

/// A TOML basic string.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", octet);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "\"";
}

template <typename List, typename Text>
std::string listed(const List& list, Text text) {
  std::string out = "[";
  for (const auto& element : list) {
    if (out.size() > 1) out += ", ";
    out += toml_string(text(element));
  }
  return out + "]";
}

/// A value as TOML.
struct Literal {
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const std::uint32_t* value) const { return fmt::to_string(*value); }
  std::string operator()(const std::uint64_t* value) const { return fmt::to_string(*value); }
  std::string operator()(const double* value) const {
    const std::string text = fmt::format("{}", *value);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
  }
  std::string operator()(const std::string* value) const { return toml_string(*value); }
  std::string operator()(const std::filesystem::path* value) const { return toml_string(value->string()); }
  std::string operator()(const Service* value) const { return toml_string(to_string(*value)); }
  std::string operator()(const std::vector<filters::Network>* value) const {
    return listed(*value, [](const filters::Network& network) { return network.text(); });
  }
  std::string operator()(const std::vector<std::string>* value) const {
    return listed(*value, [](const std::string& text) -> std::string_view { return text; });
  }
  std::string operator()(const std::vector<std::pair<std::string, std::string>>* value) const {
    std::string out;
    for (const auto& [name, text] : *value) {
      fmt::format_to(std::back_inserter(out), "{} {} = {}", out.empty() ? "" : ",", toml_string(name),
                     toml_string(text));
    }
    return out.empty() ? "{}" : "{" + out + " }";
  }
};

std::string literal(const Slot& slot) {
  return std::visit(Literal{}, slot);
}

/// Sentences as comment lines, broken between words.
void put_comment(std::string& out, std::string_view text) {
  while (!text.empty()) {
    std::size_t end = text.size();
    if (end > kCommentColumns) {
      end = text.rfind(' ', kCommentColumns);
      if (end == std::string_view::npos || end == 0) end = kCommentColumns;
    }
    out.append("# ").append(text.substr(0, end)).append("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void put_documentation(std::string& out, const Key& key, const Slot& slot) {
  std::string text(key.doc);
  const std::string expected = expectation(key, slot);
  const bool said_already = std::ranges::all_of(key.rule.choices, [&](std::string_view choice) {
    return key.doc.find(fmt::format("\"{}\"", choice)) != std::string_view::npos;
  });
  if (key.rule.choices.empty() || !said_already) fmt::format_to(std::back_inserter(text), " ({})", expected);
  put_comment(out, text);
}

/// A section of the schema with an object that holds its defaults.
struct Example {
  const Section& section;
  Config config = with_defaults();
  void* object = nullptr;

  explicit Example(const Section& of) : section(of) {
    object = section.repeated ? section.append(config) : section.at(config, 0);
    if (section.repeated) set_defaults(section, object);
  }
  Example(const Example&) = delete;
  Example& operator=(const Example&) = delete;
};

void put_header(std::string& out, const Section& section, std::string_view before) {
  if (section.name.empty()) return;
  out.append(before)
      .append(section.repeated ? "[[" : "[")
      .append(section.name)
      .append(section.repeated ? "]]\n" : "]\n");
}

class Dump {
 public:
  explicit Dump(const Loaded& loaded) : config_(loaded.config), given_(loaded.given) {
    std::ranges::sort(given_);
  }

  std::string text() {
    const auto all = sections();
    for (unsigned number = 0; number < all.size(); ++number) {
      const Section& section = all[number];
      if (!out_.empty()) out_ += "\n";
      put_comment(out_, section.doc);
      const std::size_t count = section.count(config_);
      for (std::size_t index = 0; index < count; ++index) put_object(section, number, index);
      if (count == 0) put_example(section);
    }
    return std::move(out_);
  }

 private:
  void put_object(const Section& section, unsigned number, std::size_t index) {
    if (index > 0) out_ += "\n";
    put_header(out_, section, "");
    void* object = section.at(config_, index);
    for (unsigned i = 0; i < section.keys.size(); ++i) {
      const Key& key = section.keys[i];
      const Slot slot = key.slot(object);
      if (index == 0) put_documentation(out_, key, slot);
      const bool given = std::ranges::binary_search(given_, Places::packed(number, index, i));
      fmt::format_to(std::back_inserter(out_), "{} = {}{}\n", key.name, literal(slot),
                     given ? "" : "  # default");
    }
  }

  /// A repeated section that does not occur: its keys all the same, behind comment signs.
  void put_example(const Section& section) {
    const Example example(section);
    put_header(out_, section, "# ");
    for (const Key& key : section.keys) {
      const Slot slot = key.slot(example.object);
      put_documentation(out_, key, slot);
      fmt::format_to(std::back_inserter(out_), "# {} = {}\n", key.name, literal(slot));
    }
  }

  Config config_;  // a copy: the schema's access is not const
  std::vector<std::uint64_t> given_;
  std::string out_;
};

std::string in_table(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string dump(const Loaded& loaded) {
  return Dump(loaded).text();
}

std::string reference() {
  std::string out;
  for (const Section& section : sections()) {
    const Example example(section);
    if (!out.empty()) out += "\n";
    if (section.name.empty()) {
      out += "### Top level\n";
    } else {
      const std::string_view open = section.repeated ? "[[" : "[", close = section.repeated ? "]]" : "]";
      fmt::format_to(std::back_inserter(out), "### `{}{}{}`\n", open, section.name, close);
    }
    fmt::format_to(std::back_inserter(out),
                   "\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n", section.doc);
    for (const Key& key : section.keys) {
      const Slot slot = key.slot(example.object);
      const std::string initial = key.rule.required ? "required" : fmt::format("`{}`", literal(slot));
      fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", key.name,
                     in_table(expectation(key, slot)), in_table(initial), in_table(key.doc));
    }
  }
  return out;
}

}  // namespace postern::config
