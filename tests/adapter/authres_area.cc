// {"header", "relaxed"?, "internationalized"?} to the parsed Authentication-Results field.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "filters/authentication/results/field.h"
#include "tests/adapter/areas.h"

namespace postern::adapter {

Json authres(const Json& question) {
  const auto header = question.at("header").get<std::string>();
  // With or without the field's name.
  std::string_view value = header;
  constexpr std::string_view kName = "authentication-results:";
  std::string start = header.substr(0, kName.size());
  for (char& c : start)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  if (start == kName) value.remove_prefix(kName.size());
  const filters::results::ParseOptions options{
      .relaxed = question.value("relaxed", false),
      .internationalized = question.value("internationalized", false)};
  const auto field = filters::results::parse(value, options);
  if (!field) return error(fmt::format("octet {}: expected {}", field.error().position, field.error().rule));
  Json answer = {
      {"authserv_id", field->authserv_id}, {"version", field->version}, {"results", Json::array()}};
  for (const auto& result : field->results) {
    Json entry = {{"method", result.method}, {"version", result.version}, {"result", result.result}};
    if (!result.reason.empty()) entry["reason"] = result.reason;
    entry["properties"] = Json::object();
    for (const auto& [name, text] : result.properties) entry["properties"][name] = text;
    answer["results"].push_back(std::move(entry));
  }
  return answer;
}

}  // namespace postern::adapter
