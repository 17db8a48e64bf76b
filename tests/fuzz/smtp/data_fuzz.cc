// Any octets as message data, in one piece and at splits the input chooses: the same answer, that of the model, and
// nothing but CRLF.CRLF ends it. The first octet chooses the rules, the second the splits.
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

#include "gateway/smtp/data_decoder.h"
#include "tests/support/data_model.h"

namespace {

using namespace postern::smtp;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Decoded {
  std::string body;
  std::size_t consumed = 0;
  bool done = false;
  DataError error = DataError::none;
  std::uint64_t octets = 0, bare = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view wire, const DataDecoder::Rules& rules, unsigned splits) {
  BodyBudget budget(1 << 24);
  Decoded result;
  {
    std::minstd_rand chance(splits);
    Body body(&budget);
    DataDecoder decoder(rules);
    while (!wire.empty() && !decoder.done()) {
      const std::size_t part =
          splits == 0 ? wire.size() : std::min<std::size_t>(wire.size(), 1 + chance() % (1 + splits));
      const std::string piece(wire.substr(0, part));
      const std::size_t consumed = decoder.write(piece, body);
      require(consumed <= part && (consumed == part || decoder.done()));
      result.consumed += consumed;
      wire.remove_prefix(consumed);
    }
    if (rules.framing == DataFraming::counted) decoder.finish(body);
    result.body = body.view();
    result.done = decoder.done();
    result.error = decoder.error();
    result.octets = decoder.octets();
    result.bare = decoder.bare_line_endings();
    if (result.error != DataError::none) require(budget.used() == 0);
  }
  require(budget.used() == 0);
  return result;
}

void compare_with_model(std::string_view wire, const DataDecoder::Rules& rules, const Decoded& decoded) {
  const postern::test::DataModel model = postern::test::model_of_data(wire);
  require(decoded.done == model.ended);
  if (!model.ended) return;
  require(decoded.consumed == model.consumed && decoded.bare == model.bare_line_endings);
  const bool refused = rules.bare_line_endings == BareLineEndings::reject && model.bare_line_endings > 0;
  if (refused) require(decoded.error == DataError::bare_line_ending);
  if (!refused && model.body.size() > rules.octets_max)
    require(decoded.error == DataError::too_large || decoded.error == DataError::line_too_long);
  if (decoded.error == DataError::none)
    require(decoded.body == model.body && decoded.octets == model.body.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view wire(reinterpret_cast<const char*>(data) + 2, size - 2);
  const DataDecoder::Rules rules{
      .framing = static_cast<DataFraming>((data[0] & 3) % 3),
      .bare_line_endings = (data[0] & 4) != 0 ? BareLineEndings::normalize : BareLineEndings::reject,
      .octets_max = (data[0] & 8) != 0 ? 100u : 1u << 20,
      .line_octets_max = (data[0] & 16) != 0 ? 40 : DataDecoder::kLineUnbounded,
  };
  const Decoded whole = decode(wire, rules, 0);
  require(whole == decode(wire, rules, 1u + data[1]));
  require(whole == decode(wire, rules, 1));
  if (rules.framing == DataFraming::dot) compare_with_model(wire, rules, whole);
  if (rules.framing != DataFraming::dot) require(!whole.done && whole.consumed == wire.size());
  if (rules.framing == DataFraming::binary && whole.error == DataError::none) require(whole.body == wire);
  return 0;
}
