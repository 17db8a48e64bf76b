#include "gateway/cli/message_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace postern::cli {

std::expected<std::string, Stop> read_message(const std::string& name) {
  const bool standard_input = name == "-";
  std::FILE* const file = standard_input ? stdin : std::fopen(name.c_str(), "rbe");
  if (file == nullptr)
    return std::unexpected(
        Stop{.exit_code = errno == EACCES ? control::kPermission : control::kNoInput,
             .sentence = fmt::format("{}: {}", name, std::generic_category().message(errno))});
  std::string octets, piece(1U << 16, '\0');
  std::size_t got = 0;
  while ((got = std::fread(piece.data(), 1, piece.size(), file)) > 0 && octets.size() <= kMessageOctetsMax)
    octets.append(piece, 0, got);
  const int error = std::ferror(file) != 0 ? errno : 0;
  if (!standard_input) (void)std::fclose(file);
  if (error != 0)
    return std::unexpected(
        Stop{.exit_code = control::kIo,
             .sentence = fmt::format("{}: {}", name, std::generic_category().message(error))});
  if (octets.empty())
    return std::unexpected(Stop{.exit_code = control::kBadData, .sentence = name + ": is empty"});
  if (octets.size() > kMessageOctetsMax)
    return std::unexpected(
        Stop{.exit_code = control::kBadData,
             .sentence = fmt::format("{}: is longer than {} octets", name, kMessageOctetsMax)});
  return octets;
}

}  // namespace postern::cli
