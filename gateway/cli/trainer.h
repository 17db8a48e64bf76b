#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/classifier/classifier.h"
#include "gateway/cli/view.h"

namespace postern::cli {

/// The classifier as the verbs see it: the running server's, or a folder's that nobody else has. Blocking.
class Trainer {
 public:
  struct Opinion {
    double log_odds = 0;
    bool trained = false;
    std::vector<filters::bayes::Evidence> evidence;
    std::string_view verdict() const { return log_odds > 0 ? "spam" : "ham"; }
  };

  virtual ~Trainer() = default;
  /// "learned", "changed", "known", … (filters::bayes::Learner::Outcome).
  virtual std::expected<std::string, Stop> learn(std::string_view message, classifier::Class verdict) = 0;
  virtual std::expected<Opinion, Stop> classify(std::string_view message, bool evidence) = 0;
  /// What was learned outlives the machine. Once, last.
  virtual std::expected<void, Stop> close() = 0;
};

/// `store` not empty: the classifier in that store. Else the server that the manifest names, and where none runs the manifest's store.
std::expected<std::unique_ptr<Trainer>, Stop> open_trainer(const std::filesystem::path& store,
                                                           const std::filesystem::path& manifest);

}  // namespace postern::cli
