#include "filters/bayes/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "filters/bayes/extract.h"

namespace postern::filters::bayes {
namespace {

constexpr std::string_view kJoint = "; ";
constexpr std::size_t kFactOctetsMax = 120;
constexpr std::size_t kEvidenceShown = 4;  // tokens of each side in a sentence

/// Tokens come from strangers: what is no plain text shows as '?'.
std::string shown(std::string_view token) {
  std::string text;
  for (const char c : token) text += static_cast<unsigned char>(c) < ' ' || c == 127 ? '?' : c;
  return text;
}

std::string sentence(const Opinion& opinion, const std::vector<Evidence>& evidence, bool truncated) {
  std::string text = fmt::format("log-odds {:.2f}", opinion.log_odds);
  for (const bool spam : {true, false}) {
    std::size_t left = kEvidenceShown;
    for (const Evidence& one : evidence) {
      if (one.log_odds > 0 != spam || left == 0) continue;
      text += left == kEvidenceShown ? (spam ? "; for: " : "; against: ") : ", ";
      text += shown(one.token);
      --left;
    }
  }
  if (truncated) text += "; not all of it was looked at";
  return text;
}

double score_of(double log_odds, const BayesPolicy& policy) {
  const double sure = std::abs(log_odds) - policy.unsure_log_odds;
  const double range = policy.certain_log_odds - policy.unsure_log_odds;
  const double share = range > 0 ? std::clamp(sure / range, 0.0, 1.0) : (sure > 0 ? 1.0 : 0.0);
  const double score = share * (log_odds > 0 ? policy.spam_score : policy.ham_score);
  return std::round(score * 100) / 100;
}

}  // namespace

std::vector<std::string> facts_of(const std::vector<results::MethodResult>& authentication) {
  std::vector<std::string> facts;
  const auto add = [&facts](std::string fact) {
    if (facts.size() == Extractor::kFactsMax || fact.size() > kFactOctetsMax ||
        fact.find(kJoint) != std::string::npos || std::ranges::find(facts, fact) != facts.end())
      return;
    facts.push_back(std::move(fact));
  };
  for (const results::MethodResult& method : authentication) {
    std::string fact = method.method + "=" + method.result;
    add(fact);
    for (const auto& [name, value] : method.properties)
      if (name == "header.d" || name == "header.from" || name == "smtp.mailfrom")
        add(fmt::format("{} {}", fact, value.substr(value.rfind('@') + 1)));
  }
  return facts;
}

Question question_of(const std::vector<std::string>& facts) {
  Question question{.kind = QuestionKind::classification, .name = {}};
  for (const std::string& fact : facts) {
    if (!question.name.empty()) question.name += kJoint;
    question.name += fact;
  }
  return question;
}

std::vector<std::string> facts_in(const Question& question) {
  std::vector<std::string> facts;
  for (std::string_view rest = question.name; !rest.empty();) {
    const std::size_t end = std::min(rest.find(kJoint), rest.size());
    facts.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + kJoint.size(), rest.size()));
  }
  return facts;
}

Answer answer_of(const Opinion& opinion, const std::vector<Evidence>& evidence, bool truncated) {
  if (!opinion.trained) return {.status = AnswerStatus::no_data};
  return {.status = AnswerStatus::data,
          .records = {fmt::format("{}", opinion.log_odds), sentence(opinion, evidence, truncated)}};
}

Progress check_bayes(Stage stage, const Policy& policy,
                     const std::vector<results::MethodResult>& authentication, Facts& facts,
                     Findings& findings) {
  if (stage != Stage::data || !policy.bayes.enabled) return Progress::done;
  const Answer* const answer = facts.ask(question_of(facts_of(authentication)));
  if (answer == nullptr) return Progress::pending;
  if (answer->failed()) {
    findings.unknown.push_back(fmt::format("bayes: {}", to_string(answer->status)));
    findings.relief += std::max(0.0, -policy.bayes.ham_score);
    return Progress::done;
  }
  if (answer->status != AnswerStatus::data || answer->records.empty()) return Progress::done;
  const std::string& text = answer->records.front();
  double log_odds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), log_odds);
  if (error != std::errc() || end != text.data() + text.size()) return Progress::done;
  findings.found.push_back({.name = "BAYES",
                            .score = score_of(log_odds, policy.bayes),
                            .evidence = answer->records.size() > 1 ? answer->records[1] : std::string()});
  return Progress::done;
}

}  // namespace postern::filters::bayes
