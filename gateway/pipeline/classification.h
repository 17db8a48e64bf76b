#pragma once

#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "gateway/classifier/classifier.h"

namespace postern::pipeline {

/// The answer to QuestionKind::classification about one message; its content is read where that has not been done. Does not wait;
/// bounded by what the extractor looks at, once the content is there. `classifier` may be null.
filters::Answer classification_of(const classifier::Classifier* classifier, const filters::Analysis& analysis,
                                  const filters::Question& question);

}  // namespace postern::pipeline
