#include "gateway/delivery/report/reason.h"

#include <algorithm>
#include <string>

namespace postern::delivery::report {
namespace {

struct ByStatus {
  std::string_view detail;  ///< the enhanced code without its class
  Reason reason;
};
/// RFC 3463 §3 and the registry of RFC 5248; the longer match first.
constexpr ByStatus kByStatus[] = {
    {".1.1", Reason::recipient_unknown},  {".1.2", Reason::recipient_unknown},
    {".1.3", Reason::recipient_unknown},  {".1.6", Reason::recipient_unknown},
    {".1.10", Reason::recipient_unknown}, {".2.1", Reason::recipient_unknown},
    {".2.2", Reason::mailbox_full},       {".2.3", Reason::too_big},
    {".3.1", Reason::server_trouble},     {".3.4", Reason::too_big},
    {".4.1", Reason::unreachable},        {".4.2", Reason::unreachable},
    {".4.3", Reason::unreachable},        {".4.4", Reason::unreachable},
    {".4.6", Reason::routing_loop},       {".6.1", Reason::unsupported},
    {".6.3", Reason::unsupported},        {".6.7", Reason::unsupported},
    {".7.1", Reason::spam_policy},        {".7.23", Reason::not_permitted},
    {".7.25", Reason::not_permitted},     {".7.26", Reason::not_permitted},
    {".7.27", Reason::not_permitted},     {".7.0", Reason::not_permitted},
};

bool holds(const std::string& text, std::string_view word) {
  return text.find(word) != std::string::npos;
}

/// What servers write that give no enhanced code, or one that says nothing.
Reason by_words(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (holds(text, "spam") || holds(text, "blocked") || holds(text, "blacklist") || holds(text, "blocklist") ||
      holds(text, "virus"))
    return Reason::spam_policy;
  if (holds(text, "quota") || holds(text, "mailbox full") || holds(text, "mailbox is full"))
    return Reason::mailbox_full;
  if (holds(text, "user unknown") || holds(text, "unknown user") || holds(text, "no such user") ||
      holds(text, "does not exist") || holds(text, "user not found") || holds(text, "no mailbox") ||
      holds(text, "invalid recipient"))
    return Reason::recipient_unknown;
  if (holds(text, "too large") || holds(text, "too big") || holds(text, "message size"))
    return Reason::too_big;
  if (holds(text, "relay") || holds(text, "denied")) return Reason::not_permitted;
  return Reason::other;
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::recipient_unknown:
      return "recipient_unknown";
    case Reason::mailbox_full:
      return "mailbox_full";
    case Reason::too_big:
      return "too_big";
    case Reason::spam_policy:
      return "spam_policy";
    case Reason::unreachable:
      return "unreachable";
    case Reason::not_permitted:
      return "not_permitted";
    case Reason::unsupported:
      return "unsupported";
    case Reason::routing_loop:
      return "routing_loop";
    case Reason::server_trouble:
      return "server_trouble";
    case Reason::other:
      break;
  }
  return "other";
}

Reason reason_of(const smtp::client::RecipientResult& result) {
  const std::string_view detail =
      std::string_view(result.enhanced).substr(std::min<std::size_t>(1, result.enhanced.size()));
  // 5.7.1 is said of everything that somebody does not want; the words tell more.
  if (detail == ".7.1") {
    const Reason words = by_words(result.text);
    return words == Reason::other ? Reason::spam_policy : words;
  }
  for (const ByStatus& row : kByStatus) {
    if (detail == row.detail) return row.reason;
  }
  if (const Reason words = by_words(result.text); words != Reason::other) return words;
  using Stage = smtp::client::AttemptStage;
  if (result.code == 0) return Reason::unreachable;
  if (result.code == 552) return Reason::too_big;
  if (result.code == 550 && result.stage == Stage::rcpt) return Reason::recipient_unknown;  // RFC 5321 §4.2.3
  if (result.code < 500) return Reason::server_trouble;
  return Reason::other;
}

std::string_view sentence(Reason reason) {
  switch (reason) {
    case Reason::recipient_unknown:
      return "The address does not exist there, or is not in use any more. Please check how it is written.";
    case Reason::mailbox_full:
      return "The recipient's mailbox is full. It may help to reach them in another way.";
    case Reason::too_big:
      return "The message is larger than the recipient's server takes.";
    case Reason::spam_policy:
      return "The recipient's server refused the message by its rules, perhaps because it took it for spam.";
    case Reason::unreachable:
      return "The recipient's server could not be reached.";
    case Reason::not_permitted:
      return "The recipient's server does not take such mail from here.";
    case Reason::unsupported:
      return "The recipient's server cannot take a message of this kind.";
    case Reason::routing_loop:
      return "The message went round in circles between servers.";
    case Reason::server_trouble:
      return "The recipient's server has trouble of its own.";
    case Reason::other:
      break;
  }
  return "The recipient's server refused the message.";
}

}  // namespace postern::delivery::report
