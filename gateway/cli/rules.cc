#include "gateway/pipeline/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <system_error>

#include "filters/rules/facts.h"
#include "filters/rules/language.h"
#include "filters/rules/samples.h"
#include "filters/rules/spamassassin.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/rules_cost.h"
#include "gateway/cli/view.h"
#include "gateway/control/scan.h"

namespace postern::cli {
namespace {

using control::Json;
using filters::rules::Problem;
using filters::rules::RuleSet;

constexpr std::size_t kMessageOctetsMax = 64U << 20;
constexpr std::size_t kSampleMessagesMax = 300;  // of `cost`
constexpr std::size_t kRowsByDefault = 20;

struct Options {
  Common common;
  std::vector<std::string> files;
  std::string index;
  std::size_t rows = kRowsByDefault;
};

struct Loaded {
  std::shared_ptr<const RuleSet> set;
  std::vector<Problem> problems, skipped;
};

/// Of the files given, or of the manifest.
std::expected<Loaded, Stop> load(const Options& options, bool only_files) {
  pipeline::RuleFiles read;
  filters::rules::Settings settings;
  Loaded loaded;
  if (only_files && !options.files.empty()) {
    for (const std::string& file : options.files) read_rule_file(file, read);
  } else {
    auto config = load_manifest(options.common.config);
    if (!config) return std::unexpected(std::move(config.error()));
    if (!only_files) {  // the set in force, from its cache where there is one
      std::vector<std::string> warnings;
      auto set = pipeline::load_rules(*config, &warnings);
      if (!set)
        return std::unexpected(Stop{.exit_code = control::kConfig, .sentence = std::move(set.error())});
      for (const std::string& warning : warnings) complain("warning: " + warning);
      if (*set == nullptr)
        return std::unexpected(
            Stop{.exit_code = control::kConfig, .sentence = "the manifest names no rules"});
      loaded.set = *std::move(set);
      return loaded;
    }
    read = pipeline::read_rule_files(*config);
    settings = pipeline::rule_settings(config->filter.rules);
  }
  loaded.problems = std::move(read.problems);
  loaded.skipped = std::move(read.skipped);
  if (!loaded.problems.empty()) return loaded;
  auto set = RuleSet::compile(std::move(read.book), settings);
  if (set) {
    loaded.set = *std::move(set);
    std::ranges::move(check_samples(*loaded.set), std::back_inserter(loaded.problems));
  } else {
    loaded.problems = std::move(set.error());
  }
  return loaded;
}

Json to_json(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& problem : problems)
    list.push_back({{"file", problem.place.file},
                    {"line", problem.place.line},
                    {"column", problem.place.column},
                    {"what", problem.what}});
  return list;
}

void print_problems(const std::vector<Problem>& problems, std::string_view prefix) {
  for (const Problem& problem : problems)
    (void)std::fprintf(stderr, "%.*s%s\n", static_cast<int>(prefix.size()), prefix.data(),
                       printable(problem.text()).c_str());
}

std::size_t sample_count(const RuleSet& set) {
  std::size_t count = 0;
  for (const auto& rule : set.rules()) count += rule.samples.size();
  return count;
}

int check(const Options& options) {
  auto loaded = load(options, true);
  if (!loaded) return fail(loaded.error());
  const bool ok = loaded->problems.empty();
  const std::size_t rules = loaded->set ? loaded->set->rules().size() : 0;
  const std::size_t samples = loaded->set ? sample_count(*loaded->set) : 0;
  if (options.common.json) {
    print_json({{"ok", ok},
                {"rules", rules},
                {"samples", samples},
                {"problems", to_json(loaded->problems)},
                {"skipped", to_json(loaded->skipped)}});
  } else {
    print_problems(loaded->problems, "");
    print_problems(loaded->skipped, "not taken: ");
    if (ok)
      print(fmt::format("{} rules, {} patterns, {} samples: no problems\n", rules,
                        loaded->set->book().patterns.size(), samples));
  }
  return ok ? control::kOk : control::kConfig;
}

int list(const Options& options) {
  auto loaded = load(options, false);
  if (!loaded) return fail(loaded.error());
  Table table({{"RULE"}, {"SCORE", Table::Align::right}, {"GROUP"}, {"DESCRIPTION"}});
  Json json = Json::array();
  const RuleSet& set = *loaded->set;
  for (std::size_t i = 0; i < set.rules().size(); ++i) {
    const auto& rule = set.rules()[i];
    if (rule.hidden()) continue;
    const std::string group =
        rule.group < 0 ? "" : set.book().groups[static_cast<std::size_t>(rule.group)].name;
    if (options.common.json)
      json.push_back({{"name", rule.name},
                      {"score", set.score(i)},
                      {"group", group},
                      {"description", rule.description},
                      {"file", rule.place.file},
                      {"line", rule.place.line}});
    else
      table.row({rule.name, fmt::format("{}", set.score(i)), group, rule.description});
  }
  if (options.common.json)
    print_json(json);
  else
    print(table.text());
  return control::kOk;
}

std::expected<std::string, Stop> read_message(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::string octets, piece(1U << 16, '\0');
  while (file && octets.size() <= kMessageOctetsMax) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    octets.append(piece, 0, static_cast<std::size_t>(file.gcount()));
  }
  if (!file.eof())
    return std::unexpected(Stop{.exit_code = control::kNoInput, .sentence = name + ": cannot be read"});
  return control::as_received(std::move(octets));
}

/// The paths given, and those of an index: lines "spam|ham PATH", relative to the index's folder.
std::vector<std::pair<std::string, std::string>> messages_of(const Options& options) {
  std::vector<std::pair<std::string, std::string>> out;  // class, path
  for (const std::string& file : options.files) out.emplace_back("-", file);
  std::ifstream index(options.index);
  std::string line;
  while (!options.index.empty() && std::getline(index, line)) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string::npos) continue;
    out.emplace_back(line.substr(0, blank),
                     (std::filesystem::path(options.index).parent_path() / line.substr(blank + 1)).string());
  }
  return out;
}

/// One line for each message: class, score of the rules alone, rules, path.
int hits(const Options& options) {
  auto loaded = load(options, false);
  if (!loaded) return fail(loaded.error());
  for (const auto& [kind, path] : messages_of(options)) {
    auto octets = read_message(path);
    if (!octets) return fail(octets.error());
    const RuleMail mail = rule_mail(path, *std::move(octets));
    filters::Analysis analysis = filters::Analysis::of(mail.message);
    analysis.read_content();
    filters::Findings findings;
    const auto scanned = loaded->set->scan(mail.envelope, analysis, *analysis.content());
    loaded->set->report(*scanned, findings);
    double score = 0;
    std::string names;
    for (const auto& finding : findings.found) {
      score += finding.score;
      names += (names.empty() ? "" : ",") + finding.name;
    }
    print(fmt::format("{} {:.3f} {} {}\n", kind, score, names.empty() ? "-" : names, printable(path)));
  }
  return control::kOk;
}

int cost(const Options& options) {
  auto loaded = load(options, false);
  if (!loaded) return fail(loaded.error());
  const auto all = messages_of(options);
  if (all.empty())
    return fail({.exit_code = control::kUsage,
                 .sentence = "messages to measure with are missing: PATH… or --index FILE"});
  std::vector<RuleMail> sample;
  const std::size_t stride = std::max<std::size_t>(all.size() / kSampleMessagesMax, 1);
  for (std::size_t i = 0; i < all.size(); i += stride) {
    auto octets = read_message(all[i].second);
    if (!octets) return fail(octets.error());
    sample.push_back(rule_mail(all[i].second, *std::move(octets)));
  }
  const auto costs = pattern_costs(*loaded->set, sample);
  (void)set_cost(*loaded->set, sample);  // warm
  const SetCost whole = set_cost(*loaded->set, sample);
  double octets = 0;
  for (const RuleMail& mail : sample) octets += static_cast<double>(mail.message.size());
  octets /= static_cast<double>(sample.size());
  if (options.common.json) {
    Json json = {{"messages", sample.size()},        {"octets", octets},
                 {"analysis_us", whole.analysis_us}, {"content_us", whole.content_us},
                 {"rules_us", whole.rules_us},       {"patterns", Json::array()}};
    for (const PatternCost& each : costs)
      json["patterns"].push_back({{"rule", each.rule},
                                  {"stage", each.stage},
                                  {"us_per_message", each.us_per_message},
                                  {"expression", each.expression}});
    print_json(json);
    return control::kOk;
  }
  print(
      fmt::format("{} messages of {:.0f} octets on average: header {:.1f} us, content {:.1f} us, rules "
                  "{:.1f} us each; databases {}\n",
                  sample.size(), octets, whole.analysis_us, whole.content_us, whole.rules_us,
                  human_octets(loaded->set->patterns().octets())));
  Table table(
      {{"US/MESSAGE", Table::Align::right}, {"MB/S", Table::Align::right}, {"STAGE"}, {"RULE"}, {"PATTERN"}});
  for (std::size_t i = 0; i < std::min(options.rows, costs.size()); ++i)
    table.row({fmt::format("{:.2f}", costs[i].us_per_message), fmt::format("{:.0f}", costs[i].octets_per_us),
               costs[i].stage, costs[i].rule, costs[i].expression.substr(0, 60)});
  print(table.text());
  return control::kOk;
}

/// What of a file of SpamAssassin's would be taken.
int import(const Options& options) {
  pipeline::RuleFiles read;
  for (const std::string& file : options.files) {
    std::string text;
    auto octets = read_message(file);
    if (!octets) return fail(octets.error());
    auto skipped = filters::rules::import_spamassassin(*octets, file, read.book);
    std::ranges::move(skipped, std::back_inserter(read.skipped));
  }
  auto set = RuleSet::compile(std::move(read.book), {});
  if (!set) {
    print_problems(set.error(), "");
    return control::kConfig;
  }
  std::size_t alone = 0, slow = 0, prefiltered = 0;
  const std::size_t patterns = (*set)->book().patterns.size();
  for (std::size_t i = 0; i < patterns; ++i) {
    alone += (*set)->patterns().speed(i) == filters::rules::Speed::alone ? 1U : 0U;
    slow += (*set)->patterns().speed(i) == filters::rules::Speed::slow ? 1U : 0U;
    prefiltered += (*set)->patterns().prefiltered(i) ? 1U : 0U;
  }
  if (options.common.json) {
    print_json({{"rules", (*set)->rules().size()},
                {"patterns", patterns},
                {"slow", slow},
                {"alone", alone},
                {"prefiltered", prefiltered},
                {"skipped", to_json(read.skipped)}});
  } else {
    print_problems(read.skipped, "not taken: ");
    print(
        fmt::format("{} rules taken with {} patterns ({} prefiltered, {} slow, {} beyond Hyperscan), {} "
                    "lines not taken\n",
                    (*set)->rules().size(), patterns, prefiltered, slow, alone, read.skipped.size()));
  }
  return control::kOk;
}

}  // namespace

void add_rules(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("rules", "Check, list and measure rules");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* doc, int (*run)(const Options&), const char* paths) {
    CLI::App* const sub = verb->add_subcommand(name, doc);
    add_config(*sub, options->common);
    add_json(*sub, options->common);
    if (paths != nullptr) sub->add_option(paths, options->files)->type_name("");
    sub->callback([options, run, &chosen] { chosen = [options, run] { return run(*options); }; });
    return sub;
  };
  add("check", "Read rule files, compile them and try every sample in them", check, "FILE")
      ->footer(
          "Without FILE: those that the manifest names. A FILE that ends in .cf is of SpamAssassin's "
          "syntax.\n"
          "Ends with 0, or with 78 when there are problems.");
  add("list", "List the rules in force with their scores", list, nullptr);
  add("import", "Report what of a file of SpamAssassin's syntax is taken and what is not", import, "FILE");
  CLI::App* const hits_verb = add("hits", "Print which rules hold for messages in files", hits, "MESSAGE");
  hits_verb->footer(
      "One line each: class, score of the rules alone, rules, path. Nothing is asked of DNS; the envelope is "
      "what the\n"
      "message's own header says.");
  CLI::App* const cost_verb =
      add("cost", "Measure what each pattern costs on a sample of messages", cost, "MESSAGE");
  cost_verb->add_option("--rows", options->rows, "How many patterns to list")->capture_default_str();
  for (CLI::App* const each : {hits_verb, cost_verb})
    each->add_option("--index", options->index, "File of lines \"spam|ham PATH\", relative to its folder")
        ->type_name("FILE");
  CLI::App* const facts = verb->add_subcommand("facts", "Print the facts that rules may use, as Markdown");
  facts->callback([&chosen] {
    chosen = [] {
      print(filters::rules::facts_reference());
      return static_cast<int>(control::kOk);
    };
  });
}

}  // namespace postern::cli
