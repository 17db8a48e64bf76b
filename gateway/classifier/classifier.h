#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/bayes/extract.h"
#include "filters/bayes/learner.h"
#include "filters/message/analysis.h"
#include "filters/message/content.h"
#include "storage/error.h"
#include "storage/training/files.h"

namespace postern::classifier {

namespace bayes = filters::bayes;
using filters::bayes::Authority;
using filters::bayes::Class;

inline constexpr std::string_view kFolder = "classifier";  ///< within a store

/// What is thought of one message.
struct Classification {
  bayes::Opinion opinion;
  std::vector<bayes::Evidence> evidence;  ///< the strongest, for spam first
  bool truncated = false;                 ///< not all of the message was looked at
};

struct Lesson {
  Class verdict = Class::ham;
  Authority authority = Authority::person;
  std::string reporter;  ///< who says so, for Authority::user
  std::chrono::sys_days day{};
};

/// The classifier and its files. classify() from any thread at any time, without waiting; what is learned counts for the next message
/// on every core. learn() and the rest from any thread that may wait for the disk; one at a time.
class Classifier {
 public:
  static constexpr std::size_t kEvidence = 8;  ///< of each side
  static constexpr std::uint64_t kTableOctets = 64U << 20;
  static constexpr std::uint64_t kTableOctetsMin = 64U << 10, kTableOctetsMax = 1U << 30;
  /// A journal of so many octets is folded into a snapshot; at close() a quarter is enough.
  static constexpr std::uint64_t kJournalOctetsMax = 64U << 20;

  struct Options {
    std::filesystem::path folder;  ///< made when it is not there
    /// Rounded down to a power of two. A folder that has been trained with another size keeps it, and a warning says so.
    std::uint64_t table_octets = kTableOctets;
  };
  /// Reads what is there. What is damaged is set aside and named in a warning, never an error: a classifier that has forgotten is
  /// better than none, and none is better than no mail.
  static std::expected<std::unique_ptr<Classifier>, storage::Error> open(const Options& options,
                                                                         std::vector<std::string>& warnings);
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  /// `facts`: facts_of() what is known about the sender.
  Classification classify(const filters::Analysis& analysis, const filters::Content& content,
                          std::span<const std::string> facts) const;
  /// Of a message alone. `evidence`: whether it is wanted.
  Classification classify(std::string_view message, std::span<const std::string> facts, bool evidence) const;

  /// Written to the journal when it returns, synced with the next sync().
  std::expected<bayes::Learner::Outcome, storage::Error> learn(std::string_view message,
                                                               std::span<const std::string> facts,
                                                               const Lesson& lesson);
  std::expected<void, storage::Error> sync();
  /// Syncs, and folds the journal into a snapshot where that pays. Once, last.
  std::expected<void, storage::Error> close();

  struct Figures {
    std::uint64_t ham = 0, spam = 0;  ///< messages learned
    std::uint64_t table_octets = 0;
    bool trained = false;
  };
  Figures figures() const;

 private:
  Classifier(std::unique_ptr<storage::training::Files> files, unsigned bits);
  std::expected<void, storage::Error> keep(std::vector<bayes::Event>& events);
  bool forget_from_journal(const bayes::Digest& digest, std::vector<bayes::Event>& events);
  std::expected<void, storage::Error> fold();

  std::mutex writing_;
  std::unique_ptr<storage::training::Files> files_;
  bayes::Extractor extractor_;
  bayes::Learner learner_;
};

}  // namespace postern::classifier
