#include "gateway/classifier/own_trace.h"

#include "filters/authentication/results/field.h"
#include "filters/bayes/check.h"
#include "filters/message/analysis.h"
#include "filters/message/content_field.h"

namespace postern::classifier {
namespace {

bool is_by(std::string_view received, std::string_view hostname) {
  const std::string text = filters::to_lower(filters::Analysis::unfolded(received));
  const std::string by = " by " + filters::to_lower(hostname);
  const std::size_t at = text.find(by);
  if (at == std::string::npos) return text.starts_with(by.substr(1) + " ");
  const std::size_t end = at + by.size();
  return end == text.size() || text[end] == ' ' || text[end] == ';';
}

}  // namespace

Untraced split_own_trace(std::string_view message, std::string_view hostname) {
  Untraced own{.message = message, .facts = {}};
  if (hostname.empty()) return own;
  const filters::Analysis analysis = filters::Analysis::of(message);
  std::vector<std::string> facts;
  for (const filters::HeaderField& field : analysis.fields()) {
    const std::string name = filters::to_lower(field.name);
    if (name == "received") {
      if (!is_by(field.value, hostname)) return own;
      own.message.remove_prefix(
          static_cast<std::size_t>(field.raw.data() + field.raw.size() - message.data()));
      own.facts = std::move(facts);
      return own;
    }
    if (name == "authentication-results") {
      const auto results = filters::results::parse(filters::Analysis::unfolded(field.value));
      if (!results || filters::to_lower(results->authserv_id) != filters::to_lower(hostname)) return own;
      facts = filters::bayes::facts_of(results->results);
    } else if (name != "return-path" && !name.starts_with("x-spam-")) {
      return own;
    }
  }
  return own;
}

}  // namespace postern::classifier
