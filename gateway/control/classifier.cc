#include "gateway/control/classifier.h"

#include <chrono>

#include "gateway/classifier/own_trace.h"
#include "gateway/control/api.h"

namespace postern::control {

Json to_json(const classifier::Classification& classification) {
  const filters::bayes::Opinion& opinion = classification.opinion;
  Json evidence = Json::array();
  for (const auto& one : classification.evidence)
    evidence.push_back({{"token", one.token}, {"log_odds", one.log_odds}});
  return {{"class", opinion.log_odds > 0 ? "spam" : "ham"},
          {"log_odds", opinion.log_odds},
          {"words", opinion.words},
          {"bayes", opinion.bayes},
          {"grams", opinion.grams},
          {"trained", opinion.trained},
          {"truncated", classification.truncated},
          {"evidence", std::move(evidence)}};
}

std::optional<classifier::Classification> classification_from_json(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  classifier::Classification found;
  const auto number = [&json](const char* key, double& into) {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_number()) return false;
    into = at->get<double>();
    return true;
  };
  filters::bayes::Opinion& opinion = found.opinion;
  if (!number("log_odds", opinion.log_odds) || !number("words", opinion.words) ||
      !number("bayes", opinion.bayes) || !number("grams", opinion.grams))
    return std::nullopt;
  const auto trained = json.find("trained"), truncated = json.find("truncated"),
             evidence = json.find("evidence");
  if (trained == json.end() || !trained->is_boolean() || truncated == json.end() ||
      !truncated->is_boolean() || evidence == json.end() || !evidence->is_array())
    return std::nullopt;
  opinion.trained = trained->get<bool>();
  found.truncated = truncated->get<bool>();
  for (const Json& one : *evidence) {
    const bool whole = one.is_object() && one.contains("token") && one["token"].is_string() &&
                       one.contains("log_odds") && one["log_odds"].is_number();
    if (!whole) return std::nullopt;
    found.evidence.push_back(
        {.token = one["token"].get<std::string>(), .log_odds = one["log_odds"].get<double>()});
  }
  return found;
}

admin::Response classifier_figures(const classifier::Classifier& classifier) {
  const auto figures = classifier.figures();
  const Json json = {{"ham", figures.ham},
                     {"spam", figures.spam},
                     {"trained", figures.trained},
                     {"table_octets", figures.table_octets}};
  return {.status = 200, .body = dump(json) + "\n"};
}

admin::Response learn(classifier::Classifier& classifier, std::string_view hostname,
                      const admin::Request& request) {
  const std::string_view verdict = request.query_value("class");
  if (verdict != "spam" && verdict != "ham") return admin::error_response(400, "class: expected spam or ham");
  const std::string_view authority = request.query_value("authority");
  classifier::Lesson lesson{
      .verdict = verdict == "spam" ? classifier::Class::spam : classifier::Class::ham,
      .reporter = std::string(request.query_value("reporter")),
      .day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()),
  };
  if (authority == "user") {
    lesson.authority = classifier::Authority::user;
  } else if (authority == "automatic") {
    lesson.authority = classifier::Authority::automatic;
  } else if (!authority.empty() && authority != "person") {
    return admin::error_response(400, "authority: expected person, user or automatic");
  }
  if (lesson.authority == classifier::Authority::user && lesson.reporter.empty())
    return admin::error_response(400, "reporter: a user's report needs to say who reports");
  const auto own = classifier::split_own_trace(request.body, hostname);
  if (own.message.empty())
    return admin::error_response(400, "the body is the message to learn, and there is none");
  const auto outcome = classifier.learn(own.message, own.facts, lesson);
  if (!outcome) return store_error(outcome.error());
  if (const auto synced = classifier.sync(); !synced) return store_error(synced.error());
  const Json json = {{"outcome", filters::bayes::to_string(*outcome)}};
  return {.status = 200, .body = dump(json) + "\n"};
}

admin::Response classify(const classifier::Classifier& classifier, std::string_view hostname,
                         const admin::Request& request) {
  const auto own = classifier::split_own_trace(request.body, hostname);
  if (own.message.empty())
    return admin::error_response(400, "the body is the message to classify, and there is none");
  const bool evidence = request.query_value("evidence") == "1";
  return {.status = 200, .body = dump(to_json(classifier.classify(own.message, own.facts, evidence))) + "\n"};
}

}  // namespace postern::control
