#include <cstdio>
#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using control::Json;

void print_texts(const Json& problems, const char* prefix) {
  for (const Json& problem : problems)
    (void)std::fprintf(stderr, "%s%s\n", prefix, printable(text_of(problem, "text")).c_str());
}

int reload(const Common& common) {
  auto config = load_manifest(common.config);
  if (!config) return fail(config.error());
  const auto answer = control::Client(config->control.socket).request("POST", "/v1/reload");
  if (!answer) return fail(stop_of(answer.error()));
  const auto outcome = control::parse(answer->body);
  const bool refused = answer->status == 422;  // the manifest has problems
  if ((!answer->ok() && !refused) || !outcome)
    return fail({.exit_code = control::kTemporary, .sentence = answer->error()});
  if (common.json) {
    print_json(*outcome);
  } else {
    print_texts(member_of(*outcome, "problems"), "");
    print_texts(member_of(*outcome, "warnings"), "warning: ");
    for (const Json& key : member_of(*outcome, "needs_restart"))
      if (key.is_string())
        (void)std::fprintf(stderr, "warning: %s has changed and counts from the next start on\n",
                           key.get<std::string>().c_str());
    print(refused ? "nothing has changed\n" : "reloaded\n");
  }
  return refused ? control::kConfig : control::kOk;
}

}  // namespace

void add_reload(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("reload", "Have the running server read its manifest again");
  auto common = std::make_shared<Common>();
  add_config(*verb, *common);
  add_json(*verb, *common);
  verb->footer("Ends with 0, or with 78 when the manifest has mistakes; then nothing has changed.");
  verb->callback([common, &chosen] { chosen = [common] { return reload(*common); }; });
}

}  // namespace postern::cli
