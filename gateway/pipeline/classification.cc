#include "gateway/pipeline/classification.h"

#include <optional>

#include "filters/bayes/check.h"
#include "filters/message/content.h"

namespace postern::pipeline {

filters::Answer classification_of(const classifier::Classifier* classifier, const filters::Analysis& analysis,
                                  const filters::Question& question) {
  // What has not learned enough says nothing: no need to look at the message.
  if (classifier == nullptr || !classifier->figures().trained)
    return {.status = filters::AnswerStatus::no_data};
  std::optional<filters::Content> own;
  const filters::Content* content = analysis.content();
  if (content == nullptr) content = &own.emplace(filters::Content::of(analysis));
  const auto found = classifier->classify(analysis, *content, filters::bayes::facts_in(question));
  return filters::bayes::answer_of(found.opinion, found.evidence, found.truncated);
}

}  // namespace postern::pipeline
