#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using control::Json;

void line(std::string_view title, std::string_view text) {
  print(fmt::format("{:<14}{}\n", title, printable(text)));
}

void print_ledger(const Json& ledger) {
  std::string text =
      fmt::format("{} opened, {} open", number_of(ledger, "opened"), number_of(ledger, "open"));
  const Json& closed = member_of(ledger, "closed");
  if (closed.is_object())
    for (const auto& [name, count] : closed.items())
      if (count.is_number_integer() && count.get<std::int64_t>() != 0)
        text += fmt::format(", {} {}", count.get<std::int64_t>(), name);
  const Json& balanced = member_of(ledger, "balanced");
  text += balanced.is_boolean() && balanced.get<bool>() ? "; balanced" : "; NOT BALANCED";
  line("Recipients", text);
}

void print_queue(const Json& queue) {
  if (!queue.is_object() || number_of(queue, "entries") == 0) return;
  line("Queue", fmt::format("{} entries, {} recipients, {} connections, {} destinations pause",
                            number_of(queue, "entries"), number_of(queue, "recipients"),
                            number_of(queue, "connections"), number_of(queue, "destinations_paused")));
}

std::uint64_t octets_of(const Json& object, const char* key) {
  return static_cast<std::uint64_t>(number_of(object, key));
}

void print_quarantine(const Json& quarantine) {
  if (!quarantine.is_object() || number_of(quarantine, "entries") == 0) return;
  line("Quarantine", fmt::format("{} entries, {}", number_of(quarantine, "entries"),
                                 human_octets(octets_of(quarantine, "octets"))));
}

void print_store(const Json& store) {
  line("Store", fmt::format("{}, {} on disk, {} free", text_of(store, "path"),
                            human_octets(octets_of(store, "disk_octets")),
                            human_octets(octets_of(store, "free_octets"))));
  line("", fmt::format("{} commits of {} messages, {} failed; {} messages wait", number_of(store, "commits"),
                       number_of(store, "committed_transactions"), number_of(store, "failed_commits"),
                       number_of(store, "queued_transactions")));
}

void print_cores(const Json& cores) {
  std::string text;
  for (const Json& core : cores) {
    const Json& busy = member_of(core, "busy");
    if (!text.empty()) text += ", ";
    text += fmt::format("{}: {:.0f} % busy", number_of(core, "core"),
                        busy.is_number() ? busy.get<double>() * 100 : 0.0);
  }
  line("Cores", text);
}

void print_certificates(const Json& certificates) {
  std::string_view title = "Certificates";
  for (const Json& certificate : certificates) {
    std::string names;
    for (const Json& name : member_of(certificate, "names"))
      if (name.is_string()) names += (names.empty() ? "" : " ") + name.get<std::string>();
    const std::int64_t left = number_of(certificate, "expires_in_s");
    line(title, fmt::format("{} ({}), {} {}", names, text_of(certificate, "key_type"),
                            left >= 0 ? "expires in" : "EXPIRED since", human_duration(std::abs(left))));
    title = "";
  }
}

void print_lists(const Json& status) {
  std::string_view title = "Blocklists";
  for (const Json& list : member_of(status, "blocklists")) {
    const std::string state = text_of(list, "state"), reason = text_of(list, "reason");
    const bool benched = state == "benched";
    line(title, fmt::format("{} {}{}{}{}", text_of(list, "zone"), benched ? "BENCHED" : state,
                            benched ? " since " + human_time(text_of(list, "since")) : "",
                            reason.empty() ? "" : ": ", reason));
    title = "";
  }
  const Json& local = member_of(status, "local_lists");
  if (number_of(local, "entries") > 0)
    line("List files", fmt::format("{} entries, {}", number_of(local, "entries"),
                                   human_octets(octets_of(local, "octets"))));
}

void print_reload(const Json& status) {
  line("Manifest", fmt::format("{}, loaded {}", text_of(status, "manifest"),
                               human_time(text_of(member_of(status, "snapshot"), "loaded_at"))));
  const Json& last = member_of(status, "last_reload");
  if (!last.is_object()) return;
  for (const Json& problem : member_of(last, "problems")) line("", "refused: " + text_of(problem, "text"));
  for (const Json& key : member_of(last, "needs_restart"))
    if (key.is_string()) line("", "waits for a restart: " + key.get<std::string>());
}

void print_running(const Json& status) {
  line("Postern", fmt::format("{} on {}, {}, up {} (pid {})", text_of(status, "version"),
                              text_of(status, "hostname"), text_of(status, "state"),
                              human_duration(number_of(status, "uptime_s")), number_of(status, "pid")));
  if (const std::string reason = text_of(status, "not_ready"); !reason.empty()) line("NOT READY", reason);
  line("Connections",
       fmt::format("{} of {}", number_of(status, "connections"), number_of(status, "connections_max")));
  std::string_view title = "Listeners";
  for (const Json& listener : member_of(status, "listeners")) {
    line(title, text_of(listener, "address") + " " + text_of(listener, "service"));
    title = "";
  }
  print_ledger(member_of(status, "ledger"));
  print_queue(member_of(status, "queue"));
  print_quarantine(member_of(status, "quarantine"));
  print_store(member_of(status, "store"));
  print_cores(member_of(status, "cores"));
  print_certificates(member_of(status, "certificates"));
  print_lists(status);
  print_reload(status);
}

/// No server: what the store itself tells, if it can be read.
int without_server(const config::Config& config, const Common& common, const Stop& stop) {
  Json status = {{"running", false}, {"error", stop.sentence}};
  const auto store = open_store(config);
  std::uint64_t mailboxes = 0, messages = 0, octets = 0;
  if (store) {
    if (const auto all = (*store)->mailboxes()) {
      mailboxes = all->size();
      for (const storage::MailboxInfo& mailbox : *all) {
        messages += mailbox.messages;
        octets += mailbox.octets;
      }
    }
    status["ledger"] = control::to_json((*store)->ledger(), (*store)->queue_totals().recipients);
    status["store"] = {{"path", config.store.path.string()},
                       {"mailboxes", mailboxes},
                       {"messages", messages},
                       {"octets", octets}};
  } else {
    status["store"] = {{"path", config.store.path.string()}, {"error", store.error().sentence}};
  }
  if (common.json) {
    print_json(status);
    return stop.exit_code;
  }
  complain(stop.sentence);
  if (!store) {
    complain(store.error().sentence);
    return stop.exit_code;
  }
  line("Store", fmt::format("{}, {} mailboxes, {} messages, {}", config.store.path.string(), mailboxes,
                            messages, human_octets(octets)));
  print_ledger(status["ledger"]);
  return stop.exit_code;
}

int status(const Common& common) {
  auto config = load_manifest(common.config);
  if (!config) return fail(config.error());
  const auto answer = control::Client(config->control.socket).request("GET", "/v1/status");
  if (!answer) {
    const Stop stop = stop_of(answer.error());
    if (answer.error().kind != control::ClientError::Kind::absent) return fail(stop);
    return without_server(*config, common, stop);
  }
  const auto json = control::parse(answer->body);
  if (!answer->ok() || !json) return fail({.exit_code = control::kIo, .sentence = answer->error()});
  if (common.json)
    print_json(*json);
  else
    print_running(*json);
  return control::kOk;
}

}  // namespace

void add_status(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("status", "One screen of health");
  auto common = std::make_shared<Common>();
  add_config(*verb, *common);
  add_json(*verb, *common);
  verb->footer(
      "Ends with 0 when a server runs, with 69 when none does; then the figures are the store's own.");
  verb->callback([common, &chosen] { chosen = [common] { return status(*common); }; });
}

}  // namespace postern::cli
