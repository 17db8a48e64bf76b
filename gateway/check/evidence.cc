#include "gateway/check/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace postern::check {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::Question;
using filters::QuestionKind;

std::string shown_records(const Question& question, const Answer& answer) {
  std::string out;
  std::size_t shown = 0;
  for (const std::string& record : answer.records) {
    if (shown++ == kRecordsShownMax) {
      out += fmt::format(", and {} more", answer.records.size() - kRecordsShownMax);
      break;
    }
    if (!out.empty()) out += ", ";
    out += question.kind == QuestionKind::dns_txt ? fmt::format("\"{}\"", cut(record)) : cut(record);
  }
  return out;
}

std::string_view words_of(AnswerStatus status) {
  switch (status) {
    case AnswerStatus::no_data:
      return "the name exists, without such a record";
    case AnswerStatus::no_such_name:
      return "no such name";
    case AnswerStatus::timed_out:
      return "no answer in time";
    case AnswerStatus::bogus:
      return "bogus: DNSSEC does not validate";
    default:
      return to_string(status);
  }
}

}  // namespace

std::string cut(std::string_view text, std::size_t octets_max) {
  if (text.size() <= octets_max) return std::string(text);
  std::size_t size = octets_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size;
  return std::string(text.substr(0, size)) + "…";
}

std::string_view type_of(QuestionKind kind) {
  switch (kind) {
    case QuestionKind::dns_a:
      return "A";
    case QuestionKind::dns_aaaa:
      return "AAAA";
    case QuestionKind::dns_txt:
      return "TXT";
    case QuestionKind::dns_mx:
      return "MX";
    case QuestionKind::dns_ptr:
      return "PTR";
    default:
      return filters::to_string(kind);
  }
}

std::string described(const Question& question, const Answer* answer) {
  const std::string asked = fmt::format("{} {}", type_of(question.kind), question.name);
  if (answer == nullptr) return asked + ": not answered";
  const double milliseconds = static_cast<double>(answer->took.count()) / 1000;
  const bool data = answer->status == AnswerStatus::data;
  const std::string ttl = answer->failed() ? std::string() : fmt::format("TTL {} s, ", answer->ttl.count());
  return fmt::format("{}: {} ({}{:.1f} ms{})", asked,
                     data ? shown_records(question, *answer) : std::string(words_of(answer->status)), ttl,
                     milliseconds, answer->secure ? ", DNSSEC secure" : "");
}

control::Json to_json(const Question& question, const Answer& answer) {
  control::Json records = control::Json::array();
  for (const std::string& record : answer.records) records.push_back(record);
  return {{"kind", filters::to_string(question.kind)},
          {"name", question.name},
          {"status", filters::to_string(answer.status)},
          {"records", std::move(records)},
          {"ttl", answer.ttl.count()},
          {"secure", answer.secure},
          {"took_us", answer.took.count()},
          {"asked_at_ms", answer.asked_at.time_since_epoch().count()}};
}

control::Json to_json(const filters::Facts& facts) {
  using Fact = std::pair<const Question, Answer>;
  std::vector<const Fact*> order;
  for (const Fact& fact : facts.answers()) order.push_back(&fact);
  std::ranges::sort(order, {}, [](const Fact* fact) { return std::tie(fact->second.asked_at, fact->first); });
  control::Json all = control::Json::array();
  for (const auto* fact : order) all.push_back(to_json(fact->first, fact->second));
  return all;
}

std::string trouble_advice(const Question& question, const Answer& answer) {
  const std::string what = fmt::format("{} {}", type_of(question.kind), question.name);
  switch (answer.status) {
    case AnswerStatus::bogus:
      return fmt::format(
          "{}: the DNSSEC signatures of this name are broken. Its owner should sign the zone again, or take "
          "the DS "
          "record out of the parent zone; until then validating receivers see no answer.",
          what);
    case AnswerStatus::timed_out:
      return fmt::format(
          "{}: no name server answered in time. Its owner should look whether all name servers of the zone "
          "are "
          "reachable by UDP and TCP.",
          what);
    case AnswerStatus::refused:
      return fmt::format("{}: the question was refused, or there were too many of them.", what);
    default:
      return fmt::format(
          "{}: the name servers failed (SERVFAIL or REFUSED). Its owner should look at the delegation and at "
          "the "
          "zone on each of them.",
          what);
  }
}

void add_trouble(const filters::Facts& facts, std::vector<std::string>& advice) {
  for (const auto& [question, answer] : facts.answers())
    if (answer.failed()) advice.push_back(trouble_advice(question, answer));
}

}  // namespace postern::check
