#pragma once

#include <string>
#include <vector>

#include "filters/authentication/results/field.h"
#include "filters/bayes/model.h"
#include "filters/facts.h"
#include "filters/policy/policy.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters::bayes {

/// What was found out about the sender, as tokens for the classifier: "spf=pass", "dkim=pass", "dkim=pass example.org", …
std::vector<std::string> facts_of(const std::vector<results::MethodResult>& authentication);

/// What the classifier thinks of this message, given these facts. They are the question's name, joined with "; ", so that the same
/// question has the same answer as long as the model stays, and a record of the answer replays without the model.
Question question_of(const std::vector<std::string>& facts);
/// The facts of a question, as question_of() joined them.
std::vector<std::string> facts_in(const Question& question);

/// The answer: `data` with records log-odds (shortest text that reads back equal) and evidence (one sentence); `no_data` while the
/// classifier has not learned enough to count, or there is none.
Answer answer_of(const Opinion& opinion, const std::vector<Evidence>& evidence, bool truncated);

/// At Stage::data, once nothing else of the verdict is pending: finding BAYES with a score between ham_score and spam_score by the
/// log-odds, and the strongest tokens as evidence. `authentication`: what the verdict's checks have found.
Progress check_bayes(Stage stage, const Policy& policy,
                     const std::vector<results::MethodResult>& authentication, Facts& facts,
                     Findings& findings);

}  // namespace postern::filters::bayes
