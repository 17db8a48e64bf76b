#include <fmt/format.h>

#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

int verify(const Common& common) {
  auto config = load_manifest(common.config);
  if (!config) return fail(config.error());
  auto view = open_view(*config);
  if (!view) return fail(view.error());
  const auto report = (*view)->verify();
  if (!report) return fail(stop_of(report.error()));
  if (common.json) {
    print_json(control::to_json(*report));
  } else {
    for (const std::string& problem : report->problems) print(printable(problem) + "\n");
    print(fmt::format("{} mailboxes, {} folders, {} entries, {} messages, {}: {}\n", report->mailboxes,
                      report->folders, report->entries, report->messages, human_octets(report->octets),
                      report->problems.empty() ? std::string("no problems")
                                               : fmt::format("{} problems", report->problems.size())));
  }
  return report->problems.empty() ? control::kOk : control::kBadData;
}

}  // namespace

void add_verify_to(CLI::App& parent, Action& chosen) {
  CLI::App* const verb = parent.add_subcommand("verify", "Check every reference in the store");
  auto common = std::make_shared<Common>();
  add_config(*verb, *common);
  add_json(*verb, *common);
  verb->footer("Ends with 0, or with 65 when there are problems. The server may go on working meanwhile.");
  verb->callback([common, &chosen] { chosen = [common] { return verify(*common); }; });
}

void add_verify(CLI::App& app, Action& chosen) {
  add_verify_to(app, chosen);
}

}  // namespace postern::cli
