// `postern learn` and `postern classify`: messages as paths, or line by line on standard input.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/classifier/mails.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/trainer.h"

namespace postern::cli {
namespace {

using classifier::Class;
using control::Json;

struct Options {
  Common common;
  std::filesystem::path store;
  bool stdio = false;
  std::string verdict;             ///< learn: "spam" or "ham"
  std::vector<std::string> paths;  ///< learn with --stdio: none
};

std::string score_text(double log_odds) {
  return fmt::format("{:.9g}", log_odds);
}

// ---- line by line -------------------------------------------------------------------------------------------------------------------

/// "learn spam PATH" or "classify PATH": the answer, or "error: SENTENCE".
std::string answer_line(Trainer& trainer, std::string_view line) {
  const auto word = [&line] {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view found = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return found;
  };
  const std::string_view verb = word();
  const bool learns = verb == "learn";
  const std::string_view verdict = learns ? word() : std::string_view("ham");
  if ((!learns && verb != "classify") || (verdict != "spam" && verdict != "ham") || line.empty())
    return "error: expected learn spam|ham PATH, or classify PATH";
  const auto message = classifier::read_mail(std::filesystem::path(line));
  if (!message) return "error: " + printable(message.error());
  if (learns) {
    const auto outcome = trainer.learn(*message, verdict == "spam" ? Class::spam : Class::ham);
    return outcome ? "ok" : "error: " + printable(outcome.error().sentence);
  }
  const auto opinion = trainer.classify(*message, false);
  if (!opinion) return "error: " + printable(opinion.error().sentence);
  return fmt::format("{} {}", opinion->verdict(), score_text(opinion->log_odds));
}

int converse(Trainer& trainer) {
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.ends_with('\r')) line.pop_back();
    print(answer_line(trainer, line) + "\n");
    (void)std::fflush(stdout);
  }
  return control::kOk;
}

// ---- paths --------------------------------------------------------------------------------------------------------------------------

/// Goes through all messages of all paths. The first thing that goes wrong ends it; what was learned before stays.
template <class Take>
std::expected<void, Stop> for_all(const std::vector<std::string>& paths, const Take& take) {
  std::expected<void, Stop> done;
  for (const std::string& path : paths) {
    const auto read = classifier::for_each_mail(path, [&](const std::string& name, std::string_view message) {
      done = take(name, message);
      return done.has_value();
    });
    if (!read) return std::unexpected(Stop{.exit_code = control::kNoInput, .sentence = read.error()});
    if (!done) return done;
  }
  return done;
}

std::expected<void, Stop> learn_paths(Trainer& trainer, const Options& options) {
  const Class verdict = options.verdict == "spam" ? Class::spam : Class::ham;
  std::map<std::string, std::uint64_t> outcomes;
  std::uint64_t messages = 0;
  auto done =
      for_all(options.paths, [&](const std::string&, std::string_view message) -> std::expected<void, Stop> {
        const auto outcome = trainer.learn(message, verdict);
        if (!outcome) return std::unexpected(outcome.error());
        ++messages;
        ++outcomes[*outcome];
        return {};
      });
  if (options.common.json) {
    Json json = {{"class", options.verdict}, {"messages", messages}};
    for (const auto& [outcome, count] : outcomes) json["outcomes"][outcome] = count;
    print_json(json);
    return done;
  }
  std::string text = fmt::format("{} messages", messages);
  for (const auto& [outcome, count] : outcomes) text += fmt::format(", {} {}", count, outcome);
  print(text + "\n");
  return done;
}

std::expected<void, Stop> classify_paths(Trainer& trainer, const Options& options) {
  Json list = Json::array();
  auto done = for_all(options.paths,
                      [&](const std::string& name, std::string_view message) -> std::expected<void, Stop> {
                        const auto opinion = trainer.classify(message, options.common.json);
                        if (!opinion) return std::unexpected(opinion.error());
                        if (!options.common.json) {
                          print(fmt::format("{} {} {}{}\n", opinion->verdict(), score_text(opinion->log_odds),
                                            printable(name), opinion->trained ? "" : " (untrained)"));
                          return {};
                        }
                        Json evidence = Json::array();
                        for (const auto& one : opinion->evidence)
                          evidence.push_back({{"token", one.token}, {"log_odds", one.log_odds}});
                        list.push_back({{"path", name},
                                        {"class", opinion->verdict()},
                                        {"log_odds", opinion->log_odds},
                                        {"trained", opinion->trained},
                                        {"evidence", std::move(evidence)}});
                        return {};
                      });
  if (options.common.json) print_json({{"messages", std::move(list)}});
  return done;
}

int run_verb(const Options& options, std::expected<void, Stop> (*with_paths)(Trainer&, const Options&)) {
  if (options.stdio != options.paths.empty())
    return fail({.exit_code = control::kUsage, .sentence = "either --stdio or paths are needed, not both"});
  auto trainer = open_trainer(options.store, options.common.config);
  if (!trainer) return fail(trainer.error());
  int code = control::kOk;
  if (options.stdio) {
    code = converse(**trainer);
  } else if (const auto done = with_paths(**trainer, options); !done) {
    code = fail(done.error());
  }
  const auto closed = (*trainer)->close();
  return closed ? code : fail(closed.error());
}

void add_common(CLI::App& verb, Options& options) {
  add_config(verb, options.common);
  add_json(verb, options.common);
  verb.add_option("--store", options.store, "A store of its own instead of the manifest's; made if need be")
      ->type_name("DIR");
  verb.add_flag("--stdio", options.stdio,
                "Read \"learn spam|ham PATH\" and \"classify PATH\" from standard input, a line each; answer "
                "\"ok\" and \"spam|ham SCORE\", or \"error: …\"");
}

}  // namespace

void add_learn(CLI::App& app, Action& chosen) {
  CLI::App* const verb =
      app.add_subcommand("learn", "Train the classifier with messages whose class is known");
  auto options = std::make_shared<Options>();
  add_common(*verb, *options);
  verb->add_option("CLASS", options->verdict, "spam or ham")
      ->type_name("")
      ->check(CLI::IsMember({"spam", "ham"}));
  verb->add_option("PATH", options->paths, "Messages, mboxes, Maildirs, folders of messages")->type_name("");
  verb->footer(
      "A message learned twice counts once; learned as the other class it is first unlearned, exactly.\n"
      "Until 50 messages of each class are learned the classifier counts for nothing in a verdict.");
  verb->callback([options, &chosen] {
    chosen = [options] {
      if (!options->stdio && options->verdict.empty())
        return fail({.exit_code = control::kUsage, .sentence = "the class is missing: spam or ham"});
      return run_verb(*options, learn_paths);
    };
  });
}

void add_classify(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("classify", "Ask the classifier alone about messages");
  auto options = std::make_shared<Options>();
  add_common(*verb, *options);
  verb->add_option("PATH", options->paths, "Messages, mboxes, Maildirs, folders of messages")->type_name("");
  verb->footer(
      "SCORE is the natural logarithm of the odds of spam: above 0 spam, not clipped; 0 where nothing is "
      "known.");
  verb->callback([options, &chosen] { chosen = [options] { return run_verb(*options, classify_paths); }; });
}

}  // namespace postern::cli
