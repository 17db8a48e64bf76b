#include "gateway/smtp/server/figures.h"

#include <algorithm>

namespace postern::smtp {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view stage_of(Verb verb) {
  switch (verb) {
    case Verb::helo:
    case Verb::ehlo:
    case Verb::lhlo:
      return "helo";
    case Verb::mail:
      return "mail";
    case Verb::rcpt:
      return "rcpt";
    case Verb::data:
    case Verb::bdat:
      return "data";
    default:
      return "command";
  }
}

}  // namespace

int reply_code(std::string_view reply) {
  if (reply.size() < 3 || !std::all_of(reply.begin(), reply.begin() + 3, is_digit)) return 0;
  return (reply[0] - '0') * 100 + (reply[1] - '0') * 10 + (reply[2] - '0');
}

std::string_view subject_of(std::string_view enhanced) {
  static constexpr std::array<std::string_view, 8> kSubjects = {"other",   "address",  "mailbox", "system",
                                                                "network", "protocol", "content", "policy"};
  const bool there = enhanced.size() > 3 && is_digit(enhanced[0]) && enhanced[1] == '.' && enhanced[3] == '.';
  if (!there || !is_digit(enhanced[2])) return kSubjects[0];
  const auto subject = static_cast<std::size_t>(enhanced[2] - '0');
  return subject < kSubjects.size() ? kSubjects[subject] : kSubjects[0];
}

Figures::Figures(metrics::Registry& registry, std::string listener)
    : registry_(registry),
      listener_(std::move(listener)),
      connections_(registry.gauge("postern_smtp_connections", "Connections that are open.",
                                  {{"listener", listener_}})) {}

void Figures::ended(std::string_view result) {
  connections_.add(-1);
  auto known = std::ranges::find(sessions_, result, &std::pair<std::string, metrics::Counter*>::first);
  if (known == sessions_.end()) {
    auto& counter = registry_.counter("postern_smtp_sessions_total", "Connections that ended, by how.",
                                      {{"listener", listener_}, {"result", std::string(result)}});
    known = sessions_.emplace(sessions_.end(), result, &counter);
  }
  known->second->add();
}

void Figures::replied(Verb verb, std::string_view reply) {
  const int code = reply_code(reply);
  ByCode& by_code = commands_[static_cast<std::size_t>(verb)];
  auto known = std::ranges::find(by_code, code, &ByCode::value_type::first);
  if (known == by_code.end()) {
    const std::string_view name = verb == Verb::unknown ? "unknown" : to_string(verb);
    auto& counter = registry_.counter("postern_smtp_commands_total", "Replies to commands.",
                                      {{"verb", std::string(name)}, {"code", std::to_string(code)}});
    known = by_code.emplace(by_code.end(), code, &counter);
  }
  known->second->add();
  if (code < 400) return;
  rejected(stage_of(verb), subject_of(reply.substr(std::min<std::size_t>(reply.size(), 4))), code);
}

void Figures::rejected(std::string_view stage, std::string_view reason, int code) {
  const auto same = [&](const Reject& one) {
    return one.code == code && one.stage == stage && one.reason == reason;
  };
  auto known = std::ranges::find_if(rejects_, same);
  if (known == rejects_.end()) {
    auto& counter = registry_.counter(
        "postern_smtp_rejects_total", "Refusals, by where and why.",
        {{"stage", std::string(stage)}, {"reason", std::string(reason)}, {"code", std::to_string(code)}});
    known = rejects_.insert(rejects_.end(), {stage, reason, code, &counter});
  }
  known->counter->add();
}

}  // namespace postern::smtp
