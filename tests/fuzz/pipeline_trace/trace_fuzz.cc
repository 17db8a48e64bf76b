// Whatever a client calls itself and whatever it sends: our fields stay ours, each on its own, and of the message nothing is
// changed but that forged fields are gone. Input: HELO, reverse name and sender up to a NUL each, then the message.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/pipeline/trace.h"

namespace {

using namespace postern;

void check(bool holds) {
  if (!holds) std::abort();
}

std::string next_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  std::string part(input.substr(0, end));
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

/// The message without its forged fields, found in another way than the code under test does it.
std::string expected(const filters::Analysis& analysis, std::string_view host) {
  std::string rest(analysis.message());
  const auto& fields = analysis.fields();
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    const auto at = static_cast<std::size_t>(field->raw.data() - analysis.message().data());
    if (pipeline::is_forged(*field, host)) rest.erase(at, field->raw.size());
  }
  return rest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  filters::Envelope envelope;
  envelope.id = "01ABCDEFGHJKMNPQRSTV";
  envelope.receiving_host = "mx.test.example";
  envelope.client_ip = filters::Ip::v4({192, 0, 2, 1});
  envelope.protocol = "ESMTP";
  envelope.helo = next_part(input);
  envelope.client_name = next_part(input);
  envelope.mail_from = next_part(input);
  envelope.recipients = {envelope.mail_from};

  const filters::Analysis analysis = filters::Analysis::of(input);
  const pipeline::TracedMessage traced = pipeline::put_trace_in_front(envelope, nullptr, analysis);
  const std::string whole = traced.header + std::string(traced.body);
  const std::string rest = expected(analysis, envelope.receiving_host);
  check(whole.ends_with(rest));

  const std::string ours = whole.substr(0, whole.size() - rest.size());
  const filters::Analysis front = filters::Analysis::of(ours);
  const bool noted = input.starts_with(' ') || input.starts_with('\t');
  check(front.fields().size() == (noted ? 3U : 2U));
  check(front.fields()[0].name == "Return-Path");
  check(front.fields()[1].name == "Received");
  check(front.body().empty());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto octet = static_cast<unsigned char>(ours[i]);
    const bool line_end = octet == '\r' || octet == '\n';
    check(octet >= 0x20 || line_end);
    check(octet != 0x7f);
  }

  // A tag in Subject leaves every other field and the body as they are.
  constexpr std::string_view kTag = "[SPAM]";
  const pipeline::TracedMessage marked =
      pipeline::put_trace_in_front(envelope, nullptr, analysis, false, kTag);
  const std::string tagged = marked.header + std::string(marked.body);
  check(tagged.ends_with(analysis.body()));
  if (analysis.truncated()) return 0;
  const filters::Analysis before = filters::Analysis::of(whole), after = filters::Analysis::of(tagged);
  if (before.truncated() || after.truncated()) return 0;
  const filters::HeaderField* subject = after.find("Subject");
  check(subject != nullptr && filters::Analysis::unfolded(subject->value).starts_with(kTag));
  check(after.fields().size() == before.fields().size() + (before.count("Subject") == 0 ? 1 : 0));
  for (std::size_t i = 0, k = 0; i < before.fields().size(); ++i, ++k) {
    if (before.count("Subject") == 0 && &after.fields()[k] == subject) ++k;
    if (&after.fields()[k] != subject) check(after.fields()[k].raw == before.fields()[i].raw);
  }
  return 0;
}
