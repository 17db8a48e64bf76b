#include "gateway/pipeline/list_keeper.h"

#include <fmt/format.h>

#include <expected>
#include <memory>
#include <string>
#include <utility>

namespace postern::pipeline {

std::string bad_lines_of(const lists::FileLists& lists) {
  if (lists.bad_lines() == 0) return {};
  return fmt::format("{} lines of lists were passed over, the first is {}", lists.bad_lines(),
                     lists.first_bad_line());
}

reactor::Task<void> ListKeeper::run(reactor::Scope& scope) {
  std::shared_ptr<const Snapshot> of;
  while (!scope.cancelled()) {
    const std::shared_ptr<const Snapshot> snapshot = services_.snapshots.get();
    if (snapshot != of) seen_ = snapshot->lists.stamps();
    of = snapshot;
    if (!seen_.empty()) {
      co_await look(*snapshot);
    }
    (void)co_await reactor::Reactor::current().sleep_until(reactor::Clock::now() + kInterval, &scope);
  }
}

reactor::Task<void> ListKeeper::look(const Snapshot& snapshot) {
  using Read = std::expected<std::shared_ptr<const lists::FileLists>, std::string>;
  const config::FilterConfig& filter = snapshot.config.filter;
  std::vector<lists::FileStamp> now;
  Read read = nullptr;
  const auto began = reactor::Clock::now();
  auto work = [&] {
    now = lists::stamps(filter.allow, filter.block);
    if (now != seen_) read = lists::FileLists::read(filter.allow, filter.block);
  };
  const auto done = co_await services_.workers.run(std::move(work));
  if (!done || now == seen_) co_return;  // the workers have enough to do, or nothing has changed
  seen_ = std::move(now);
  auto& outcome = services_.metrics.counter("postern_list_reloads_total",
                                            "Times that changed files of local lists were read, by result.",
                                            {{"result", read ? "ok" : "failed"}});
  outcome.add();
  if (!read) {
    services_.logger.write(log::Line(log::Level::error, "lists_unreadable").field("problem", read.error()));
    co_return;
  }
  snapshot.lists.set_files(*read);
  tell(**read, std::chrono::duration_cast<std::chrono::milliseconds>(reactor::Clock::now() - began));
}

void ListKeeper::tell(const lists::FileLists& lists, std::chrono::milliseconds took) {
  services_.logger.write(log::Line(log::Level::info, "lists_reloaded")
                             .field("entries", lists.entries())
                             .field("octets", lists.octets())
                             .field("took_ms", took.count()));
  if (const std::string bad = bad_lines_of(lists); !bad.empty())
    services_.logger.write(log::Line(log::Level::warning, "lists_bad_lines").field("problem", bad));
}

}  // namespace postern::pipeline
