#include "gateway/dns/resolver.h"

#include <arpa/nameser.h>
#include <fmt/format.h>
#include <unbound-event.h>
#include <unbound.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/dns.h"
#include "filters/ip.h"
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

/// libunbound answers these by itself; a gateway inside a company, and every test, needs them asked. "onion."
/// and "invalid." stay with it: they must not leave the house (RFC 7686 §2, RFC 6761 §6.4).
constexpr std::array kLocalZones = {
    "localhost.",
    "test.",
    "example.",
    "home.arpa.",
    "127.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "2.0.192.in-addr.arpa.",
    "100.51.198.in-addr.arpa.",
    "113.0.203.in-addr.arpa.",
    "255.255.255.255.in-addr.arpa.",
    "0.in-addr.arpa.",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
    "8.b.d.0.1.0.0.2.ip6.arpa.",
};
/// Answered without a query, whatever the configuration.
constexpr const char* kNameKnownLocally = "invalid.";

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
    std::size_t place = 0;  ///< in under_way_
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
    ub_ctx_debugout(context_, nullptr);  // standard error belongs to our log
    const bool validating = options.dnssec == Dnssec::validate;
    const std::string messages = std::to_string(options.cache_octets / 3),
                      sets = std::to_string(options.cache_octets * 2 / 3);
    const std::string stale = std::to_string(options.stale_max.count());
    const std::string stale_after = std::to_string(std::max<std::int64_t>(options.stale_after.count(), 1));
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
        {"serve-expired-client-timeout:", stale_after},  // RFC 8767 §5
        {"num-queries-per-thread:", under_way},
        {"outgoing-range:", "1024"},
        {"outgoing-num-tcp:", "32"},
        {"infra-keep-probing:", "yes"},  // the only forwarder there is may have been away for a while
        {"edns-buffer-size:", "1232"},
        {"prefetch:", "yes"},
        {"harden-glue:", "yes"},
        {"qname-minimisation:", "yes"},
    };
    for (const auto& [name, value] : settings)
      if (auto set = set_option(name, value); !set) return set;
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
    if (auto finalized = remove_local_zones(); !finalized) return finalized;
    if (auto set_up = try_out(); !set_up) return set_up;
    scope_.spawn(loop_.pump());
    return {};
  }

  reactor::Task<Answer> ask(Question question, reactor::Deadline deadline) {
    const auto started = reactor::Clock::now();
    Answer answer;
    answer.status = AnswerStatus::servfail;
    ++counters_.questions;
    // libunbound keeps what it could not parse until it is freed, so it must never see such a name.
    if (type_of(question.kind) == 0 || filters::dns::normal_name(question.name) != question.name) {
      answer.status = AnswerStatus::refused;
    } else if (context_ != nullptr && under_way_.size() >= questions_max_) {
      ++counters_.too_many;
    } else if (Request* const request = context_ != nullptr ? submit(question) : nullptr) {
      if (request->finished) {
        ++counters_.cached;
      } else {
        co_await request->wait(deadline);
      }
      if (request->finished) {
        answer = std::move(request->answer);
        drop(request);
      } else {
        request->abandoned = true;  // called_back() frees it
        answer.status = AnswerStatus::timed_out;
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
      } else if (!request->finished) {
        Answer ended;
        ended.status = AnswerStatus::servfail;
        request->finish(std::move(ended));
      }
    }
    loop_.stop();
    co_await scope_.join();
    POSTERN_CHECK(under_way_.empty());  // the askers were made ready before the pump, which has ended
  }

  /// After configure() failed: nothing has been asked yet.
  void abandon_configuration() {
    if (context_ != nullptr) ub_ctx_delete(std::exchange(context_, nullptr));
  }

  const ResolverCounters& counters() const { return counters_; }

 private:
  /// Null: libunbound has no memory for it. What is known already is answered inside the call.
  Request* submit(const Question& question) {
    auto* request = new Request(*this, question.kind);
    request->place = under_way_.size();
    under_way_.push_back(request);
    const std::string name = presentation(question.name);
    const int code = ub_resolve_event(context_, name.c_str(), type_of(question.kind), ns_c_in, request,
                                      &Impl::called_back, nullptr);
    if (code == 0) return request;
    drop(request);
    return nullptr;
  }

  static void called_back(void* data, int rcode, void* packet, int size, int security, char*, int) {
    auto* request = static_cast<Request*>(data);
    if (request->abandoned) return request->owner.drop(request);
    constexpr int kBogus = 1, kSecure = 2;
    Answer answer;
    answer.status = AnswerStatus::servfail;
    if (security == kBogus) {
      answer.status = AnswerStatus::bogus;
    } else if (rcode != ns_r_noerror) {
      // The buffer holds what was last written into it, which is somebody else's answer.
      if (rcode == ns_r_refused) answer.status = AnswerStatus::refused;
    } else if (packet != nullptr && size > 0) {
      const std::span octets(static_cast<const unsigned char*>(packet), static_cast<std::size_t>(size));
      answer = read_packet(octets, request->kind);
      answer.secure = security == kSecure;
    }
    request->finish(std::move(answer));
  }

  /// Nothing can be set afterwards. (As a setting, "NAME nodefault" is taken without a word and has no effect.)
  std::expected<void, std::string> remove_local_zones() {
    for (const char* zone : kLocalZones)
      if (const int code = ub_ctx_zone_remove(context_, zone); code != 0)
        return std::unexpected(fmt::format("libunbound does not take these settings: {}", ub_strerror(code)));
    return {};
  }

  /// libunbound reads the last of its settings at the first question: let that be now.
  std::expected<void, std::string> try_out() {
    bool answered = false;
    const auto note = [](void* data, int, void*, int, int, char*, int) { *static_cast<bool*>(data) = true; };
    const int code = ub_resolve_event(context_, kNameKnownLocally, ns_t_a, ns_c_in, &answered, note, nullptr);
    if (code != 0)
      return std::unexpected(
          fmt::format("libunbound does not start with these settings: {}", ub_strerror(code)));
    POSTERN_CHECK(answered);
    return {};
  }

  void drop(Request* request) {
    under_way_.back()->place = request->place;
    std::swap(under_way_[request->place], under_way_.back());
    under_way_.pop_back();
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
  std::vector<Request*> under_way_;  ///< in no order
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
