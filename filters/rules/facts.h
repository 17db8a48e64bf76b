#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/rules/reading.h"

namespace postern::filters::rules {

/// Numbers that rules may use by name: "html.forms", "oddity.base64_incomplete". The list with meanings: facts_reference().
std::optional<std::uint32_t> find_fact(std::string_view name);
std::string_view fact_name(std::uint32_t index);
/// What a fact is for this message.
double fact_value(std::uint32_t index, const Reading& reading);

/// One line of Markdown for each fact.
std::string facts_reference();

}  // namespace postern::filters::rules
