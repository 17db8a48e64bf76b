#include "filters/bayes/event.h"

#include <algorithm>

#include "filters/authentication/crypto/digest.h"
#include "filters/bayes/extract.h"

namespace postern::filters::bayes {
namespace {

constexpr std::uint8_t kVersion = 1;

void update_without_returns(crypto::Digest& digest, std::string_view octets) {
  while (!octets.empty()) {
    const std::size_t end = std::min(octets.find('\r'), octets.size());
    digest.update(octets.substr(0, end));
    octets.remove_prefix(std::min(end + 1, octets.size()));
  }
}

}  // namespace

Digest digest_of(const Analysis& analysis) {
  crypto::Digest running(crypto::Algorithm::sha256);
  for (const HeaderField& field : analysis.fields())
    if (!ignored_field(field.name)) update_without_returns(running, field.raw);
  running.update("\n");
  update_without_returns(running, analysis.body());
  const std::string whole = running.finish();
  Digest digest{};
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

std::string_view to_string(Authority authority) {
  switch (authority) {
    case Authority::automatic:
      return "automatic";
    case Authority::user:
      return "user";
    case Authority::person:
      return "person";
  }
  return "person";
}

void Writer::step(const Step& step) {
  number(static_cast<std::uint8_t>(step.verdict));
  number(static_cast<std::uint8_t>((step.surprising ? 1 : 0) | (step.agreed ? 2 : 0)));
  number(step.words);
  number(step.grams);
  number(step.count);
  for (const std::int32_t gradient : step.blend) number(gradient);
}

Step Reader::step() {
  Step step;
  step.verdict = static_cast<Class>(bounded<std::uint8_t>(1, "a class is 0 or 1"));
  const auto flags = bounded<std::uint8_t>(3, "unknown flags");
  step.surprising = (flags & 1) != 0;
  step.agreed = (flags & 2) != 0;
  const auto gradient = [this](std::int32_t most) {
    const auto value = number<std::int32_t>();
    if (value > most || value < -most) fail("a gradient is too large");
    return value;
  };
  constexpr std::int32_t kBlendMost = 16 * Slot::kUnit;
  step.words = gradient(Slot::kUnit);
  step.grams = gradient(Slot::kUnit);
  step.count = bounded<std::uint32_t>(Slot::kMessage, "a count is above one message");
  for (std::int32_t& one : step.blend) one = gradient(kBlendMost);
  return step;
}

Digest Reader::digest() {
  Digest digest{};
  for (std::uint8_t& octet : digest) octet = number<std::uint8_t>();
  return digest;
}

void Reader::fail(std::string_view rule) {
  if (failed()) return;
  rule_ = rule;
  octets_ = octets_.substr(0, position_);
}

void encode(const Event& event, std::string& out) {
  out.clear();
  out.reserve(96 + 4 * (event.tokens.size() + event.grams.size()));
  Writer writer(out);
  writer.number(kVersion);
  writer.number(static_cast<std::uint8_t>(event.kind));
  writer.number(static_cast<std::uint8_t>(event.authority));
  writer.number(event.day);
  for (const std::uint8_t octet : event.digest) writer.number(octet);
  writer.number(event.reporter);
  writer.step(event.step);
  for (const auto* features : {&event.tokens, &event.grams}) {
    writer.number(static_cast<std::uint32_t>(features->size()));
    for (const Feature feature : *features) writer.number(feature);
  }
}

std::expected<Event, DecodeError> decode_event(std::string_view octets) {
  Reader reader(octets);
  Event event;
  if (reader.number<std::uint8_t>() != kVersion) reader.fail("unknown version");
  const auto kind = reader.bounded<std::uint8_t>(4, "unknown kind");
  if (kind == 0) reader.fail("unknown kind");
  event.kind = static_cast<Event::Kind>(kind);
  event.authority = static_cast<Authority>(reader.bounded<std::uint8_t>(2, "unknown authority"));
  event.day = reader.number<std::uint16_t>();
  event.digest = reader.digest();
  event.reporter = reader.number<std::uint64_t>();
  event.step = reader.step();
  const std::pair<std::vector<Feature>*, std::size_t> lists[] = {{&event.tokens, Features::kTokensMax},
                                                                 {&event.grams, Features::kGramsMax}};
  for (const auto& [features, most] : lists) {
    const auto count = reader.bounded<std::uint32_t>(static_cast<std::uint32_t>(most), "too many features");
    if (reader.left() / sizeof(Feature) < count) reader.fail("ends early");
    if (reader.failed()) break;
    features->reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) features->push_back(reader.number<Feature>());
  }
  if (!reader.failed() && reader.left() != 0) reader.fail("goes on after its end");
  if (reader.failed()) return std::unexpected(reader.error());
  return event;
}

}  // namespace postern::filters::bayes
