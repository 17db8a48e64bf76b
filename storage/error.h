#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace postern::storage {

enum class Code : std::uint8_t {
  not_found,
  corrupt,       ///< what was read is not what was written
  newer_format,  ///< written by a later version
  locked,        ///< another process has the store open
  no_space,
  stalled,   ///< queue full or RocksDB asks for patience; temporary
  stopping,  ///< close() has begun
  io,
  invalid,  ///< the caller asked for something that cannot be, e.g. a folder name of 10 KiB
};
std::string_view to_string(Code code);

/// Why the store said no. `context` is a sentence part that names the thing: "mailbox a@b.example: ".
struct Error {
  Code code = Code::io;
  std::string context;
  /// All but invalid are the store's own trouble and become 4xx.
  bool is_temporary() const { return code != Code::invalid; }
  Error with(std::string_view where) && {
    context.insert(0, std::string(where) + ": ");
    return std::move(*this);
  }
  std::string text() const { return context + " (" + std::string(to_string(code)) + ")"; }
};

}  // namespace postern::storage
