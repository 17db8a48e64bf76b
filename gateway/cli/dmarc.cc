#include <fmt/format.h>

#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using control::Json;
using Align = Table::Align;

struct Options {
  Common common;
  std::string first, last;
};

std::string override_of(const Json& counter) {
  std::string out;
  for (const Json& reason : member_of(counter, "reasons")) {
    if (!out.empty()) out += "; ";
    out += text_of(reason, "type");
    if (const std::string comment = text_of(reason, "comment"); !comment.empty()) out += ": " + comment;
  }
  return out;
}

void print_counters(const Json& counters) {
  Table table({{.title = "DAY"},
               {.title = "COUNT", .align = Align::right},
               {.title = "POLICY OF"},
               {.title = "SOURCE"},
               {.title = "DISPOSITION"},
               {.title = "DKIM"},
               {.title = "SPF"},
               {.title = "FROM"},
               {.title = "MAIL FROM"},
               {.title = "OVERRIDE"}});
  for (const Json& counter : counters) {
    const std::string count = std::to_string(number_of(counter, "count"));
    if (counter.contains("overflow"))
      table.row({text_of(counter, "day"), count, "(no room for more rows)", "", "", "", "", "", "", ""});
    else
      table.row({text_of(counter, "day"), count, text_of(counter, "policy_domain"),
                 text_of(counter, "source_ip"), text_of(counter, "disposition"), text_of(counter, "dkim"),
                 text_of(counter, "spf"), text_of(counter, "header_from"), text_of(counter, "envelope_from"),
                 override_of(counter)});
  }
  print(table.text());
}

int show_counters(const Options& options) {
  for (const std::string& day : {options.first, options.last})
    if (!day.empty() && !control::day_from_text(day))
      return fail({.exit_code = control::kUsage,
                   .sentence = fmt::format("\"{}\" is no day as 2026-11-24", printable(day))});
  auto config = load_manifest(options.common.config);
  if (!config) return fail(config.error());
  auto view = open_view(*config);
  if (!view) return fail(view.error());
  const auto counters = (*view)->dmarc_counters(options.first, options.last);
  if (!counters) return fail(stop_of(counters.error()));
  if (options.common.json)
    print_json(*counters);
  else
    print_counters(*counters);
  return control::kOk;
}

}  // namespace

void add_dmarc(CLI::App& app, Action& chosen) {
  CLI::App* const parent = app.add_subcommand("dmarc", "What is gathered for the aggregate reports of DMARC");
  parent->require_subcommand(1);
  CLI::App* const verb =
      parent->add_subcommand("counters", "Messages by day, policy domain, client and result");
  auto options = std::make_shared<Options>();
  add_config(*verb, options->common);
  add_json(*verb, options->common);
  verb->add_option("--from", options->first, "First day, UTC; default: all that is kept")->type_name("DAY");
  verb->add_option("--to", options->last, "Last day")->type_name("DAY");
  verb->callback([options, &chosen] { chosen = [options] { return show_counters(*options); }; });
}

}  // namespace postern::cli
