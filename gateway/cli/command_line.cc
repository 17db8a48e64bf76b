#include "gateway/cli/command_line.h"

#include <csignal>
#include <cstdio>
#include <string>

#include "gateway/cli/output.h"
#include "gateway/control/exit_codes.h"
#include "gateway/pipeline/record.h"

namespace postern::cli {
namespace {

constexpr const char* kFooter =
    "Verbs ask the running server through its control socket; where none runs they read the store "
    "themselves.\n"
    "Exit codes are those of sysexits: 64 usage, 65 bad data, 66 not found, 69 no server, 75 try later, 77 "
    "rights, 78 manifest.";

}  // namespace

void add_config(CLI::App& verb, Common& common) {
  verb.add_option("--config", common.config, "Manifest")->type_name("FILE")->capture_default_str();
}

void add_json(CLI::App& verb, Common& common) {
  verb.add_flag("--json", common.json, "JSON on standard output, for programs");
}

int run(int argc, const char* const* argv) {
  (void)std::signal(SIGPIPE, SIG_DFL);  // `postern mailbox show … | head` ends quietly
  CLI::App app("Postern, a mail gateway.", "postern");
  app.set_version_flag("--version", "postern " + std::string(pipeline::software_version()));
  app.set_help_flag("-h,--help", "Show this and end");
  app.require_subcommand(1);
  app.footer(kFooter);
  Action chosen;
  add_serve(app, chosen);
  add_config_verb(app, chosen);
  add_scan(app, chosen);
  add_check(app, chosen);
  add_dkim(app, chosen);
  add_dmarc(app, chosen);
  add_mailbox(app, chosen);
  add_account(app, chosen);
  add_queue(app, chosen);
  add_quarantine(app, chosen);
  add_explain(app, chosen);
  add_status(app, chosen);
  add_reload(app, chosen);
  add_verify(app, chosen);
  add_rules(app, chosen);
  add_learn(app, chosen);
  add_classify(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked =
        error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);  // --help, --version
    if (asked) return app.exit(error);
    complain(std::string(error.what()) + "\nRun `postern --help` or `postern VERB --help`.");
    return control::kUsage;
  }
  const int code = chosen();
  // A full disk or a closed pipe shows at the latest here.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    complain("standard output cannot be written");
    return control::kIo;
  }
  return code;
}

}  // namespace postern::cli
