// AUTH: RFC 4954. The session keeps the lines apart and the order; what the mechanisms mean is the driver's business.
#include <algorithm>
#include <utility>

#include "gateway/smtp/session.h"

namespace postern::smtp {
namespace {

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool is_base64(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
  });
}

/// Whether `word` is one of the words of `list`.
bool is_listed(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t blank = std::min(list.find(' '), list.size());
    if (std::ranges::equal(list.substr(0, blank), word, {}, {}, upper)) return true;
    list.remove_prefix(std::min(list.size(), blank + 1));
  }
  return false;
}

}  // namespace

/// §4. The argument holds a secret: nothing of it behind the mechanism gets into the log.
void Session::on_auth(std::string_view argument, std::string_view line) {
  current_line_ = line.substr(0, std::min<std::size_t>(line.size(), 4));
  if (options_.auth_mechanisms.empty()) return say(replies::kNoAuth);
  if (!tls_active_) return say(replies::kAuthNeedsTls);
  if (!extended_) return say(lmtp() ? replies::kSayLhloFirst : replies::kSayHelloFirst);
  if (authenticated_) return say(replies::kAuthTwice);
  if (progress_ != Progress::none) return say(replies::kAuthInTransaction);

  const std::size_t blank = std::min(argument.find(' '), argument.size());
  const std::string_view mechanism = argument.substr(0, blank);
  std::string_view initial = argument.substr(blank);
  initial.remove_prefix(std::min(initial.size(), initial.find_first_not_of(' ')));
  if (mechanism.empty()) return say(replies::kAuthArguments);
  if (!is_listed(options_.auth_mechanisms, mechanism)) return say(replies::kAuthUnknown);
  if (initial.find_first_of(" \t") != std::string_view::npos) return say(replies::kAuthArguments);
  if (!is_base64(initial)) return say(replies::kAuthBadLine);

  pending_auth_ = {.mechanism = std::string(mechanism), .begins = true, .base64 = std::nullopt};
  // "=" is an initial response of no octets.
  if (!initial.empty()) pending_auth_.base64 = initial == "=" ? std::string() : std::string(initial);
  ask(Stage::auth, current_line_);
}

/// The answer to a challenge, or "*": the client gives up.
void Session::on_auth_line(std::string_view line, bool bare) {
  phase_ = Phase::command;
  verb_ = Verb::auth;
  current_line_ = "AUTH";
  if (bare && options_.bare_line_endings == BareLineEndings::reject) {
    after_bare_line_feed_ = true;
    say(replies::kBareLineFeed);
  } else if (line == "*") {
    say(replies::kAuthCancelled);
  } else if (!is_base64(line)) {
    say(replies::kAuthBadLine);
  } else {
    pending_auth_.begins = false;
    pending_auth_.base64 = std::string(line);
    ask(Stage::auth, current_line_);
  }
  current_line_ = {};
}

void Session::decide_auth(const Reply& reply) {
  if (reply.code == 334) {  // the blank stands there even when nothing follows
    const std::size_t before = output_.size();
    out().append("334 ").append(reply.text).append("\r\n");
    tell(std::string_view(output_).substr(before));
    phase_ = Phase::auth;
    return;
  }
  pending_auth_ = {};
  authenticated_ = reply.code == 235;
  if (authenticated_) {
    idle_commands_ = 0;
    say_positive(reply, replies::kAuthDone);
  } else {
    say(reply);
  }
}

}  // namespace postern::smtp
