#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_set>

namespace postern::pipeline {

/// Who receives mail in a domain, from `recipients = "file=PATH"`: one a line, an address or a local part alone;
/// what follows a '#' at the beginning of a line or behind a blank is a comment. Immutable; all cores.
class RecipientList {
 public:
  static constexpr std::size_t kFileOctetsMax = 256U << 20;

  /// Blocking. `domain`: in A-labels; lines with an address elsewhere are left out. The error is a sentence that
  /// names the file and the line.
  static std::expected<RecipientList, std::string> load(const std::filesystem::path& file,
                                                        std::string_view domain);
  static std::expected<RecipientList, std::string> parse(std::string_view text, std::string_view file,
                                                         std::string_view domain);

  /// `local`: unquoted, in lower case.
  bool contains(std::string_view local) const { return locals_.contains(std::string(local)); }
  std::size_t size() const { return locals_.size(); }

 private:
  std::unordered_set<std::string> locals_;
};

}  // namespace postern::pipeline
