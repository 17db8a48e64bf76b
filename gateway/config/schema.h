#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/config/config.h"

namespace postern::config {

/// The manifest's keys as data: one row per key, from which reading, checking, defaults, `config dump` and
/// the reference all come. A new key is a member in config.h and a row in schema.cc, nothing else.

/// The member a key fills. Its type is the key's type.
using Slot = std::variant<bool*, std::uint32_t*, std::uint64_t*, double*, std::string*,
                          std::filesystem::path*, Service*, std::vector<filters::Network>*,
                          std::vector<std::string>*, std::vector<std::pair<std::string, std::string>>*>;

/// What a string must be; values.h checks it and brings it into normal form.
enum class Shape : std::uint8_t {
  text,
  domain,           ///< in A- or U-labels
  ascii_domain,     ///< as it is asked in DNS
  hostname,         ///< an ASCII domain or an address literal
  mailbox,          ///< local@domain
  listener,         ///< IP:PORT, [IP6]:PORT or unix:PATH
  endpoint,         ///< IP:PORT or [IP6]:PORT
  resolver,         ///< the same, and the port is not 0
  sender_entry,     ///< an address, @domain, @.domain or <>
  recipient_entry,  ///< an address, @domain or @.domain
  socket_path,      ///< a path short enough for a Unix socket
  file,             ///< a path, made absolute
  answers,          ///< IPv4 addresses and their names
  target,           ///< a next hop: target.h
  recipients,       ///< accounts, any or file=PATH
  ip,               ///< an address of this machine
  rule,             ///< the name of a rule
  points,           ///< names of rules and numbers
  name_owner,       ///< names and the domains they belong to
};

/// A value or key that is known, but not in this version. A star at the end stands for anything.
struct Refusal {
  std::string_view value, why;
};

struct Rule {
  Shape shape = Shape::text;
  std::int64_t min = 0, max = 0;                   ///< of numbers, both inclusive
  std::span<const std::string_view> choices = {};  ///< of strings; empty: any
  std::span<const Refusal> refusals = {};
  bool required = false;
  bool may_be_empty = false;  ///< "" is a value: none, off
};

struct Key {
  std::string_view name;
  Slot (*slot)(void* section);
  Rule rule;
  std::string_view doc;
  /// The default where config.h's initialiser does not say it; networks are separated by spaces.
  std::string_view initial = {};
};

/// A table of the manifest, or an array of tables.
struct Section {
  std::string_view name;  ///< "" for the top level, "limits", "filter.allow", "listener"
  std::string_view doc;
  std::span<const Key> keys;
  bool repeated;
  std::size_t (*count)(const Config&);  ///< 1 unless repeated
  void* (*at)(Config&, std::size_t index);
  void* (*append)(Config&);  ///< only of repeated sections
};

/// In the order of the manifest: a section stands before the sections inside it.
std::span<const Section> sections();

/// Puts the defaults into a section just made. For a whole Config: with_defaults().
void set_defaults(const Section& section, void* object);
Config with_defaults();

/// "an integer from 1 to 100", `"reject" or "normalize"`, "a list of networks": used in problems and in the
/// reference alike. `slot` is the key's, of any object: its type counts.
std::string expectation(const Key& key, const Slot& slot);

}  // namespace postern::config
