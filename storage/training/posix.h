#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "storage/error.h"

namespace postern::storage::training {

/// An open file that is closed with the object.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept;
  ~File();

  /// Mode 0600. `flags` as of open(2).
  static std::expected<File, Error> open(const std::filesystem::path& path, int flags);
  std::expected<void, Error> write(std::string_view octets, const std::filesystem::path& path) const;
  std::expected<void, Error> sync(const std::filesystem::path& path) const;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// What errno says, as an error that names the file.
Error system_error(const std::filesystem::path& path, std::string_view what, int error);
/// A whole file; not_found when it is not there.
std::expected<std::string, Error> read_file(const std::filesystem::path& path);
/// Makes names in a folder durable.
std::expected<void, Error> sync_folder(const std::filesystem::path& folder);
std::expected<void, Error> rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace postern::storage::training
