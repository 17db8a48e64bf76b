// Whatever a server answers, what is made of it has the form that filters rely on.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "filters/dns.h"
#include "filters/ip.h"
#include "gateway/dns/packet.h"

namespace {

using postern::filters::Answer;
using postern::filters::AnswerStatus;
using postern::filters::QuestionKind;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_normal_name(std::string_view name) {
  return postern::filters::dns::normal_name(name) == name;
}

void check_record(std::string_view record, QuestionKind kind) {
  if (kind == QuestionKind::dns_a || kind == QuestionKind::dns_aaaa) {
    const auto ip = postern::filters::Ip::parse(record);
    require(ip.has_value());
    require(ip->text() == record);
  } else if (kind == QuestionKind::dns_ptr) {
    require(is_normal_name(record));
  } else if (kind == QuestionKind::dns_mx) {
    const std::size_t space = record.find(' ');
    require(space != std::string_view::npos);
    const std::string_view host = record.substr(space + 1);
    require(host == "." || is_normal_name(host));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kPacketOctetsMax = 65'535;
  if (size > kPacketOctetsMax) return 0;
  for (const QuestionKind kind : {QuestionKind::dns_a, QuestionKind::dns_aaaa, QuestionKind::dns_txt,
                                  QuestionKind::dns_mx, QuestionKind::dns_ptr}) {
    const Answer answer = postern::dns::read_packet({data, size}, kind);
    require(answer.records.size() <= postern::dns::kRecordsMax);
    require(answer.records.empty() == (answer.status != AnswerStatus::data));
    for (const auto& record : answer.records) check_record(record, kind);
  }
  return 0;
}
