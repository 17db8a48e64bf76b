#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct hs_database;

namespace postern::filters::rules {

/// Many patterns in one Hyperscan database, looked for in one pass over a text. Immutable once made; may be used by several threads.
class Database {
 public:
  struct Entry {
    std::string expression;
    bool caseless = false, multiline = false, dotall = false;
    bool prefilter = false;  ///< only narrows down: a hit has to be confirmed
    unsigned id = 0;
  };
  struct Failure {
    std::size_t entry = 0;  ///< which of them; none is meant where it is past the end
    std::string what;
  };

  /// An empty list gives an empty database, which finds nothing.
  static std::expected<Database, Failure> compile(std::span<const Entry> entries);
  /// What serialized() gave, on this machine and with this version of the library; nothing where it is from elsewhere or damaged.
  static std::optional<Database> restore(std::string_view serialized);
  std::string serialized() const;

  bool empty() const { return database_ == nullptr; }
  std::size_t octets() const;

  /// Calls `hit` with a pattern's id and where its first match ends, once for each pattern that is found. Linear in the text. False when the
  /// library could not do it (no memory).
  using Hit = std::function<void(unsigned id, std::size_t end)>;
  bool scan(std::string_view text, const Hit& hit) const;

  /// Whether the library takes the pattern as it is; where it does not, perhaps as a prefilter.
  enum class Fit : std::uint8_t { native, prefilter, none };
  static Fit fit(const Entry& entry, std::string& why);

  /// The library's version and this machine's kind, on which what is compiled depends.
  static std::string platform();

 private:
  struct Free {
    void operator()(hs_database* database) const;
  };
  std::unique_ptr<hs_database, Free> database_;
  std::uint64_t number_ = 0;  // tells databases apart for as long as the program runs
};

}  // namespace postern::filters::rules
