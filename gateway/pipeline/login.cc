#include "gateway/pipeline/login.h"

#include <openssl/rand.h>

#include <array>
#include <utility>

#include "filters/authentication/crypto/base64.h"
#include "gateway/pipeline/credentials.h"

namespace postern::pipeline {
namespace {

namespace sasl = smtp::sasl;

constexpr std::size_t kNonceOctets = 18;

smtp::Reply not_now() {  // RFC 4954 §6
  return {.code = 454, .enhanced = "4.7.0", .text = "Temporary authentication failure, try again later"};
}

/// The account of a user name; empty: none. A name without a domain is nobody.
std::string account_of(const std::string& user, const Snapshot& snapshot) {
  auto mailbox = smtp::parse_mailbox(user, true);
  if (!mailbox) return {};
  smtp::Path path;
  path.mailbox = std::move(*mailbox);
  Resolution found = snapshot.directory.resolve(path);
  return found.kind == Resolution::Kind::mailbox ? std::move(found.mailbox) : std::string();
}

std::string fresh_nonce() {
  std::array<unsigned char, kNonceOctets> octets{};
  if (RAND_bytes(octets.data(), static_cast<int>(octets.size())) != 1) return {};
  return filters::crypto::encode_base64({reinterpret_cast<const char*>(octets.data()), octets.size()});
}

}  // namespace

reactor::Task<smtp::Decision> Login::step(const smtp::AuthInput& input,
                                          std::shared_ptr<const Snapshot> snapshot) {
  std::optional<std::string> message;
  if (input.base64) {
    message = filters::crypto::decode_base64(*input.base64);
    if (!message) {
      exchange_.reset();
      co_return refuse({.code = 501, .enhanced = "5.5.2", .text = "The response is no base64"}, "no base64");
    }
  }
  sasl::Step next = sasl::Refused{.malformed = true};
  if (input.begins) {
    if (core_.services.snapshots.logins.is_throttled(arrival_.client.ip, {},
                                                     snapshot->config.submission.password_failures_max,
                                                     reactor::Reactor::current().now()))
      co_return refuse(not_now(), "too many failures from this network");
    const auto mechanism = sasl::mechanism_of(input.mechanism);
    const std::string nonce = fresh_nonce();
    if (!mechanism || nonce.empty()) co_return refuse(not_now(), "no mechanism");
    exchange_.emplace(*mechanism, nonce);
    next = exchange_->begin(message);
  } else if (exchange_) {
    next = exchange_->respond(message.value_or(std::string()));
  }
  auto decision = co_await go_on(std::move(next), *snapshot);
  co_return decision;
}

reactor::Task<smtp::Decision> Login::go_on(sasl::Step step, const Snapshot& snapshot) {
  if (const auto* name = std::get_if<sasl::LookUp>(&step)) {
    const std::string user = name->user;
    step = look_up(user, snapshot);
  }
  if (const auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    co_return smtp::Decision{
        .reply = {.code = 334, .enhanced = {}, .text = filters::crypto::encode_base64(challenge->octets)}};
  }
  if (auto* given = std::get_if<sasl::CheckPassword>(&step)) {
    auto decision = co_await check_password(std::move(*given), snapshot);
    co_return decision;
  }
  exchange_.reset();
  if (std::holds_alternative<sasl::Proved>(step)) co_return welcome(proving_);
  const auto* refused = std::get_if<sasl::Refused>(&step);
  if (refused != nullptr && refused->malformed)
    co_return refuse({.code = 501, .enhanced = "5.5.2", .text = "No message of this mechanism"}, "malformed");
  co_return fail(proving_);
}

sasl::Step Login::look_up(const std::string& user, const Snapshot& snapshot) {
  proving_ = account_of(user, snapshot);
  const Credential* kept = proving_.empty() ? nullptr : snapshot.credentials->find(proving_);
  const bool throttled = core_.services.snapshots.logins.is_throttled(
      arrival_.client.ip, proving_, snapshot.config.submission.password_failures_max,
      reactor::Reactor::current().now());
  if (kept == nullptr || !kept->scram || throttled)
    return exchange_->found(sasl::decoy_scram(user, snapshot.credentials->server_secret()));
  return exchange_->found(*kept->scram);
}

reactor::Task<smtp::Decision> Login::check_password(sasl::CheckPassword given, const Snapshot& snapshot) {
  exchange_.reset();
  LoginGuard& guard = core_.services.snapshots.logins;
  const std::string account = account_of(given.user, snapshot);
  if (guard.is_throttled(arrival_.client.ip, account, snapshot.config.submission.password_failures_max,
                         reactor::Reactor::current().now()))
    co_return refuse(not_now(), "too many failures");
  if (!guard.begin_check()) co_return refuse(not_now(), "too many at once");
  const Credential* kept = account.empty() ? nullptr : snapshot.credentials->find(account);
  // Somebody unknown costs the same time as somebody known.
  const std::string scrypt = kept == nullptr ? std::string() : kept->scrypt;
  bool fits = false;
  auto work = [&fits, &scrypt, &given] { fits = sasl::check_scrypt(scrypt, given.password); };
  const auto done = co_await core_.services.workers.run(std::move(work));
  guard.end_check();
  if (!done) co_return refuse(not_now(), "the workers are busy");
  co_return fits ? welcome(account) : fail(account);
}

smtp::Decision Login::welcome(const std::string& account) {
  account_ = account;
  core_.services.snapshots.logins.succeeded(account);
  return {.reply = {.code = 235, .enhanced = "2.7.0", .text = "Authenticated"}};
}

smtp::Decision Login::fail(const std::string& account) {
  core_.services.snapshots.logins.failed(arrival_.client.ip, account, reactor::Reactor::current().now());
  smtp::Decision decision =
      refuse({.code = 535, .enhanced = "5.7.8", .text = "Wrong user name or password"}, "wrong password");
  if (++failures_ >= kFailuresMax) decision.close = true;
  return decision;
}

smtp::Decision Login::refuse(smtp::Reply reply, std::string_view why) {
  core_.services.logger.write(log::Line(log::Level::info, "login_failed")
                                  .field("sid", arrival_.session_id)
                                  .field("client", arrival_.client.ip.text())
                                  .field("code", static_cast<std::uint64_t>(reply.code))
                                  .field("reason", why));
  return {.reply = std::move(reply)};
}

}  // namespace postern::pipeline
