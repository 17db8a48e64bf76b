#include "gateway/config/config.h"

#include <cstdio>
#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/control/exit_codes.h"

namespace postern::cli {
namespace {

void print_problems(const std::vector<config::Problem>& problems, std::string_view prefix) {
  for (const config::Problem& problem : problems)
    (void)std::fprintf(stderr, "%.*s%s\n", static_cast<int>(prefix.size()), prefix.data(),
                       problem.text().c_str());
}

int check(const Common& common) {
  const config::Loaded loaded = config::load(common.config);
  const bool ok = loaded.problems.empty();
  if (common.json) {
    print_json({{"ok", ok},
                {"problems", control::to_json(loaded.problems)},
                {"warnings", control::to_json(loaded.warnings)}});
  } else {
    print_problems(loaded.problems, "");
    if (ok) print_problems(loaded.warnings, "warning: ");
  }
  return ok ? control::kOk : control::kConfig;
}

int dump(const Common& common) {
  const config::Loaded loaded = config::load(common.config);
  if (!loaded.problems.empty()) {
    print_problems(loaded.problems, "");
    return control::kConfig;
  }
  print(config::dump(loaded));
  return control::kOk;
}

/// The manifest is an argument here; --config is understood as everywhere.
void add_file(CLI::App& verb, Common& common) {
  CLI::Option* const file =
      verb.add_option("FILE", common.config, "Manifest")->type_name("")->capture_default_str();
  verb.add_option("--config", common.config, "The same as FILE")->type_name("FILE")->excludes(file);
}

}  // namespace

void add_config_verb(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("config", "Check and show the manifest");
  verb->require_subcommand(1);
  auto common = std::make_shared<Common>();

  CLI::App* const checks =
      verb->add_subcommand("check", "Report every mistake as FILE:LINE: key: what is wrong");
  add_file(*checks, *common);
  add_json(*checks, *common);
  checks->footer(
      "Ends with 0, or with 78 when there are mistakes. They are printed to standard error; --json to "
      "standard output.");
  checks->callback([common, &chosen] { chosen = [common] { return check(*common); }; });

  CLI::App* const dumps =
      verb->add_subcommand("dump", "Print the configuration in force, every key, defaults marked");
  add_file(*dumps, *common);
  dumps->callback([common, &chosen] { chosen = [common] { return dump(*common); }; });

  CLI::App* const keys = verb->add_subcommand("keys", "Print the reference of all keys, as Markdown");
  keys->callback([&chosen] {
    chosen = [] {
      print(config::reference());
      return static_cast<int>(control::kOk);
    };
  });
}

}  // namespace postern::cli
