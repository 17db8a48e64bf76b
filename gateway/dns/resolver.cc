#include "gateway/dns/resolver.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <unbound-event.h>
#include <unbound.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "gateway/dns/event_loop.h"
#include "gateway/dns/packet.h"
#include "gateway/reactor/check.h"
#include "gateway/reactor/loop.h"
#include "gateway/reactor/scope.h"
#include "gateway/reactor/socket.h"

namespace postern::dns {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::Question;

/// libunbound answers these by itself; a gateway inside a company, and every test, needs them asked.
constexpr std::array kLocalZones = {"localhost.",
                                    "test.",
                                    "example.",
                                    "invalid.",
                                    "onion.",
                                    "home.arpa.",
                                    "127.in-addr.arpa.",
                                    "254.169.in-addr.arpa.",
                                    "2.0.192.in-addr.arpa.",
                                    "100.51.198.in-addr.arpa.",
                                    "113.0.203.in-addr.arpa.",
                                    "255.255.255.255.in-addr.arpa.",
                                    "0.in-addr.arpa.",
                                    "8.b.d.0.1.0.0.2.ip6.arpa."};

/// The root's keys as IANA publishes them: the one in use since 2017 and its successor.
constexpr std::array kRootAnchors = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"};

/// "IP:PORT" in libunbound's form.
std::expected<std::string, std::string> forwarder(const std::string& text) {
  if (auto ip = filters::Ip::parse(text)) return ip->text();
  const auto address = reactor::Address::parse(text);
  if (!address || address->is_unix() || address->ip.empty())
    return std::unexpected(fmt::format("dns.resolvers: '{}' is no IP:PORT", text));
  return address->port == 0 ? address->ip.text() : fmt::format("{}@{}", address->ip.text(), address->port);
}

}  // namespace

class Resolver::Impl {
  /// One ub_resolve_event() under way. Freed by the asker, or, when the asker has gone on without it, by the callback.
  struct Request final : reactor::Timer {
    Request(Impl& impl, filters::QuestionKind asked) : owner(impl), kind(asked) {}

    void finish(Answer result) {
      answer = std::move(result);
      finished = true;
      reactor::Reactor::current().impl().timers().cancel(*this);
      resume();
    }
    auto wait(reactor::Deadline deadline) {
      struct Awaiter {
        Request& request;
        reactor::Deadline deadline;
        bool await_ready() const noexcept { return request.finished; }
        void await_suspend(std::coroutine_handle<> task) {
          request.waiter = task;
          reactor::Reactor::current().impl().timers().arm(request, deadline);
        }
        void await_resume() const noexcept {}
      };
      return Awaiter{*this, deadline};
    }
    void expired() noexcept override { resume(); }
    void resume() noexcept {
      if (waiter) reactor::make_ready(std::exchange(waiter, {}));
    }

    Impl& owner;
    filters::QuestionKind kind;
    Answer answer;
    bool finished = false, abandoned = false;
    std::coroutine_handle<> waiter;
  };

 public:
  explicit Impl(std::size_t questions_max)
      : loop_(reactor::Reactor::current()), questions_max_(questions_max) {}
  ~Impl() { POSTERN_CHECK(context_ == nullptr); }

  std::expected<void, std::string> configure(const ResolverOptions& options) {
    context_ = ub_ctx_create_ub_event(loop_.base());
    if (context_ == nullptr) return std::unexpected("libunbound: out of memory");
    const bool validating = options.dnssec == Dnssec::validate;
    const std::string messages = std::to_string(options.cache_octets / 3),
                      sets = std::to_string(options.cache_octets * 2 / 3);
    const std::string stale = std::to_string(options.stale_max.count());
    const std::string under_way = std::to_string(options.questions_max);
    const std::pair<const char*, std::string> settings[] = {
        {"verbosity:", "0"},
        {"use-syslog:", "no"},
        {"module-config:", validating ? "validator iterator" : "iterator"},
        {"do-not-query-localhost:", "no"},
        {"unblock-lan-zones:", "yes"},
        {"insecure-lan-zones:", "yes"},
        {"msg-cache-size:", messages},
        {"rrset-cache-size:", sets},
        {"cache-max-negative-ttl:", "900"},
        {"serve-expired:", "yes"},
        {"serve-expired-ttl:", stale},
        {"serve-expired-client-timeout:", "1800"},  // RFC 8767 §5
        {"num-queries-per-thread:", under_way},
        {"outgoing-range:", "1024"},
        {"edns-buffer-size:", "1232"},
        {"prefetch:", "yes"},
        {"harden-glue:", "yes"},
        {"qname-minimisation:", "yes"},
    };
    for (const auto& [name, value] : settings)
      if (auto set = set_option(name, value); !set) return set;
    for (const char* zone : kLocalZones)
      if (auto set = set_option("local-zone:", fmt::format("{} nodefault", zone)); !set) return set;
    if (!options.root_hints.empty())
      if (auto set = set_option("root-hints:", options.root_hints); !set) return set;
    if (validating) {
      std::vector<std::string> anchors = options.trust_anchors;
      if (anchors.empty()) anchors.assign(kRootAnchors.begin(), kRootAnchors.end());
      for (const std::string& anchor : anchors)
        if (const int code = ub_ctx_add_ta(context_, anchor.c_str()); code != 0)
          return std::unexpected(fmt::format("libunbound: trust anchor '{}': {}", anchor, ub_strerror(code)));
    }
    for (const std::string& text : options.resolvers) {
      const auto address = forwarder(text);
      if (!address) return std::unexpected(address.error());
      if (const int code = ub_ctx_set_fwd(context_, address->c_str()); code != 0)
        return std::unexpected(fmt::format("dns.resolvers: '{}': {}", text, ub_strerror(code)));
    }
    scope_.spawn(loop_.pump());
    return {};
  }

  reactor::Task<Answer> ask(Question question, reactor::Deadline deadline) {
    const auto started = reactor::Clock::now();
    Answer answer;
    answer.status = AnswerStatus::servfail;
    ++counters_.questions;
    const std::uint16_t type = type_of(question.kind);
    if (type == 0) {
      answer.status = AnswerStatus::refused;
    } else if (under_way_.size() >= questions_max_ || context_ == nullptr) {
      ++counters_.too_many;
    } else {
      auto* request = new Request(*this, question.kind);
      under_way_.insert(request);
      const std::string name = presentation(question.name);
      int id = 0;
      const int code =
          ub_resolve_event(context_, name.c_str(), type, ns_c_in, request, &Impl::called_back, &id);
      if (code != 0) {
        drop(request);
      } else {
        if (request->finished) ++counters_.cached;
        if (!request->finished) co_await request->wait(deadline);
        if (request->finished) {
          answer = std::move(request->answer);
          drop(request);
        } else {
          request->abandoned = true;  // called_back() frees it
          answer.status = AnswerStatus::timed_out;
        }
      }
    }
    count(answer.status);
    answer.took = std::chrono::duration_cast<std::chrono::microseconds>(reactor::Clock::now() - started);
    answer.asked_at = reactor::Reactor::current().now_utc();
    co_return answer;
  }

  reactor::Task<void> close() {
    if (context_ == nullptr) co_return;
    ub_ctx* const context = std::exchange(context_, nullptr);
    ub_ctx_delete(context);  // frees every event; nobody is called back any more
    const auto left = under_way_;
    for (Request* request : left) {
      if (request->abandoned) {
        drop(request);
      } else {
        request->finish({.status = AnswerStatus::servfail,
                         .records = {},
                         .ttl = {},
                         .secure = false,
                         .took = {},
                         .asked_at = {}});
      }
    }
    loop_.stop();
    co_await scope_.join();
  }

  /// After configure() failed: nothing has been asked yet.
  void abandon_configuration() {
    if (context_ != nullptr) ub_ctx_delete(std::exchange(context_, nullptr));
  }

  const ResolverCounters& counters() const { return counters_; }

 private:
  static void called_back(void* data, int rcode, void* packet, int size, int security, char* why_bogus, int) {
    auto* request = static_cast<Request*>(data);
    (void)why_bogus;
    if (request->abandoned) return request->owner.drop(request);
    Answer answer;
    answer.status = AnswerStatus::servfail;
    constexpr int kBogus = 1, kSecure = 2;
    if (security == kBogus) {
      answer.status = AnswerStatus::bogus;
    } else if (packet != nullptr && size > 0) {
      answer = read_packet({static_cast<const unsigned char*>(packet), static_cast<std::size_t>(size)},
                           request->kind);
      answer.secure = security == kSecure;
    } else if (rcode == ns_r_refused) {
      answer.status = AnswerStatus::refused;
    } else if (rcode == ns_r_nxdomain) {
      answer.status = AnswerStatus::no_such_name;
    }
    request->finish(std::move(answer));
  }

  void drop(Request* request) {
    under_way_.erase(request);
    delete request;
  }

  std::expected<void, std::string> set_option(const char* name, const std::string& value) {
    const int code = ub_ctx_set_option(context_, name, value.c_str());
    if (code == 0) return {};
    return std::unexpected(fmt::format("libunbound: {} {}: {}", name, value, ub_strerror(code)));
  }

  void count(AnswerStatus status) {
    switch (status) {
      case AnswerStatus::data:
        ++counters_.data;
        break;
      case AnswerStatus::no_data:
        ++counters_.no_data;
        break;
      case AnswerStatus::no_such_name:
        ++counters_.no_such_name;
        break;
      case AnswerStatus::servfail:
        ++counters_.servfail;
        break;
      case AnswerStatus::refused:
        ++counters_.refused;
        break;
      case AnswerStatus::bogus:
        ++counters_.bogus;
        break;
      case AnswerStatus::timed_out:
        ++counters_.timed_out;
        break;
    }
  }

  EventLoop loop_;
  reactor::Scope scope_;
  const std::size_t questions_max_;
  ub_ctx* context_ = nullptr;
  std::unordered_set<Request*> under_way_;
  ResolverCounters counters_;
};

std::expected<std::unique_ptr<Resolver>, std::string> Resolver::create(const ResolverOptions& options) {
  auto impl = std::make_unique<Impl>(options.questions_max);
  auto configured = impl->configure(options);
  if (!configured) {
    impl->abandon_configuration();
    return std::unexpected(std::move(configured.error()));
  }
  return std::unique_ptr<Resolver>(new Resolver(std::move(impl)));
}

Resolver::Resolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::~Resolver() = default;
reactor::Task<Answer> Resolver::ask(Question question, reactor::Deadline deadline) {
  return impl_->ask(std::move(question), deadline);
}
reactor::Task<void> Resolver::close() {
  return impl_->close();
}
const ResolverCounters& Resolver::counters() const {
  return impl_->counters();
}

}  // namespace postern::dns
