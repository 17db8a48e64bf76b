#include "tests/integration/dns/conversation.h"

#include <csignal>

#include "gateway/reactor/reactor.h"
#include "tests/support/run_task.h"

namespace postern::test {
namespace {

using reactor::Clock;
using reactor::Reactor;
using reactor::Task;

std::chrono::milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
}

Task<void> ask_one(dns::Resolver& resolver, filters::Question question, reactor::Deadline deadline,
                   filters::Answer& answer) {
  answer = co_await resolver.ask(question, deadline);
}

Task<void> ask_all(dns::Resolver& resolver, const std::vector<filters::Question>& questions,
                   const Manner& manner, Conversation& result) {
  reactor::Scope scope;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const reactor::Deadline deadline = Clock::now() + manner.timeout;
    scope.spawn(ask_one(resolver, questions[i], deadline, result.answers[i]));
    if (manner.at_once) continue;
    co_await scope.join();
    const reactor::Deadline next = Clock::now() + manner.pause;
    (void)co_await Reactor::current().sleep_until(next);
  }
  if (manner.close_after.count() >= 0) {
    const reactor::Deadline then = Clock::now() + manner.close_after;
    (void)co_await Reactor::current().sleep_until(then);
    co_await resolver.close();
  }
  co_await scope.join();
}

Task<void> talk(const dns::ResolverOptions& options, const std::vector<filters::Question>& questions,
                const Manner& manner, Conversation& result) {
  auto made = dns::Resolver::create(options);
  if (!made) {
    result.trouble = made.error();
    co_return;
  }
  dns::Resolver& resolver = **made;
  const auto started = Clock::now();
  co_await ask_all(resolver, questions, manner, result);
  result.asking = since(started);
  const auto closing = Clock::now();
  co_await resolver.close();
  result.closing = since(closing);
  result.counters = resolver.counters();
}

}  // namespace

Conversation converse(const dns::ResolverOptions& options, const std::vector<filters::Question>& questions,
                      const Manner& manner) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  Conversation result;
  result.answers.resize(questions.size());
  run(talk(options, questions, manner, result));
  return result;
}

dns::ResolverOptions forwarding(const std::string& address) {
  dns::ResolverOptions options;
  options.resolvers = {address};
  options.dnssec = dns::Dnssec::off;
  return options;
}

}  // namespace postern::test
