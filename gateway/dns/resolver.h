#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "filters/facts.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/task.h"

namespace postern::dns {

enum class Dnssec : std::uint8_t { off, validate };

struct ResolverOptions {
  /// "IP" or "IP:PORT" or "[IP6]:PORT": forward to these; empty: recurse from the root.
  std::vector<std::string> resolvers;
  Dnssec dnssec = Dnssec::validate;
  std::size_t cache_octets = 32U << 20;  ///< of this core: a third for messages, two thirds for record sets
  /// Under way at once, those included whose asker has gone on; beyond, a question is answered servfail.
  std::size_t questions_max = 4096;
  /// An expired answer serves this long when nobody can be reached (RFC 8767), once a question has waited
  /// `stale_after`: less than the deadlines that ask() is given, or it never does.
  std::chrono::seconds stale_max{86'400};
  std::chrono::milliseconds stale_after{1800};
  std::vector<std::string> trust_anchors;  ///< DS or DNSKEY records as text; empty: the root's (IANA)
  std::string root_hints;                  ///< file; empty: libunbound's own
};

/// Questions by how they ended, and of all of them those that the cache answered, those that were one too many.
struct ResolverCounters {
  std::uint64_t questions = 0, cached = 0, too_many = 0;
  std::uint64_t data = 0, no_data = 0, no_such_name = 0, servfail = 0, refused = 0, bogus = 0, timed_out = 0;
};

/// DNS of one core: libunbound, driven by the core's ring, no thread of its own. Every question ends in an
/// Answer that says how it ended. Equal questions under way are one query. Its core's thread only.
///
/// libunbound writes to TCP sockets by itself: the process must ignore SIGPIPE.
class Resolver {
 public:
  /// On the core's thread. The error is a sentence that names the setting libunbound refused.
  static std::expected<std::unique_ptr<Resolver>, std::string> create(const ResolverOptions& options);
  /// close() must have finished.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// A question about DNS for a name in normal form (anything else is answered `refused`). Finished by the
  /// deadline: then timed_out, while the query goes on and warms the cache. Does not suspend when the cache
  /// knows the answer.
  reactor::Task<filters::Answer> ask(filters::Question question, reactor::Deadline deadline);
  /// Ends everything under way (servfail) and frees libunbound. Every ask() has its answer when this returns;
  /// later ones are answered servfail at once.
  reactor::Task<void> close();

  const ResolverCounters& counters() const;

 private:
  class Impl;
  explicit Resolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::dns
