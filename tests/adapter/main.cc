// postern_adapter AREA: the filters and parsers behind one JSON object per line, for tests that compare us with other programs.
// Links what the gateway links; no network.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tests/adapter/areas.h"
#include "tests/support/base64.h"

namespace postern::adapter {

std::string octets_of(const Json& question, const char* member) {
  auto octets = support::decode_base64(question.at(member).get_ref<const std::string&>());
  if (!octets) throw std::invalid_argument(fmt::format("{}: not base64", member));
  return *std::move(octets);
}

namespace {

constexpr std::pair<std::string_view, Area> kAreas[] = {
    {"address", address}, {"arc", arc},   {"authres", authres}, {"dkim", dkim}, {"dmarc", dmarc},
    {"judge", judge},     {"mime", mime}, {"proxy", proxy},     {"spf", spf},
};

Area area_of(std::string_view name) {
  for (const auto& [known, area] : kAreas)
    if (known == name) return area;
  return nullptr;
}

/// The answer to one line. Exceptions of the JSON library end here.
Json answered(Area area, const std::string& line) {
  Json answer = {{"id", nullptr}};
  try {
    const Json question = Json::parse(line);
    if (!question.is_object()) throw std::invalid_argument("a JSON object is expected");
    if (question.contains("id")) answer["id"] = question["id"];
    answer.update(area(question));
  } catch (const std::exception& exception) {
    answer["error"] = exception.what();
  }
  return answer;
}

int run(Area area) {
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.empty()) continue;
    // What is no UTF-8 is replaced: an answer that cannot be printed would help nobody.
    std::cout << answered(area, line).dump(-1, ' ', false, Json::error_handler_t::replace) << '\n'
              << std::flush;
  }
  return std::cout.good() ? 0 : 1;
}

int usage() {
  std::string names;
  for (const auto& [name, area] : kAreas) names += fmt::format(" {}", name);
  std::fprintf(stderr, "usage: postern_adapter AREA < questions > answers\nareas:%s\n", names.c_str());
  return 64;  // EX_USAGE
}

}  // namespace
}  // namespace postern::adapter

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const auto area = argc == 2 ? postern::adapter::area_of(argv[1]) : nullptr;
  return area == nullptr ? postern::adapter::usage() : postern::adapter::run(area);
}
