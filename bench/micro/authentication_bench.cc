// What does it cost to know who sent a message? Answers are there already; `allocations` counts operator new per evaluation.
//   spf/…            one evaluation: a plain record, one through two includes and an mx, one that fails at the tenth term
//   dkim_rsa2048/N   verification of a signed message of N octets, analysis not included; `against openssl` is the time over what
//                    OpenSSL's own verify and SHA-256 over the same octets take
//   body_hash/…      the running hash of a body in canonical form
//   dmarc            evaluation with a record, two identifiers
//   fact             one look-up in Facts
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "filters/authentication/crypto/digest.h"
#include "filters/authentication/crypto/public_key.h"
#include "filters/authentication/dkim/body_hash.h"
#include "filters/authentication/dkim/sign.h"
#include "filters/authentication/dkim/verify.h"
#include "filters/authentication/dmarc/evaluation.h"
#include "filters/authentication/spf/check_host.h"
#include "filters/dns.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace postern::filters {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1'790'000'000)};

/// Counts what happens between its birth and its end, per iteration.
class Allocations {
 public:
  explicit Allocations(benchmark::State& state) : state_(state), before_(allocations.load()) {}
  ~Allocations() {
    state_.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations.load() - before_),
                                                        benchmark::Counter::kAvgIterations);
  }

 private:
  benchmark::State& state_;
  std::uint64_t before_;
};

void know(Facts& facts, const Question& question, std::vector<std::string> records) {
  facts.answer(question, {.status = records.empty() ? AnswerStatus::no_such_name : AnswerStatus::data,
                          .records = std::move(records)});
}

void evaluate_spf(benchmark::State& state, const Facts& known, std::string_view domain, spf::Result wanted) {
  Facts facts = known;
  const std::string sender = fmt::format("someone@{}", domain);
  const spf::Identity identity{.ip = *Ip::parse("192.0.2.77"),
                               .domain = domain,
                               .sender = sender,
                               .helo = "mail.client.test",
                               .receiver = "mx.test",
                               .now = kNow};
  const Allocations counted(state);
  for (auto _ : state) {
    const auto outcome = spf::check_host(identity, facts);
    if (!outcome || outcome->result != wanted) return state.SkipWithError("another result");
    benchmark::DoNotOptimize(outcome);
  }
}

void spf_plain(benchmark::State& state) {
  Facts facts;
  know(facts, dns::txt("plain.test"), {"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 -all"});
  evaluate_spf(state, facts, "plain.test", spf::Result::pass);
}
BENCHMARK(spf_plain)->Name("spf/plain");

/// As a company with two mail providers publishes it.
void spf_includes(benchmark::State& state) {
  Facts facts;
  know(facts, dns::txt("company.test"),
       {"other verification record", "v=spf1 mx include:one.provider.test include:two.provider.test ~all"});
  know(facts, dns::mx("company.test"), {"10 mx1.company.test", "20 mx2.company.test"});
  know(facts, dns::a("mx1.company.test"), {"203.0.113.1"});
  know(facts, dns::a("mx2.company.test"), {"203.0.113.2"});
  std::string networks = "v=spf1";
  for (int i = 0; i < 20; ++i) networks += fmt::format(" ip4:198.51.{}.0/24", 100 + i);
  know(facts, dns::txt("one.provider.test"), {networks + " ~all"});
  know(facts, dns::txt("two.provider.test"), {"v=spf1 ip4:192.0.2.64/26 ~all"});
  evaluate_spf(state, facts, "company.test", spf::Result::pass);
}
BENCHMARK(spf_includes)->Name("spf/includes");

void spf_ten_terms(benchmark::State& state) {
  Facts facts;
  std::string record = "v=spf1";
  for (int i = 0; i < 10; ++i) {
    record += fmt::format(" a:h{}.long.test", i);
    know(facts, dns::a(fmt::format("h{}.long.test", i)), {fmt::format("198.51.100.{}", i)});
  }
  know(facts, dns::txt("long.test"), {record + " -all"});
  evaluate_spf(state, facts, "long.test", spf::Result::fail);
}
BENCHMARK(spf_ten_terms)->Name("spf/ten_terms");

std::string message_of(std::size_t octets) {
  std::string message =
      "From: Ann <ann@a.test>\r\nTo: Bob <bob@b.test>\r\nSubject: minutes of  yesterday\r\n"
      "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@a.test>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n\r\n";
  while (message.size() < octets)
    message += "The quick brown fox jumps over the lazy dog, again and again, and  never tires.\r\n";
  return message;
}

/// OpenSSL's own verification of a signature over `octets`, hash included: what nobody can do without.
double openssl_seconds(crypto::KeyType type, std::size_t octets) {
  const bool rsa = type == crypto::KeyType::rsa;
  EVP_PKEY* key = rsa ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048})
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  const std::string text(octets, 'x');
  const std::string digest = crypto::digest(crypto::Algorithm::sha256, text);
  const auto* const data = reinterpret_cast<const unsigned char*>(digest.data());
  unsigned char signature[512];
  std::size_t size = sizeof signature;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestSignInit(context, nullptr, rsa ? EVP_sha256() : nullptr, nullptr, key);
  EVP_DigestSign(context, signature, &size, data, digest.size());
  EVP_MD_CTX_free(context);
  constexpr int kRounds = 400;
  bool good = true;
  const auto start = steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int hash_size = 0;
    EVP_Digest(text.data(), text.size(), hash, &hash_size, EVP_sha256(), nullptr);
    context = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(context, nullptr, rsa ? EVP_sha256() : nullptr, nullptr, key);
    good = good && EVP_DigestVerify(context, signature, size, data, digest.size()) == 1;
    EVP_MD_CTX_free(context);
  }
  const std::chrono::duration<double> took = steady_clock::now() - start;
  EVP_PKEY_free(key);
  return good ? took.count() / kRounds : 0;
}

void verify_dkim(benchmark::State& state, crypto::KeyType type) {
  const auto octets = static_cast<std::size_t>(state.range(0));
  const auto key = *crypto::PrivateKey::generate(type);
  dkim::SigningRules rules;
  rules.domain = "a.test";
  rules.selector = "k";
  const std::string plain = message_of(octets);
  const std::string message = *dkim::sign(Analysis::of(plain), rules, *key, kNow) + plain;
  const Analysis analysis = Analysis::of(message);
  Facts facts;
  know(facts, dns::txt("k._domainkey.a.test"), {dkim::key_record(*key)});
  const double own = openssl_seconds(type, octets);
  const auto start = steady_clock::now();
  {
    const Allocations counted(state);
    for (auto _ : state) {
      dkim::Verifier verifier(analysis);
      const auto results = verifier.verify(facts, kNow);
      if (!results || results->front().result != dkim::Result::pass) return state.SkipWithError("no pass");
      benchmark::DoNotOptimize(results);
    }
  }
  const std::chrono::duration<double> took = steady_clock::now() - start;
  state.counters["against_openssl"] = took.count() / static_cast<double>(state.iterations()) / own;
  state.SetBytesProcessed(static_cast<std::int64_t>(octets) * state.iterations());
}

void dkim_rsa(benchmark::State& state) {
  verify_dkim(state, crypto::KeyType::rsa);
}
BENCHMARK(dkim_rsa)->Name("dkim_rsa2048")->Arg(4096)->Arg(65536)->Arg(1 << 20);

void dkim_ed25519(benchmark::State& state) {
  verify_dkim(state, crypto::KeyType::ed25519);
}
BENCHMARK(dkim_ed25519)->Arg(4096)->Arg(65536);

void hash_body(benchmark::State& state, dkim::Canonical canonical) {
  const std::string body = message_of(static_cast<std::size_t>(state.range(0)));
  const Allocations counted(state);
  for (auto _ : state) {
    dkim::BodyHash hash(canonical, crypto::Algorithm::sha256);
    hash.update(body);
    benchmark::DoNotOptimize(hash.finish());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}

void body_hash_simple(benchmark::State& state) {
  hash_body(state, dkim::Canonical::simple);
}
BENCHMARK(body_hash_simple)->Name("body_hash/simple")->Arg(4096)->Arg(65536)->Arg(1 << 20);

void body_hash_relaxed(benchmark::State& state) {
  hash_body(state, dkim::Canonical::relaxed);
}
BENCHMARK(body_hash_relaxed)->Name("body_hash/relaxed")->Arg(4096)->Arg(65536)->Arg(1 << 20);

/// What the two above cannot be faster than.
void sha256(benchmark::State& state) {
  const std::string body = message_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crypto::digest(crypto::Algorithm::sha256, body));
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}
BENCHMARK(sha256)->Arg(4096)->Arg(65536)->Arg(1 << 20);

void dmarc_evaluation(benchmark::State& state) {
  Facts facts;
  know(facts, dns::txt("_dmarc.mail.company.test"), {});
  know(facts, dns::txt("_dmarc.company.test"), {"v=DMARC1; p=reject; rua=mailto:reports@company.test"});
  know(facts, dns::txt("_dmarc.test"), {});
  know(facts, dns::txt("_dmarc.bounce.company.test"), {});
  const std::string_view signers[] = {"company.test"};
  const Allocations counted(state);
  for (auto _ : state) {
    const auto outcome =
        dmarc::evaluate("mail.company.test", {.spf = "bounce.company.test", .dkim = signers}, facts);
    if (!outcome || outcome->result != dmarc::Result::pass) return state.SkipWithError("no pass");
    benchmark::DoNotOptimize(outcome);
  }
}
BENCHMARK(dmarc_evaluation)->Name("dmarc");

/// Among as many others as a message with everything has.
void fact(benchmark::State& state) {
  Facts facts;
  for (int i = 0; i < 40; ++i) know(facts, dns::txt(fmt::format("name{}.company.test", i)), {"text"});
  const Question question = dns::txt("name17.company.test");
  const Allocations counted(state);
  for (auto _ : state) benchmark::DoNotOptimize(facts.ask(question));
}
BENCHMARK(fact);

}  // namespace
}  // namespace postern::filters
