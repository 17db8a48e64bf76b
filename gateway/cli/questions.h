#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "filters/facts.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/view.h"
#include "gateway/dns/resolver.h"

namespace postern::cli {

/// Whom a verb that asks DNS itself asks: those named by --resolver, else those of the manifest, else it recurses.
struct Resolvers {
  Common common;
  std::vector<std::string> named;
  const CLI::Option* config = nullptr;  ///< whether --config was given
};
void add_resolvers(CLI::App& verb, Resolvers& resolvers);

/// What one answer may take. People wait longer than mail servers, and want to see who is slow.
inline constexpr std::chrono::milliseconds kAnswerPatience{5000};

/// The settings those options mean. The manifest is read only where nobody is named; where none was named either and the default
/// one is not there, the resolver recurses from the root.
std::expected<dns::ResolverOptions, Stop> resolver_options(const Resolvers& resolvers);

/// Calls `evaluate` until it says true, and answers in between all that it left open in `facts`, on a reactor of its own in this
/// thread. The manifest's server is not needed.
std::expected<void, Stop> answer_until(const dns::ResolverOptions& options, filters::Facts& facts,
                                       const std::function<bool()>& evaluate);

}  // namespace postern::cli
