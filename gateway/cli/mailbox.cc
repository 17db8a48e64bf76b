#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"
#include "gateway/control/scan.h"

namespace postern::cli {
namespace {

using control::Json;
using Align = Table::Align;

constexpr std::size_t kEntriesPerRead = 1000;

struct Options {
  Common common;
  std::string address, folder;
  std::filesystem::path directory;
  bool keep_crlf = false;
};

std::expected<std::unique_ptr<View>, Stop> open(const Common& common) {
  auto config = load_manifest(common.config);
  if (!config) return std::unexpected(std::move(config.error()));
  return open_view(*config);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The mailbox that a person means: as it is written, or in other case (ASCII only, as RCPT compares).
std::expected<std::string, Stop> find_mailbox(View& view, const std::string& typed) {
  auto key = control::mailbox_key(typed);
  if (!key) return std::unexpected(Stop{.exit_code = control::kUsage, .sentence = std::move(key.error())});
  const auto folders = view.folders(*key);
  if (folders || folders.error().code != storage::Code::not_found) return *key;
  const auto all = view.mailboxes();
  if (!all) return std::unexpected(stop_of(all.error()));
  const auto same = [&](const storage::MailboxInfo& mailbox) {
    return std::ranges::equal(mailbox.address, *key, [](char a, char b) { return lower(a) == lower(b); });
  };
  const auto found = std::ranges::find_if(*all, same);
  if (found != all->end()) return found->address;
  return std::unexpected(
      Stop{.exit_code = control::kNoInput,
           .sentence = fmt::format("there is no mailbox \"{}\"; it is made with the first message", *key)});
}

int list(const Options& options) {
  auto view = open(options.common);
  if (!view) return fail(view.error());
  auto mailboxes = (*view)->mailboxes();
  if (!mailboxes) return fail(stop_of(mailboxes.error()));
  if (options.common.json) {
    Json all = Json::array();
    for (const storage::MailboxInfo& mailbox : *mailboxes) all.push_back(control::to_json(mailbox));
    print_json({{"mailboxes", std::move(all)}});
    return control::kOk;
  }
  Table table({{.title = "MAILBOX"},
               {.title = "MESSAGES", .align = Align::right},
               {.title = "SIZE", .align = Align::right}});
  for (const storage::MailboxInfo& mailbox : *mailboxes)
    table.row({mailbox.address, fmt::to_string(mailbox.messages), human_octets(mailbox.octets)});
  print(table.text());
  return control::kOk;
}

/// Calls `each` with every page of a folder's entries.
template <typename Each>
std::expected<void, storage::Error> for_pages(View& view, const std::string& mailbox,
                                              const std::string& folder, Each each) {
  std::uint32_t after = 0;
  for (;;) {
    const auto page = view.entries(mailbox, folder, after, kEntriesPerRead);
    if (!page) return std::unexpected(page.error());
    if (page->empty()) return {};
    each(*page);
    after = page->back().uid;
  }
}

std::expected<void, storage::Error> show_folder_json(View& view, const std::string& mailbox,
                                                     const storage::FolderInfo& folder, Json& list) {
  Json json = control::to_json(folder);
  Json& entries = json["entries"] = Json::array();
  auto done = for_pages(view, mailbox, folder.name, [&](const std::vector<storage::Entry>& page) {
    for (const storage::Entry& entry : page) entries.push_back(control::to_json(entry));
  });
  list.push_back(std::move(json));
  return done;
}

std::expected<void, storage::Error> show_folder(View& view, const std::string& mailbox,
                                                const storage::FolderInfo& folder) {
  print(fmt::format("\n{}: {} messages, {}\n", printable(folder.name), folder.messages,
                    human_octets(folder.octets)));
  return for_pages(view, mailbox, folder.name, [](const std::vector<storage::Entry>& page) {
    Table table({{.title = "UID", .align = Align::right},
                 {.title = "ID"},
                 {.title = "RECEIVED"},
                 {.title = "SIZE", .align = Align::right},
                 {.title = "FLAGS"}});
    for (const storage::Entry& entry : page) {
      std::string flags;
      for (const Json& flag : control::flags_to_json(entry.flags))
        flags += (flags.empty() ? "" : " ") + flag.get<std::string>();
      table.row({fmt::to_string(entry.uid), entry.id.text(),
                 human_time(control::timestamp(entry.received_at)), human_octets(entry.octets), flags});
    }
    print(table.text());
  });
}

int show(const Options& options) {
  auto view = open(options.common);
  if (!view) return fail(view.error());
  const auto mailbox = find_mailbox(**view, options.address);
  if (!mailbox) return fail(mailbox.error());
  auto folders = (*view)->folders(*mailbox);
  if (!folders) return fail(stop_of(folders.error()));
  if (!options.folder.empty()) {
    std::erase_if(*folders, [&](const storage::FolderInfo& folder) { return folder.name != options.folder; });
    if (folders->empty())
      return fail({.exit_code = control::kNoInput,
                   .sentence = fmt::format("mailbox \"{}\" has no folder \"{}\"", *mailbox, options.folder)});
  }
  std::uint64_t messages = 0, octets = 0;
  for (const storage::FolderInfo& folder : *folders) {
    messages += folder.messages;
    octets += folder.octets;
  }
  Json list = Json::array();
  if (!options.common.json)
    print(fmt::format("{}: {} messages, {}\n", *mailbox, messages, human_octets(octets)));
  for (const storage::FolderInfo& folder : *folders) {
    const auto shown = options.common.json ? show_folder_json(**view, *mailbox, folder, list)
                                           : show_folder(**view, *mailbox, folder);
    if (!shown) return fail(stop_of(shown.error()));
  }
  if (options.common.json)
    print_json(
        {{"address", *mailbox}, {"messages", messages}, {"octets", octets}, {"folders", std::move(list)}});
  return control::kOk;
}

int export_to(const Options& options) {
  auto view = open(options.common);
  if (!view) return fail(view.error());
  const auto mailbox = find_mailbox(**view, options.address);
  if (!mailbox) return fail(mailbox.error());
  const auto report = storage::export_maildir(**view, *mailbox, options.directory, options.keep_crlf);
  if (!report) {
    Stop stop = stop_of(report.error());
    if (report.error().code == storage::Code::invalid)
      stop.exit_code = control::kCannotCreate;  // the folder is not ours to fill
    return fail(stop);
  }
  if (options.common.json)
    print_json({{"address", *mailbox},
                {"directory", options.directory.string()},
                {"folders", report->folders},
                {"messages", report->messages},
                {"octets", report->octets}});
  else
    print(fmt::format("{} messages in {} folders, {}, written to {}\n", report->messages, report->folders,
                      human_octets(report->octets), options.directory.string()));
  return control::kOk;
}

}  // namespace

void add_mailbox(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("mailbox", "List, show, export and verify mailboxes");
  verb->require_subcommand(1);
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help, int (*run)(const Options&)) {
    CLI::App* const sub = verb->add_subcommand(name, help);
    add_config(*sub, options->common);
    add_json(*sub, options->common);
    sub->callback([options, run, &chosen] { chosen = [options, run] { return run(*options); }; });
    return sub;
  };
  (void)add("list", "All mailboxes with their sizes", list);

  CLI::App* const shows = add("show", "Folders and messages of one mailbox", show);
  shows->add_option("ADDRESS", options->address, "The account's address")->type_name("")->required();
  shows->add_option("--folder", options->folder, "Only this folder")->type_name("NAME");

  CLI::App* const exports = add("export", "Write a mailbox as a Maildir", export_to);
  exports->add_option("ADDRESS", options->address, "The account's address")->type_name("")->required();
  exports->add_option("DIR", options->directory, "Where to: new, empty, or a Maildir already")
      ->type_name("")
      ->required();
  exports->add_flag("--keep-crlf", options->keep_crlf,
                    "Keep CRLF; readers of Maildir expect LF, the default");
  exports->footer("The store is not changed. Exporting again adds what has come since.");

  add_verify_to(*verb, chosen);
}

}  // namespace postern::cli
