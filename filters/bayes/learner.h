#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "filters/bayes/event.h"
#include "filters/bayes/features.h"
#include "filters/bayes/model.h"

namespace postern::filters::bayes {

/// Who says what, when.
struct Lesson {
  Class verdict = Class::ham;
  Authority authority = Authority::person;
  std::uint64_t reporter = 0;  ///< hash of the user, for Authority::user
  std::uint16_t day = 0;
};

/// A model, and the memory of what it learned from which message: learning the same again changes nothing, learning the opposite takes
/// the first away. Memory of the oldest messages goes when there are more than kKnownMax; what they taught stays.
///
/// Users' reports move the model by a quarter step, and only when a second user says the same or, for one alone, when the Bayes
/// and the gram model both agree with the report; otherwise they wait. One writer; model() may be read by others meanwhile.
class Learner {
 public:
  static constexpr std::size_t kKnownMax = 1U << 18;
  static constexpr std::size_t kReportsMax = 1U << 16;  ///< waiting; the oldest goes
  static constexpr double kUserStep = 0.25, kAutomaticStep = 0.125;
  static constexpr std::uint16_t kAgeDays = 90;      ///< unseen so long: halved
  static constexpr std::uint16_t kAgeEveryDays = 7;  ///< how often that is looked at

  explicit Learner(unsigned bits) : model_(bits) {}

  enum class Outcome : std::uint8_t {
    learned,
    changed,    ///< it had been learned as the other class: that is taken away
    known,      ///< it had been learned so already: nothing changes
    outranked,  ///< someone of a higher rank has said the opposite: nothing changes
    waiting,    ///< a report that needs another's agreement
    different,  ///< known as the other class, but with other features than it has now: see forget()
  };
  struct Result {
    Outcome outcome = Outcome::learned;
    std::vector<Event> events;  ///< already applied; for the journal
  };
  Result learn(const Digest& digest, const Features& features, const Lesson& lesson);
  /// Takes a message's step away, with the features it was learned with. None: it is not known.
  std::optional<Event> forget(const Digest& digest, std::span<const Feature> tokens,
                              std::span<const Feature> grams);
  /// The event of today's ageing, already applied; none when it is not time yet.
  std::optional<Event> age(std::uint16_t today);

  /// An event of the journal.
  void apply(const Event& event);
  /// Takes the last event back, which could not be written.
  void take_back(const Event& event);

  /// Everything, in pieces. The same state gives the same octets.
  void write_snapshot(const std::function<void(std::string_view)>& sink) const;
  /// Into a learner that has learned nothing and has as many slots. An error leaves it unusable.
  std::expected<void, DecodeError> read_snapshot(std::string_view octets);
  /// How many slots a snapshot is for, as a power of two; none where that cannot be.
  static std::optional<unsigned> snapshot_bits(std::string_view octets);

  const Model& model() const { return model_; }
  std::size_t known() const { return known_.size(); }
  std::size_t waiting() const { return reports_.size(); }

 private:
  struct Known {
    Step step;
    Authority authority = Authority::person;
    std::uint64_t fingerprint = 0;  ///< of the features that were moved
  };
  struct Report {
    Class verdict = Class::ham;
    std::uint64_t reporter = 0;
  };
  struct DigestHash {
    std::size_t operator()(const Digest& digest) const;
  };

  Event event_of(const Digest& digest, const Features& features, const Step& step,
                 const Lesson& lesson) const;
  bool agreed(const Digest& digest, const Features& features, const Lesson& lesson) const;
  void remember(const Event& event);
  void remember_report(const Event& event);
  void write_memory(std::string& out) const;
  void read_memory(Reader& reader);
  void read_table(Reader& reader);

  Model model_;
  std::unordered_map<Digest, Known, DigestHash> known_;
  std::deque<Digest> known_order_, report_order_;
  std::unordered_map<Digest, Report, DigestHash> reports_;
  std::uint16_t aged_ = 0;
};

std::string_view to_string(Learner::Outcome outcome);

}  // namespace postern::filters::bayes
