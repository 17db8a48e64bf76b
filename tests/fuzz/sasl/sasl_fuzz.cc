// Any messages inside AUTH, one on each line: nobody is let in without the secret, and what is kept in a file is parsed.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/smtp/sasl/exchange.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::smtp::sasl;
  if (size == 0) return 0;
  const auto mechanism = static_cast<Mechanism>(data[0] % 3);
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)is_scrypt(rest);
  if (const auto secret = parse_scram(rest); secret && !parse_scram(to_text(*secret))) std::abort();
  Exchange exchange(mechanism, "server");
  Step step = exchange.begin(std::nullopt);
  for (unsigned steps = 0; std::holds_alternative<Challenge>(step) || std::holds_alternative<LookUp>(step);
       ++steps) {
    if (steps > 10) std::abort();
    if (const auto* look_up = std::get_if<LookUp>(&step)) {
      step = exchange.found(decoy_scram(look_up->user, "secret of the fuzzer"));
      continue;
    }
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (end == std::string_view::npos && rest.empty()) return 0;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    step = exchange.respond(line);
  }
  if (std::holds_alternative<Proved>(step)) std::abort();  // nothing is behind a decoy
  if (const auto* check = std::get_if<CheckPassword>(&step)) {
    if (check->user.empty() || check->user.size() > kUserOctetsMax) std::abort();
    if (check->password.empty() || check->password.size() > kPasswordOctetsMax) std::abort();
  }
  return 0;
}
