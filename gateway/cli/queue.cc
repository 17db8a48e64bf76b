#include <fmt/format.h>

#include <memory>
#include <vector>

#include "gateway/admin/http.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"
#include "gateway/control/queue.h"

namespace postern::cli {
namespace {

using control::Json;
using delivery::QueueDesk;
using Align = Table::Align;

constexpr std::size_t kPreviewRows = 20;
constexpr std::chrono::seconds kPatience{600};

struct Options {
  Common common;
  delivery::QueueFilter filter;
  std::uint64_t older_s = 0;
  std::vector<std::string> ids;
  bool all = false, yes = false, dry_run = false;

  bool filtered() const {
    return !filter.destination.empty() || !filter.sender.empty() || !filter.recipient.empty() ||
           !filter.state.empty() || !filter.reply.empty() || older_s != 0;
  }
};

template <class T>
using Result = std::expected<T, Stop>;

/// The queue of the running server, or that of a store nobody serves. Blocking.
class Queue {
 public:
  virtual ~Queue() = default;
  /// {entries, next}
  virtual Result<Json> page(const Options& options, const std::string& after) = 0;
  virtual Result<Json> story(const std::string& id) = 0;
  /// {done, gone, problems}
  virtual Result<Json> act(const std::string& verb, const std::vector<std::string>& ids) = 0;
};

class RemoteQueue final : public Queue {
 public:
  explicit RemoteQueue(control::Client client) : client_(std::move(client)) {}

  Result<Json> page(const Options& options, const std::string& after) override {
    std::string target = fmt::format("{}?count=1000", control::kQueueRoutes);
    const auto add = [&](std::string_view key, std::string_view value) {
      if (!value.empty()) target += fmt::format("&{}={}", key, admin::percent_encode(value));
    };
    add("after", after);
    add("domain", options.filter.destination);
    add("sender", options.filter.sender);
    add("recipient", options.filter.recipient);
    add("state", options.filter.state);
    add("reply", options.filter.reply);
    if (options.older_s != 0) add("older_s", fmt::to_string(options.older_s));
    return ask("GET", target);
  }
  Result<Json> story(const std::string& id) override {
    return ask("GET", fmt::format("{}/{}", control::kQueueRoutes, admin::percent_encode(id)));
  }
  Result<Json> act(const std::string& verb, const std::vector<std::string>& ids) override {
    const Json body = {{"ids", ids}};
    return ask("POST", fmt::format("{}/{}", control::kQueueRoutes, verb), control::dump(body));
  }

 private:
  Result<Json> ask(std::string_view method, std::string_view target, std::string_view body = {}) const {
    const auto answer = client_.request(method, target, body, kPatience);
    if (!answer) return std::unexpected(stop_of(answer.error()));
    if (!answer->ok())
      return std::unexpected(Stop{.exit_code = answer->status == 404   ? control::kNoInput
                                               : answer->status == 400 ? control::kUsage
                                                                       : control::kTemporary,
                                  .sentence = answer->error()});
    auto json = control::parse(answer->body);
    if (!json)
      return std::unexpected(Stop{.exit_code = control::kIo, .sentence = "the server's answer is no JSON"});
    return std::move(*json);
  }

  control::Client client_;
};

class StoreQueue final : public Queue {
 public:
  explicit StoreQueue(std::unique_ptr<storage::Store> store)
      : store_(std::move(store)), desk_(*store_, QueueDesk::Server{}) {}

  Result<Json> page(const Options& options, const std::string& after) override {
    delivery::QueueFilter filter = options.filter;
    filter.older_ms = options.older_s * 1000;
    const auto page = desk_.list(filter, storage::QueueKey::parse(after), control::kQueueRowsMax);
    if (!page) return std::unexpected(stop_of(page.error()));
    return control::to_json(desk_, *page);
  }
  Result<Json> story(const std::string& id) override {
    const auto key = storage::QueueKey::parse(id);
    if (!key) return std::unexpected(Stop{.exit_code = control::kUsage, .sentence = id + " is no id"});
    const auto rows = desk_.show(key->id);
    if (!rows) return std::unexpected(stop_of(rows.error()));
    if (rows->empty())
      return std::unexpected(Stop{.exit_code = control::kNoInput, .sentence = "nothing is queued for " + id});
    return control::story(desk_, *rows);
  }
  Result<Json> act(const std::string& verb, const std::vector<std::string>& ids) override {
    std::vector<storage::QueueKey> keys;
    for (const std::string& id : ids)
      if (const auto key = storage::QueueKey::parse(id)) keys.push_back(*key);
    return control::act(desk_, *QueueDesk::verb_of(verb), keys);
  }

 private:
  std::unique_ptr<storage::Store> store_;
  QueueDesk desk_;
};

Result<std::unique_ptr<Queue>> open(const Common& common, bool writes) {
  auto config = load_manifest(common.config);
  if (!config) return std::unexpected(std::move(config.error()));
  control::Client client(config->control.socket);
  auto there = client.probe();
  if (there) return std::make_unique<RemoteQueue>(std::move(client));
  if (there.error().kind != control::ClientError::Kind::absent)
    return std::unexpected(stop_of(there.error()));
  if (!writes) {
    auto store = open_store(*config);
    if (!store) return std::unexpected(std::move(store.error()));
    return std::make_unique<StoreQueue>(std::move(*store));
  }
  storage::Options options;
  options.path = config->store.path;
  options.create_if_missing = false;
  auto store = storage::Store::open(options);
  if (!store) return std::unexpected(stop_of(store.error()));
  return std::make_unique<StoreQueue>(std::move(*store));
}

/// Calls `each` with every page; it says whether to go on.
template <class Each>
Result<void> for_pages(Queue& queue, const Options& options, Each each) {
  std::string after;
  for (;;) {
    const auto page = queue.page(options, after);
    if (!page) return std::unexpected(page.error());
    if (!each(member_of(*page, "entries"))) return {};
    after = text_of(*page, "next");
    if (after.empty()) return {};
  }
}

std::string recipients_of(const Json& entry) {
  std::string text;
  std::size_t more = 0;
  for (const Json& recipient : member_of(entry, "recipients")) {
    if (!recipient.is_string()) continue;
    if (text.empty())
      text = recipient.get<std::string>();
    else
      ++more;
  }
  return more == 0 ? text : fmt::format("{} and {} more", text, more);
}

void print_rows(const std::vector<Json>& entries) {
  Table table({{.title = "ID"},
               {.title = "STATE"},
               {.title = "SIZE", .align = Align::right},
               {.title = "RECEIVED"},
               {.title = "NEXT TRY"},
               {.title = "SENDER"},
               {.title = "RECIPIENTS"},
               {.title = "LAST REPLY"}});
  for (const Json& entry : entries) {
    const std::string sender = text_of(entry, "sender");
    table.row({text_of(entry, "id"), text_of(entry, "state"),
               human_octets(static_cast<std::uint64_t>(number_of(entry, "octets"))),
               human_time(text_of(entry, "received_at")), human_time(text_of(entry, "next_try")),
               sender.empty() ? "<>" : sender, recipients_of(entry), text_of(entry, "last_reply")});
  }
  print(table.text());
}

int list(const Options& options) {
  auto queue = open(options.common, false);
  if (!queue) return fail(queue.error());
  Json all = Json::array();
  const auto done = for_pages(**queue, options, [&](const Json& entries) {
    if (options.common.json) {
      for (const Json& entry : entries) all.push_back(entry);
      return true;
    }
    if (!entries.empty()) print_rows(std::vector<Json>(entries.begin(), entries.end()));
    return true;
  });
  if (!done) return fail(done.error());
  if (options.common.json) print_json(all);
  return control::kOk;
}

void print_story(const Json& story) {
  for (const Json& entry : member_of(story, "entries")) {
    const std::string sender = text_of(entry, "sender");
    print(fmt::format("{}: {}, from {} to {}, {} attempts, received {}\n", text_of(entry, "id"),
                      text_of(entry, "state"), printable(sender.empty() ? "<>" : sender),
                      printable(text_of(entry, "destination")), number_of(entry, "attempts"),
                      human_time(text_of(entry, "received_at"))));
    if (const std::string next = text_of(entry, "next_try"); !next.empty())
      print(fmt::format("  next try {}: {}\n", human_time(next), printable(text_of(entry, "last_reply"))));
    Table table({{.title = "  RECIPIENT"},
                 {.title = "STATE"},
                 {.title = "WHEN"},
                 {.title = "HOST"},
                 {.title = "REPLY"}});
    for (const Json& outcome : member_of(entry, "outcomes"))
      table.row({"  " + text_of(outcome, "address"), text_of(outcome, "state"),
                 human_time(text_of(outcome, "tried_at")), text_of(outcome, "host"),
                 text_of(outcome, "reply")});
    print(table.text());
  }
}

int show(const Options& options) {
  auto queue = open(options.common, false);
  if (!queue) return fail(queue.error());
  const auto story = (*queue)->story(options.ids.front());
  if (!story) return fail(story.error());
  if (options.common.json)
    print_json(*story);
  else
    print_story(*story);
  return control::kOk;
}

/// Which entries a verb is for. A message's id without part means all of its open entries.
Result<std::vector<Json>> chosen_entries(Queue& queue, const Options& options) {
  std::vector<Json> entries;
  if (options.ids.empty()) {
    const auto done = for_pages(queue, options, [&](const Json& page) {
      entries.insert(entries.end(), page.begin(), page.end());
      return true;
    });
    if (!done) return std::unexpected(done.error());
    return entries;
  }
  for (const std::string& id : options.ids) {
    const auto story = queue.story(id);
    if (!story) return std::unexpected(story.error());
    const bool whole = id.find('.') == std::string::npos;
    for (const Json& entry : member_of(*story, "entries"))
      if (text_of(entry, "state") != "closed" && (whole || text_of(entry, "id") == id))
        entries.push_back(entry);
  }
  return entries;
}

int act(const std::string& verb, const Options& options) {
  const bool bulk = options.ids.empty();
  if (bulk && !options.all && !options.filtered())
    return fail({.exit_code = control::kUsage, .sentence = "name entries by ID, by a filter, or --all"});
  if (!bulk && (options.all || options.filtered()))
    return fail({.exit_code = control::kUsage, .sentence = "IDs, or a filter, not both"});
  auto queue = open(options.common, true);
  if (!queue) return fail(queue.error());
  const auto entries = chosen_entries(**queue, options);
  if (!entries) return fail(entries.error());
  const bool final = verb == "bounce" || verb == "drop";
  if (options.dry_run || (bulk && final && !options.yes)) {
    const std::vector<Json> first(entries->begin(), entries->begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                           entries->size(), kPreviewRows)));
    if (options.common.json)
      print_json({{"verb", verb}, {"would", entries->size()}, {"entries", first}});
    else {
      print_rows(first);
      print(fmt::format("{} entries would be concerned{}\n", entries->size(),
                        entries->size() > first.size() ? "; the first are shown" : ""));
    }
    if (options.dry_run) return control::kOk;
    return fail(
        {.exit_code = control::kUsage,
         .sentence = fmt::format("nothing has been done; --yes does it ({} cannot be taken back)", verb)});
  }
  Json sum = {{"done", 0}, {"gone", 0}, {"problems", Json::array()}};
  for (std::size_t at = 0; at < entries->size(); at += control::kQueueIdsMax) {
    std::vector<std::string> ids;
    for (std::size_t i = at; i < std::min(entries->size(), at + control::kQueueIdsMax); ++i)
      ids.push_back(text_of((*entries)[i], "id"));
    const auto part = (*queue)->act(verb, ids);
    if (!part) return fail(part.error());
    for (const char* key : {"done", "gone"}) sum[key] = number_of(sum, key) + number_of(*part, key);
    for (const Json& problem : member_of(*part, "problems")) sum["problems"].push_back(problem);
  }
  if (options.common.json)
    print_json(sum);
  else
    print(fmt::format(
        "{}: {} entries{}\n", verb, number_of(sum, "done"),
        number_of(sum, "gone") == 0 ? std::string() : fmt::format(", {} were gone", number_of(sum, "gone"))));
  for (const Json& problem : sum["problems"])
    complain(fmt::format("{}: {}", text_of(problem, "id"), printable(text_of(problem, "problem"))));
  return sum["problems"].empty() ? control::kOk : control::kTemporary;
}

void add_filters(CLI::App& verb, Options& options) {
  verb.add_option("--domain", options.filter.destination, "Only entries for this domain")
      ->type_name("DOMAIN");
  verb.add_option("--sender", options.filter.sender, "Only from this sender; @DOMAIN, or <>")
      ->type_name("ADDRESS");
  verb.add_option("--recipient", options.filter.recipient, "Only for this recipient; @DOMAIN")
      ->type_name("ADDRESS");
  verb.add_option("--state", options.filter.state, "Only in this state")
      ->check(CLI::IsMember({"waiting", "held", "damaged"}))
      ->type_name("STATE");
  verb.add_option("--reply", options.filter.reply, "Only where a last reply holds this text")
      ->type_name("TEXT");
  verb.add_option("--older-than", options.older_s, "Only accepted so long ago")->type_name("SECONDS");
}

}  // namespace

void add_queue(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("queue", "The outbound queue: list, show, and change by hand");
  verb->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* const sub = verb->add_subcommand(name, help);
    auto options = std::make_shared<Options>();
    add_config(*sub, options->common);
    add_json(*sub, options->common);
    return std::pair(sub, options);
  };
  {
    const auto [sub, options] = add("list", "What waits, for whom, until when and why");
    add_filters(*sub, *options);
    sub->callback([options, &chosen] { chosen = [options] { return list(*options); }; });
  }
  {
    const auto [sub, options] = add("show", "Everything about one message, closed entries included");
    sub->add_option("ID", options->ids, "The message")->type_name("")->required()->expected(1);
    sub->callback([options, &chosen] { chosen = [options] { return show(*options); }; });
  }
  struct Change {
    const char *name, *help;
  };
  for (const Change& change :
       {Change{"hold", "Keep entries from being tried"},
        Change{"release", "Let held or damaged entries go on"},
        Change{"retry", "Try now, whatever the schedule says"},
        Change{"bounce", "Give up, and tell the senders"}, Change{"drop", "Give up, and tell nobody"}}) {
    const auto [sub, options] = add(change.name, change.help);
    add_filters(*sub, *options);
    sub->add_option("ID", options->ids, "Messages, or entries of them (ID.2)")
        ->type_name("")
        ->expected(0, -1);
    sub->add_flag("--all", options->all, "Every entry");
    sub->add_flag("--dry-run", options->dry_run, "Show what it would concern, and do nothing");
    sub->add_flag("--yes", options->yes, "Do not ask to be asked again: bounce and drop by a filter need it");
    sub->callback([options, name = std::string(change.name), &chosen] {
      chosen = [options, name] { return act(name, *options); };
    });
  }
}

}  // namespace postern::cli
