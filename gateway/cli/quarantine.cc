#include "gateway/control/quarantine.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/verdict.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using control::Json;
using control::QuarantineDesk;
using Align = Table::Align;

constexpr std::size_t kPreviewRows = 20;
constexpr std::chrono::seconds kPatience{600};

struct Options {
  Common common;
  control::QuarantineFilter filter;
  std::uint64_t older_s = 0;
  std::vector<std::string> ids;
  std::string verdict;  ///< of learn
  bool all = false, yes = false, dry_run = false, learn = false, message = false;

  bool filtered() const { return filter.any() || older_s != 0; }
};

template <class T>
using Result = std::expected<T, Stop>;

/// The quarantine of the running server, or that of a store nobody serves. Blocking.
class Quarantine {
 public:
  virtual ~Quarantine() = default;
  /// {entries, next}
  virtual Result<Json> page(const Options& options, const std::string& after) = 0;
  /// {entries, record}
  virtual Result<Json> story(const std::string& id) = 0;
  virtual Result<std::string> message(const storage::MessageId& id) = 0;
  /// {done, gone, learned, problems}
  virtual Result<Json> act(const std::string& verb, const Options& options,
                           const std::vector<std::string>& ids) = 0;
};

class RemoteQuarantine final : public Quarantine {
 public:
  explicit RemoteQuarantine(control::Client client) : client_(std::move(client)) {}

  Result<Json> page(const Options& options, const std::string& after) override {
    std::string target = fmt::format("{}?count={}", control::kQuarantineRoutes, control::kQuarantineRowsMax);
    const auto add = [&](std::string_view key, std::string_view value) {
      if (!value.empty()) target += fmt::format("&{}={}", key, admin::percent_encode(value));
    };
    add("after", after);
    add("recipient", options.filter.recipient);
    add("sender", options.filter.sender);
    if (options.older_s != 0) add("older_s", fmt::to_string(options.older_s));
    if (options.filter.score_min) add("score_min", fmt::to_string(*options.filter.score_min));
    if (options.filter.score_max) add("score_max", fmt::to_string(*options.filter.score_max));
    return ask_json("GET", target);
  }
  Result<Json> story(const std::string& id) override {
    return ask_json("GET", fmt::format("{}/{}", control::kQuarantineRoutes, admin::percent_encode(id)));
  }
  Result<std::string> message(const storage::MessageId& id) override {
    return ask("GET", "/v1/messages/" + id.text());
  }
  Result<Json> act(const std::string& verb, const Options& options,
                   const std::vector<std::string>& ids) override {
    Json body = {{"ids", ids}};
    if (options.learn) body["learn"] = true;
    if (!options.verdict.empty()) body["class"] = options.verdict;
    return ask_json("POST", fmt::format("{}/{}", control::kQuarantineRoutes, verb), control::dump(body));
  }

 private:
  Result<std::string> ask(std::string_view method, std::string_view target,
                          std::string_view body = {}) const {
    auto answer = client_.request(method, target, body, kPatience);
    if (!answer) return std::unexpected(stop_of(answer.error()));
    if (!answer->ok())
      return std::unexpected(Stop{.exit_code = answer->status == 404   ? control::kNoInput
                                               : answer->status == 400 ? control::kUsage
                                                                       : control::kTemporary,
                                  .sentence = answer->error()});
    return std::move(answer->body);
  }
  Result<Json> ask_json(std::string_view method, std::string_view target, std::string_view body = {}) const {
    const auto answer = ask(method, target, body);
    if (!answer) return std::unexpected(answer.error());
    auto json = control::parse(*answer);
    if (!json)
      return std::unexpected(Stop{.exit_code = control::kIo, .sentence = "the server's answer is no JSON"});
    return std::move(*json);
  }

  control::Client client_;
};

class StoreQuarantine final : public Quarantine {
 public:
  StoreQuarantine(std::unique_ptr<storage::Store> store, std::unique_ptr<classifier::Classifier> classifier,
                  const std::string& hostname)
      : store_(std::move(store)),
        classifier_(std::move(classifier)),
        desk_(*store_, classifier_.get(), [hostname] { return hostname; }, {}) {}
  ~StoreQuarantine() override {
    if (!classifier_) return;
    if (const auto closed = classifier_->close(); !closed) complain(closed.error().text());
  }
  StoreQuarantine(const StoreQuarantine&) = delete;
  StoreQuarantine& operator=(const StoreQuarantine&) = delete;

  Result<Json> page(const Options& options, const std::string& after) override {
    control::QuarantineFilter filter = options.filter;
    filter.older_ms = options.older_s * 1000;
    const auto page = desk_.list(filter, storage::QuarantineKey::parse(after), control::kQuarantineRowsMax);
    if (!page) return std::unexpected(stop_of(page.error()));
    return control::to_json(*page);
  }
  Result<Json> story(const std::string& id) override {
    const auto key = storage::QuarantineKey::parse(id);
    if (!key)
      return std::unexpected(Stop{.exit_code = control::kUsage, .sentence = printable(id) + " is no id"});
    auto story = desk_.show(key->id);
    if (!story) return std::unexpected(stop_of(story.error()));
    return std::move(*story);
  }
  Result<std::string> message(const storage::MessageId& id) override {
    auto message = store_->message(id);
    if (!message) return std::unexpected(stop_of(message.error()));
    return std::move(*message);
  }
  Result<Json> act(const std::string& verb, const Options& options,
                   const std::vector<std::string>& ids) override {
    std::vector<storage::QuarantineKey> keys;
    for (const std::string& id : ids)
      if (const auto key = storage::QuarantineKey::parse(id)) keys.push_back(*key);
    if (verb == "release") return control::to_json(desk_.release(keys, options.learn));
    if (verb == "delete") return control::to_json(desk_.remove(keys));
    return control::to_json(
        desk_.learn(keys, options.verdict == "spam" ? classifier::Class::spam : classifier::Class::ham));
  }

 private:
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<classifier::Classifier> classifier_;
  QuarantineDesk desk_;
};

Result<std::unique_ptr<Quarantine>> open(const Common& common, bool writes, bool learns) {
  auto config = load_manifest(common.config);
  if (!config) return std::unexpected(std::move(config.error()));
  control::Client client(config->control.socket);
  auto there = client.probe();
  if (there) return std::make_unique<RemoteQuarantine>(std::move(client));
  if (there.error().kind != control::ClientError::Kind::absent)
    return std::unexpected(stop_of(there.error()));
  if (!writes) {
    auto store = open_store(*config);
    if (!store) return std::unexpected(std::move(store.error()));
    return std::make_unique<StoreQuarantine>(std::move(*store), nullptr, config->hostname);
  }
  storage::Options options;
  options.path = config->store.path;
  options.create_if_missing = false;
  options.quarantine_age_max = std::chrono::days(config->store.quarantine_days_max);
  options.quarantine_octets_max = config->store.quarantine_octets_max;
  auto store = storage::Store::open(options);
  if (!store) return std::unexpected(stop_of(store.error()));
  std::unique_ptr<classifier::Classifier> classifier;
  if (learns && config->filter.bayes.enabled) {
    std::vector<std::string> warnings;
    auto opened = classifier::Classifier::open({.folder = config->store.path / classifier::kFolder,
                                                .table_octets = config->filter.bayes.table_octets},
                                               warnings);
    for (const std::string& warning : warnings) complain("warning: " + warning);
    if (!opened) return std::unexpected(stop_of(opened.error()));
    classifier = std::move(*opened);
  }
  return std::make_unique<StoreQuarantine>(std::move(*store), std::move(classifier), config->hostname);
}

/// Calls `each` with every page.
template <class Each>
Result<void> for_pages(Quarantine& quarantine, const Options& options, Each each) {
  std::string after;
  for (;;) {
    const auto page = quarantine.page(options, after);
    if (!page) return std::unexpected(page.error());
    each(member_of(*page, "entries"));
    after = text_of(*page, "next");
    if (after.empty()) return {};
  }
}

std::string score_text(const Json& entry) {
  const Json& score = member_of(entry, "score");
  return score.is_number() ? fmt::format("{:.1f}", score.get<double>()) : "?";
}

void print_rows(const std::vector<Json>& entries) {
  Table table({{.title = "ID"},
               {.title = "RECEIVED"},
               {.title = "SCORE", .align = Align::right},
               {.title = "SIZE", .align = Align::right},
               {.title = "RECIPIENT"},
               {.title = "SENDER"},
               {.title = "SUBJECT"}});
  for (const Json& entry : entries) {
    const std::string sender = text_of(entry, "sender"), problem = text_of(entry, "problem");
    table.row({text_of(entry, "id"), human_time(text_of(entry, "received_at")), score_text(entry),
               human_octets(static_cast<std::uint64_t>(number_of(entry, "octets"))),
               text_of(entry, "recipient"), sender.empty() ? "<>" : sender,
               problem.empty() ? text_of(entry, "subject") : "unreadable: " + problem});
  }
  print(table.text());
}

int list(const Options& options) {
  auto quarantine = open(options.common, false, false);
  if (!quarantine) return fail(quarantine.error());
  Json all = Json::array();
  const auto done = for_pages(**quarantine, options, [&](const Json& entries) {
    if (options.common.json) {
      for (const Json& entry : entries) all.push_back(entry);
    } else if (!entries.empty()) {
      print_rows(std::vector<Json>(entries.begin(), entries.end()));
    }
  });
  if (!done) return fail(done.error());
  if (options.common.json) print_json(all);
  return control::kOk;
}

int show(const Options& options) {
  const auto key = storage::QuarantineKey::parse(options.ids.front());
  if (!key)
    return fail({.exit_code = control::kUsage, .sentence = printable(options.ids.front()) + " is no id"});
  auto quarantine = open(options.common, false, false);
  if (!quarantine) return fail(quarantine.error());
  const auto story = (*quarantine)->story(options.ids.front());
  if (!story) return fail(story.error());
  if (options.message) {
    const auto message = (*quarantine)->message(key->id);
    if (!message) return fail(message.error());
    print(*message);
    return control::kOk;
  }
  if (options.common.json) {
    print_json(*story);
    return control::kOk;
  }
  for (const Json& entry : member_of(*story, "entries")) {
    const std::string destination = text_of(entry, "destination");
    print(fmt::format("{}: for <{}>, a release goes to {}\n", text_of(entry, "id"),
                      printable(text_of(entry, "recipient")),
                      destination.empty() ? "mailbox " + printable(text_of(entry, "mailbox"))
                                          : "the queue for " + printable(destination)));
    print(fmt::format("  {}\n", printable(text_of(entry, "reason"))));
  }
  const Json& first = member_of(*story, "entries").front();
  print(fmt::format("From        {}\nSubject     {}\n", printable(text_of(first, "from")),
                    printable(text_of(first, "subject"))));
  print_verdict(member_of(*story, "record"));
  return control::kOk;
}

/// Which entries a verb is for. A message's id without part means all of its entries.
Result<std::vector<Json>> chosen_entries(Quarantine& quarantine, const Options& options) {
  std::vector<Json> entries;
  if (options.ids.empty()) {
    const auto done = for_pages(quarantine, options, [&](const Json& page) {
      entries.insert(entries.end(), page.begin(), page.end());
    });
    if (!done) return std::unexpected(done.error());
    return entries;
  }
  for (const std::string& id : options.ids) {
    const auto story = quarantine.story(id);
    if (!story) return std::unexpected(story.error());
    const bool whole = id.find('.') == std::string::npos;
    for (const Json& entry : member_of(*story, "entries"))
      if (whole || text_of(entry, "id") == id) entries.push_back(entry);
  }
  return entries;
}

void preview(const std::string& verb, const Options& options, const std::vector<Json>& entries) {
  const auto shown = static_cast<std::ptrdiff_t>(std::min(entries.size(), kPreviewRows));
  const std::vector<Json> first(entries.begin(), entries.begin() + shown);
  if (options.common.json) {
    print_json({{"verb", verb}, {"would", entries.size()}, {"entries", first}});
    return;
  }
  print_rows(first);
  print(fmt::format("{} entries would be concerned{}\n", entries.size(),
                    entries.size() > first.size() ? "; the first are shown" : ""));
}

int act(const std::string& verb, const Options& options) {
  const bool bulk = options.ids.empty();
  if (bulk && !options.all && !options.filtered())
    return fail({.exit_code = control::kUsage, .sentence = "name entries by ID, by a filter, or --all"});
  if (!bulk && (options.all || options.filtered()))
    return fail({.exit_code = control::kUsage, .sentence = "IDs, or a filter, not both"});
  auto quarantine = open(options.common, true, options.learn || verb == "learn");
  if (!quarantine) return fail(quarantine.error());
  const auto entries = chosen_entries(**quarantine, options);
  if (!entries) return fail(entries.error());
  if (options.dry_run || (bulk && verb != "learn" && !options.yes)) {
    preview(verb, options, *entries);
    if (options.dry_run) return control::kOk;
    return fail(
        {.exit_code = control::kUsage,
         .sentence = fmt::format("nothing has been done; --yes does it ({} cannot be taken back)", verb)});
  }
  Json sum = {{"done", 0}, {"gone", 0}, {"learned", 0}, {"problems", Json::array()}};
  for (std::size_t at = 0; at < entries->size(); at += control::kQuarantineRowsMax) {
    std::vector<std::string> ids;
    for (std::size_t i = at; i < std::min(entries->size(), at + control::kQuarantineRowsMax); ++i)
      ids.push_back(text_of((*entries)[i], "id"));
    const auto part = (*quarantine)->act(verb, options, ids);
    if (!part) return fail(part.error());
    for (const char* key : {"done", "gone", "learned"})
      sum[key] = number_of(sum, key) + number_of(*part, key);
    for (const Json& problem : member_of(*part, "problems")) sum["problems"].push_back(problem);
  }
  if (options.common.json) {
    print_json(sum);
  } else {
    const std::int64_t gone = number_of(sum, "gone"), learned = number_of(sum, "learned");
    print(fmt::format("{}: {} {}{}{}\n", verb, number_of(sum, "done"),
                      verb == "learn" ? "messages" : "entries",
                      gone == 0 ? "" : fmt::format(", {} were gone", gone),
                      verb == "learn" || learned == 0 ? "" : fmt::format(", {} learned as ham", learned)));
  }
  for (const Json& problem : sum["problems"])
    complain(fmt::format("{}: {}", text_of(problem, "id"), printable(text_of(problem, "problem"))));
  return sum["problems"].empty() ? control::kOk : control::kTemporary;
}

void add_filters(CLI::App& verb, Options& options) {
  verb.add_option("--recipient", options.filter.recipient, "Only for this recipient; @DOMAIN")
      ->type_name("ADDRESS");
  verb.add_option("--sender", options.filter.sender, "Only from this sender; @DOMAIN, or <>")
      ->type_name("ADDRESS");
  verb.add_option("--older-than", options.older_s, "Only accepted so long ago")->type_name("SECONDS");
  verb.add_option("--score-min", options.filter.score_min, "Only with this score or more")
      ->type_name("SCORE");
  verb.add_option("--score-max", options.filter.score_max, "Only with this score or less")
      ->type_name("SCORE");
}

void add_choice(CLI::App& verb, Options& options) {
  add_filters(verb, options);
  verb.add_option("ID", options.ids, "Messages, or entries of them (ID.2)")->type_name("")->expected(0, -1);
  verb.add_flag("--all", options.all, "Every entry");
  verb.add_flag("--dry-run", options.dry_run, "Show what it would concern, and do nothing");
}

}  // namespace

void add_quarantine(CLI::App& app, Action& chosen) {
  CLI::App* const verb =
      app.add_subcommand("quarantine", "What was kept from its readers: list, show, release, learn, delete");
  verb->require_subcommand(1);
  const auto add = [&](const char* name, const char* help) {
    CLI::App* const sub = verb->add_subcommand(name, help);
    auto options = std::make_shared<Options>();
    add_config(*sub, options->common);
    add_json(*sub, options->common);
    return std::pair(sub, options);
  };
  {
    const auto [sub, options] = add("list", "What is there, for whom and with what score");
    add_filters(*sub, *options);
    sub->callback([options, &chosen] { chosen = [options] { return list(*options); }; });
  }
  {
    const auto [sub, options] = add("show", "Everything about one message: for whom, and why it is here");
    sub->add_option("ID", options->ids, "The message")->type_name("")->required()->expected(1);
    sub->add_flag("--message", options->message, "Its octets instead, as they are stored");
    sub->callback([options, &chosen] { chosen = [options] { return show(*options); }; });
  }
  {
    const auto [sub, options] =
        add("release", "Into the mailbox, or to the next hop, as it came; never judged again");
    add_choice(*sub, *options);
    sub->add_flag("--learn", options->learn, "Learn it as ham as well");
    sub->add_flag("--yes", options->yes, "Do not ask to be asked again: needed with a filter");
    sub->callback([options, &chosen] { chosen = [options] { return act("release", *options); }; });
  }
  {
    const auto [sub, options] = add("learn", "Teach the classifier; the messages stay where they are");
    sub->add_option("CLASS", options->verdict, "What they are")
        ->check(CLI::IsMember({"spam", "ham"}))
        ->type_name("")
        ->required();
    add_choice(*sub, *options);
    sub->callback([options, &chosen] { chosen = [options] { return act("learn", *options); }; });
  }
  {
    const auto [sub, options] = add("delete", "Take them out for good; nobody is told");
    add_choice(*sub, *options);
    sub->add_flag("--yes", options->yes, "Do not ask to be asked again: needed with a filter");
    sub->callback([options, &chosen] { chosen = [options] { return act("delete", *options); }; });
  }
}

}  // namespace postern::cli
