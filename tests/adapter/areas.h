#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace postern::adapter {

using Json = nlohmann::ordered_json;

/// An area takes one question and gives the members of its answer, without the id. What is wrong with a question it tells as
/// {"error": "…"}; what nlohmann throws for members that are missing or of the wrong type, the caller catches.
using Area = Json (*)(const Json& question);

Json address(const Json& question);
Json arc(const Json& question);
Json authres(const Json& question);
Json dkim(const Json& question);
Json dmarc(const Json& question);
Json mime(const Json& question);
Json proxy(const Json& question);
Json judge(const Json& question);
Json spf(const Json& question);

inline Json error(std::string text) {
  return {{"error", std::move(text)}};
}

/// The octets of a member in base64. Throws what nlohmann throws for a member that is no string, and std::invalid_argument for one
/// that is no base64.
std::string octets_of(const Json& question, const char* member);

}  // namespace postern::adapter
