// Any TXT record as the policy of the domain, and as the answer to everything it asks: the evaluation ends,
// within its limits.
#include <cstdint>
#include <cstdlib>

#include "filters/authentication/spf/check_host.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::filters;
  const std::string text = "v=spf1 " + std::string(reinterpret_cast<const char*>(data), size);
  const spf::Identity identity{.ip = *Ip::parse("192.0.2.1"),
                               .domain = "a.example",
                               .sender = "user@a.example",
                               .helo = "helo.example",
                               .receiver = "mx.example",
                               .now = {}};
  Facts facts;
  for (int round = 0; round < 64; ++round) {
    const auto outcome = spf::check_host(identity, facts);
    if (outcome) {
      if (outcome->terms > spf::kTermsMax + 1) std::abort();
      return 0;
    }
    const std::vector<Question> open(facts.questions().begin(), facts.questions().end());
    if (open.empty()) std::abort();
    for (const Question& question : open) {
      Answer answer{.status = AnswerStatus::data,
                    .records = {},
                    .ttl = {},
                    .secure = false,
                    .took = {},
                    .asked_at = {}};
      if (question.kind == QuestionKind::dns_txt) {
        answer.records = {text};
      } else if (question.kind == QuestionKind::dns_mx) {
        answer.records = {"10 a.example", text};
      } else {
        answer.records = {question.kind == QuestionKind::dns_ptr ? "b.example" : "198.51.100.7"};
      }
      facts.answer(question, std::move(answer));
    }
  }
  std::abort();  // 64 rounds are more than ten terms can need
}
