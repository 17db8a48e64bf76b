#pragma once

#include <optional>

#include "gateway/admin/http.h"
#include "gateway/classifier/classifier.h"
#include "gateway/control/json.h"

namespace postern::control {

/// {class, log_odds, words, bayes, grams, trained, truncated, evidence: [{token, log_odds}]}.
Json to_json(const classifier::Classification& classification);
/// None: a key is missing or of another type.
std::optional<classifier::Classification> classification_from_json(const Json& json);

// Routes; each on a worker. `hostname`: ours, by which our own fields on a message are known.

/// {ham, spam, trained, table_octets}.
admin::Response classifier_figures(const classifier::Classifier& classifier);
/// Query: class=spam|ham; authority=person (default), user or automatic; reporter=NAME with user. Body: the message. Answers
/// {outcome} when it is synced.
admin::Response learn(classifier::Classifier& classifier, std::string_view hostname,
                      const admin::Request& request);
/// Query: evidence=1 where it is wanted. Body: the message.
admin::Response classify(const classifier::Classifier& classifier, std::string_view hostname,
                         const admin::Request& request);

}  // namespace postern::control
