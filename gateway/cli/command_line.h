#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

namespace postern::cli {

inline constexpr const char* kDefaultManifest = "/etc/postern/postern.toml";

/// What a verb does once the command line is understood; gives the exit code.
using Action = std::function<int()>;

/// Options that most verbs share.
struct Common {
  std::filesystem::path config = kDefaultManifest;
  bool json = false;
};

void add_config(CLI::App& verb, Common& common);
void add_json(CLI::App& verb, Common& common);

// Each adds its verb; when that is the one given, `chosen` is set to what it does.
void add_serve(CLI::App& app, Action& chosen);
void add_config_verb(CLI::App& app, Action& chosen);
void add_scan(CLI::App& app, Action& chosen);
void add_check(CLI::App& app, Action& chosen);
void add_dmarc(CLI::App& app, Action& chosen);
void add_dkim(CLI::App& app, Action& chosen);
void add_mailbox(CLI::App& app, Action& chosen);
void add_account(CLI::App& app, Action& chosen);
void add_queue(CLI::App& app, Action& chosen);
void add_quarantine(CLI::App& app, Action& chosen);
void add_explain(CLI::App& app, Action& chosen);
void add_status(CLI::App& app, Action& chosen);
void add_reload(CLI::App& app, Action& chosen);
void add_verify(CLI::App& app, Action& chosen);
void add_rules(CLI::App& app, Action& chosen);
void add_learn(CLI::App& app, Action& chosen);
void add_classify(CLI::App& app, Action& chosen);
/// `mailbox verify` is `verify`.
void add_verify_to(CLI::App& parent, Action& chosen);

/// The whole of main(): an exit code of sysexits (gateway/control/exit_codes.h).
int run(int argc, const char* const* argv);

}  // namespace postern::cli
