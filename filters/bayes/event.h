#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "filters/bayes/model.h"
#include "filters/message/analysis.h"

namespace postern::filters::bayes {

/// What a message is known by: the start of SHA-256 over its octets without carriage returns and ignored fields, so that it is the same
/// message after a filter has written its fields.
using Digest = std::array<std::uint8_t, 16>;
Digest digest_of(const Analysis& analysis);

/// Who says what a message is. A later word of the same rank replaces an earlier one; a lower rank never replaces a higher.
enum class Authority : std::uint8_t {
  automatic,  ///< strong evidence of other filters
  user,       ///< a report of someone whose mail this is
  person,     ///< an administrator, or who is trusted to train
};
std::string_view to_string(Authority authority);

/// One change of what is learned. All that the model is follows from the events in their order; the journal is a row of them.
struct Event {
  enum class Kind : std::uint8_t {
    learn = 1,   ///< step applied to the features
    forget = 2,  ///< the message's step taken away again
    report = 3,  ///< a user's word that waits for another's; nothing is moved
    age = 4,     ///< Model::age
  };
  Kind kind = Kind::learn;
  Authority authority = Authority::person;
  std::uint16_t day = 0;  ///< days since 1970
  Digest digest{};
  std::uint64_t reporter = 0;  ///< hash of the user of a report
  Step step;
  std::vector<Feature> tokens, grams;  ///< as far as the step moves them
  friend bool operator==(const Event&, const Event&) = default;
};

struct DecodeError {
  std::size_t position = 0;
  std::string_view rule;
};

/// Replaces `out`. Little-endian, fixed widths; version first.
void encode(const Event& event, std::string& out);
/// Strict: what encode() would not have written is an error.
std::expected<Event, DecodeError> decode_event(std::string_view octets);

/// Puts numbers into octets, and takes them out again with a check at every step.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  template <class T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      out_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
  void octets(std::string_view octets) { out_ += octets; }
  void step(const Step& step);

 private:
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view octets) : octets_(octets) {}
  template <class T>
  T number() {
    if (octets_.size() - position_ < sizeof(T)) {
      fail("ends early");
      return T{};
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(octets_[position_ + i])} << (8 * i);
    position_ += sizeof(T);
    return static_cast<T>(value);
  }
  Step step();
  Digest digest();
  /// A number that may not be above a bound.
  template <class T>
  T bounded(T max, std::string_view rule) {
    const T value = number<T>();
    if (value > max) fail(rule);
    return failed() ? T{} : value;
  }
  std::size_t left() const { return octets_.size() - position_; }
  bool failed() const { return !rule_.empty(); }
  /// The first failure stands; after it there is nothing left.
  void fail(std::string_view rule);
  DecodeError error() const { return {position_, rule_}; }

 private:
  std::string_view octets_;
  std::size_t position_ = 0;
  std::string_view rule_;
};

}  // namespace postern::filters::bayes
