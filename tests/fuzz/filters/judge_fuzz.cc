// Any octets as a message from a listed or unlisted client: there is a verdict after one round of answers, it
// is the same when the answers come one by one, and its JSON is JSON.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filters/judge.h"
#include "filters/reputation/local_lists.h"

namespace {

namespace filters = postern::filters;

void expect(bool condition) {
  if (!condition) std::abort();
}

/// The answer that `choice` stands for; the last of them is whatever the input says.
filters::Answer answer_of(unsigned choice, std::string_view input) {
  switch (choice % 5) {
    case 0:
      return {.status = filters::AnswerStatus::no_data};
    case 1:
      return {.status = filters::AnswerStatus::data, .records = {"allow:entry"}};
    case 2:
      return {.status = filters::AnswerStatus::data, .records = {"block:entry"}};
    case 3:
      return {.status = filters::AnswerStatus::timed_out};
    default:
      return {.status = filters::AnswerStatus::data, .records = {std::string(input.substr(0, 64))}};
  }
}

std::string judged(const filters::Envelope& envelope, const filters::Analysis& analysis, unsigned choices,
                   bool one_by_one) {
  const filters::Policy policy{.has_client_list = true, .has_sender_list = true, .has_recipient_list = true};
  filters::Facts facts;
  for (int round = 0; round < 8; ++round) {
    const auto judgement = filters::judge(filters::Stage::data, envelope, &analysis, facts, policy);
    if (judgement.verdict) return to_json(*judgement.verdict);
    std::vector<filters::Question> open = facts.questions();
    expect(!open.empty());
    if (one_by_one) open.erase(open.begin(), open.end() - 1);  // the last first
    for (const filters::Question& question : open)
      facts.answer(question, answer_of(choices >> static_cast<unsigned>(question.kind), analysis.message()));
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data + 1), size - 1);
  const filters::Envelope envelope{
      .client_ip = *filters::Ip::parse("192.0.2.1"),
      .mail_from = std::string(message.substr(0, 32)),
      .recipients = {"a@b.example", std::string(message.substr(0, 16))},
      .smtputf8 = (data[0] & 0x80) != 0,
  };
  const filters::Analysis analysis = filters::Analysis::of(message);
  const std::string verdict = judged(envelope, analysis, data[0], false);
  expect(verdict == judged(envelope, analysis, data[0], true));
  expect(nlohmann::json::accept(verdict));
  return 0;
}
