#include "gateway/cli/questions.h"

#include <csignal>
#include <filesystem>
#include <memory>
#include <utility>

#include "gateway/reactor/reactor.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/socket.h"
#include "gateway/serve/preparation.h"

namespace postern::cli {
namespace {

/// An evaluation that needs more goes in circles; SPF with its ten terms, each behind another, needs about thirty.
constexpr unsigned kRoundsMax = 64;

/// Resolvers write to TCP sockets by themselves.
class PipeSignalIgnored {
 public:
  PipeSignalIgnored() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~PipeSignalIgnored() { (void)std::signal(SIGPIPE, before_); }
  PipeSignalIgnored(const PipeSignalIgnored&) = delete;
  PipeSignalIgnored& operator=(const PipeSignalIgnored&) = delete;

 private:
  void (*before_)(int);
};

reactor::Task<void> ask_one(dns::Resolver& resolver, filters::Question question, filters::Facts& facts) {
  const auto asked_at = reactor::Reactor::current().now_utc();
  const auto start = reactor::Clock::now();
  const reactor::Deadline deadline = start + kAnswerPatience;
  filters::Answer answer = co_await resolver.ask(question, deadline);
  answer.asked_at = asked_at;
  answer.took = std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - start);
  facts.answer(question, std::move(answer));
}

reactor::Task<void> ask_all(dns::Resolver& resolver, filters::Facts& facts,
                            const std::function<bool()>& evaluate, bool& concluded) {
  for (unsigned round = 0; round < kRoundsMax && !concluded; ++round) {
    concluded = evaluate();
    if (concluded) break;
    reactor::Scope scope;
    const std::vector<filters::Question> open = facts.questions();
    for (const filters::Question& question : open) scope.spawn(ask_one(resolver, question, facts));
    co_await scope.join();
  }
  co_await resolver.close();
}

}  // namespace

void add_resolvers(CLI::App& verb, Resolvers& resolvers) {
  add_config(verb, resolvers.common);
  resolvers.config = verb.get_option("--config");
  add_json(verb, resolvers.common);
  verb.add_option("--resolver", resolvers.named,
                  "Ask this one (may be repeated); default: as the manifest says, else from the root down")
      ->type_name("IP:PORT")
      ->allow_extra_args(false);
}

std::expected<dns::ResolverOptions, Stop> resolver_options(const Resolvers& resolvers) {
  dns::ResolverOptions options;
  std::error_code ignored;
  const bool named = !resolvers.named.empty();
  const bool manifest =
      resolvers.config->count() > 0 || std::filesystem::exists(resolvers.common.config, ignored);
  if (!named && manifest) {
    const auto config = load_manifest(resolvers.common.config);
    if (!config) return std::unexpected(config.error());
    options = serve::resolver_options(*config);
  }
  if (named) {
    options.resolvers = resolvers.named;
    options.dnssec =
        dns::Dnssec::off;  // as the manifest's default: a forwarder may not pass on what validating needs
  }
  options.stale_after = kAnswerPatience;  // nothing expired: one process, one question
  return options;
}

std::expected<void, Stop> answer_until(const dns::ResolverOptions& options, filters::Facts& facts,
                                       const std::function<bool()>& evaluate) {
  auto able = reactor::probe_kernel();
  if (!able) return std::unexpected(Stop{.exit_code = control::kSystem, .sentence = able.error().text()});
  const PipeSignalIgnored ignored;
  auto made = reactor::Reactor::create(reactor::ReactorOptions());
  if (!made) return std::unexpected(Stop{.exit_code = control::kSystem, .sentence = made.error().text()});
  auto resolver = dns::Resolver::create(options);
  if (!resolver)
    return std::unexpected(Stop{.exit_code = control::kUsage, .sentence = std::move(resolver.error())});
  bool concluded = false;
  (*made)->run(ask_all(**resolver, facts, evaluate, concluded));
  if (!concluded)
    return std::unexpected(Stop{.exit_code = control::kInternal,
                                .sentence = "the evaluation does not come to an end with its questions"});
  return {};
}

}  // namespace postern::cli
