#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/serve/program.h"

namespace postern::cli {

void add_serve(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("serve", "Run the server in the foreground");
  auto common = std::make_shared<Common>();
  add_config(*verb, *common);
  verb->footer(
      "SIGTERM, SIGINT: finish what clients have begun, then end with 0; a second one ends at once.\n"
      "SIGHUP: read the manifest again and reopen the log file; a manifest with mistakes changes nothing.");
  verb->callback([common, &chosen] { chosen = [common] { return serve::serve(common->config); }; });
}

}  // namespace postern::cli
