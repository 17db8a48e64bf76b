// Whatever a message holds, what is sent is one message for a strict receiver, and its end is the end of what is sent.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/smtp/client/data_encoder.h"
#include "gateway/smtp/data_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = data[0] * message.size() / 255, piece_octets = data[1] + 1U;
  postern::smtp::client::DataEncoder encoder(message.substr(0, cut), message.substr(cut));
  std::string wire, piece;
  while (encoder.next(piece, piece_octets)) wire += piece;

  postern::smtp::DataDecoder decoder({.octets_max = 1 << 24});
  postern::smtp::Body body;
  if (decoder.write(wire, body) != wire.size() || !decoder.done()) std::abort();
  if (decoder.error() != postern::smtp::DataError::none) std::abort();
  // A message that was in order comes back as it was.
  const auto survey = postern::smtp::client::Survey::of(message.substr(0, cut), message.substr(cut));
  const bool whole = message.empty() || message.ends_with("\r\n");
  if (!survey.bare_line_ending && whole && body.view() != message) std::abort();
  return 0;
}
