#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {

/// What a filter may want to know of the world. More kinds come with the filters that need them; the
/// mechanism stays.
enum class QuestionKind : std::uint8_t {
  client_list,     ///< which local list holds this address; name: IP text
  sender_list,     ///< which local list holds this sender; name: address ("" is the null reverse-path)
  recipient_list,  ///< which local list holds this recipient; name: address
  list_health,     ///< whether a DNS list can be believed now; name: zone; data: one record, why it cannot
  /// whether a doubtful client has to wait; name: greylist_name(); data: one record, the seconds that are left
  greylist,
  dns_a,
  dns_aaaa,
  dns_txt,
  dns_mx,
  dns_ptr,
  classification,  ///< what the classifier thinks of the message; name: bayes/check.h
};
std::string_view to_string(QuestionKind kind);

/// One question, by value. Ordered, so that every walk over facts has one order whatever order the answers
/// came in.
struct Question {
  QuestionKind kind{};
  std::string name;
  friend auto operator<=>(const Question&, const Question&) = default;
};

/// How asking ended. "We could not find out" is never "no".
enum class AnswerStatus : std::uint8_t { data, no_data, no_such_name, servfail, refused, bogus, timed_out };
std::string_view to_string(AnswerStatus status);

struct Answer {
  AnswerStatus status = AnswerStatus::no_data;
  std::vector<std::string> records;  ///< in the order the source gave; meaning depends on the kind
  std::chrono::seconds ttl{0};
  bool secure = false;  ///< DNSSEC-validated
  std::chrono::microseconds took{0};
  std::chrono::sys_time<std::chrono::milliseconds> asked_at{};
  /// Nothing was found out: the filter concludes temperror/unavailable, never "not listed".
  bool failed() const { return status >= AnswerStatus::servfail; }
};

/// What is known of the world for one message, and what somebody still wants to know. Not thread-safe; one
/// message's. A filter calls ask(); a null result means the question is noted and the filter is pending. The
/// gateway answers all of questions() in parallel, then judges again. Bounded: beyond kQuestionsMax a new
/// question is answered `refused`.
class Facts {
 public:
  static constexpr std::size_t kQuestionsMax = 1024;

  /// The answer, or null and the question is noted (once).
  const Answer* ask(const Question& question);
  /// The answer if known; notes nothing.
  const Answer* find(const Question& question) const;
  /// Records an answer; the question is no longer open. The first answer stays: a late second one is ignored.
  void answer(const Question& question, Answer answer);

  /// Forgets what is open: what is still wanted will be asked again. For whoever asks ahead of need.
  void withdraw() { open_.clear(); }

  const std::vector<Question>& questions() const { return open_; }
  const std::map<Question, Answer>& answers() const { return answers_; }

 private:
  std::map<Question, Answer> answers_;
  std::vector<Question> open_;
};

}  // namespace postern::filters
