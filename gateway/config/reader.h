#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "gateway/config/config.h"
#include "gateway/config/places.h"

namespace postern::config {

/// Reads a manifest by the schema: TOML, then for each table unknown keys, types, ranges, shapes. What is
/// right goes into `config` even when something else is wrong, so that the checks across keys can go on.
/// False when it is not TOML at all.
bool read(std::string_view text, const std::filesystem::path& base, Config& config, Places& places,
          Report& report);

}  // namespace postern::config
