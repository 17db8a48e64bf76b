// Whatever octets come to the control socket or the metrics port, and however they are cut: the reader ends in the same state
// with the same requests, within its limits, and what it understood holds no control character that an answer or a log line
// could carry on.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/admin/http.h"

namespace {

using postern::admin::RequestReader;

constexpr postern::admin::ServerLimits kLimits{.header_octets_max = 512, .body_octets_max = 512};

struct Outcome {
  std::vector<std::string> requests;
  RequestReader::State state = RequestReader::State::more;
  unsigned status = 0;
  bool operator==(const Outcome&) const = default;
};

void check(const postern::admin::Request& request) {
  if (!request.path.starts_with('/') || request.body.size() > kLimits.body_octets_max) std::abort();
  for (const char c : request.path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
}

Outcome read(std::string_view octets, std::size_t piece) {
  Outcome outcome;
  RequestReader reader(kLimits);
  for (std::size_t at = 0; at < octets.size() && outcome.state != RequestReader::State::failed; at += piece) {
    outcome.state = reader.feed(octets.substr(at, piece));
    while (outcome.state == RequestReader::State::ready) {
      const auto incoming = reader.take();
      check(incoming.request);
      outcome.requests.push_back(incoming.request.method + ' ' + incoming.request.path + ' ' +
                                 incoming.request.body);
      outcome.state = reader.feed({});
    }
  }
  if (outcome.state == RequestReader::State::failed) outcome.status = reader.problem().status;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read(octets, size == 0 ? 1 : size);
  if (read(octets, 1) != whole) std::abort();
  if (read(octets, 7) != whole) std::abort();
  return 0;
}
