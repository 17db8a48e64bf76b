// postern_load: sends mail to any SMTP server and measures how it bears it. README.md in this folder.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sysexits.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>

#include "bench/load/corpus.h"
#include "bench/load/options.h"
#include "bench/load/plot.h"
#include "bench/load/report.h"
#include "bench/load/runner.h"

namespace {

using namespace postern::load;

constexpr unsigned kOtherDescriptors = 64;  // rings, corpus, standard streams

std::atomic<bool> stop = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler writes it

int fail(int code, const std::string& sentence) {
  (void)std::fprintf(stderr, "postern_load: %s\n", sentence.c_str());
  return code;
}

/// A descriptor for every connection, as far as we may.
bool raise_descriptor_limit(rlim_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  if (limit.rlim_cur >= wanted) return true;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;  // root may
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

std::expected<Corpus, std::string> messages_of(const Options& options) {
  if (options.corpus.empty()) return Corpus::generated(options.sizes);
  return Corpus::load(options.corpus);
}

}  // namespace

int main(int count, char** arguments) {
  const auto options = parse_options(count, arguments);
  if (!options) {
    (void)std::fputs(options.error().text.c_str(), options.error().exit_code == 0 ? stdout : stderr);
    if (!options.error().text.ends_with('\n')) (void)std::fputc('\n', stderr);
    return options.error().exit_code;
  }
  const auto corpus = messages_of(*options);
  if (!corpus) return fail(EX_NOINPUT, corpus.error());
  Corpus spam;
  if (!options->spam.empty()) {
    auto loaded = Corpus::load(options->spam);
    if (!loaded) return fail(EX_NOINPUT, loaded.error());
    spam = std::move(*loaded);
  }
  const rlim_t descriptors = rlim_t{options->connections} + options->idle_connections + kOtherDescriptors;
  if (!raise_descriptor_limit(descriptors))
    return fail(EX_OSERR, fmt::format("{} connections need {} descriptors (ulimit -n)",
                                      options->connections + options->idle_connections, descriptors));

  (void)std::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGINT, SIGTERM}) (void)std::signal(number, [](int) { stop = true; });
  RunResult result;
  const auto ran = run_load(*options, *corpus, spam, stop, result);
  if (!ran) return fail(EX_OSERR, ran.error());
  const std::string report = options->json ? json_of(*options, result) : table_of(*options, result);
  if (std::fputs(report.c_str(), stdout) == EOF || std::fflush(stdout) == EOF)
    return fail(EX_IOERR, "the report cannot be written");
  if (!options->plot.empty()) {
    const auto drawn = write_plot(options->plot, *options, result);
    if (!drawn) return fail(EX_CANTCREAT, drawn.error());
  }
  // Replies that refuse are results; a server that is not there is none.
  const Tally& tally = result.tally;
  if (tally.connections == 0 && tally.connect_failures > 0)
    return fail(EX_UNAVAILABLE, fmt::format("no connection to {}", options->target_text));
  return EX_OK;
}
