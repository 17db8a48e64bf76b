#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/config/config.h"

namespace postern::config {

/// Where in the manifest each value stands, so that checks made after reading can still name the line.
/// Section and key are numbers in the order of the schema; a place is packed into 64 bits: section 6, key 6,
/// index of the section 26, element of a list 26.
class Places {
 public:
  static constexpr unsigned kTable = 63;                    ///< in place of a key: the table itself
  static constexpr std::uint64_t kWhole = (1U << 26U) - 1;  ///< in place of an element: the value itself

  static std::uint64_t packed(unsigned section, std::uint64_t index, unsigned key,
                              std::uint64_t element = kWhole) {
    return (std::uint64_t{section} << 58U) | (std::uint64_t{key} << 52U) | ((index & kWhole) << 26U) |
           (element & kWhole);
  }

  void set(std::uint64_t place, unsigned line) { lines_.try_emplace(place, line); }
  unsigned line(std::uint64_t place) const;
  /// The line of a value, else of its table, else of the section around it, else 1. Names as in the schema;
  /// an empty key means the table. For the few places that turn out wrong: it searches the schema.
  unsigned line(std::string_view section, std::size_t index, std::string_view key,
                std::uint64_t element = kWhole) const;
  bool given(std::string_view section, std::size_t index, std::string_view key) const;
  std::vector<std::uint64_t> all_keys() const;  ///< in ascending order, tables and elements left out

 private:
  std::unordered_map<std::uint64_t, unsigned> lines_;
};

/// Collects problems and warnings, in the manifest's order at the end.
class Report {
 public:
  Report(Loaded& loaded, std::filesystem::path file) : loaded_(loaded), file_(std::move(file)) {}
  void problem(unsigned line, std::string key, std::string what);
  void warning(unsigned line, std::string key, std::string what);
  void finish();

 private:
  Loaded& loaded_;
  std::filesystem::path file_;
  std::size_t left_out_ = 0;
};

/// "listener[2].address"; the section alone without a key; the key alone at the top level.
std::string key_name(std::string_view section, bool repeated, std::size_t index, std::string_view key);

}  // namespace postern::config
