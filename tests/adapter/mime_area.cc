// {"message_b64"} to what the content side of filters/message makes of a message; {"header"} to one structured field or header text.
#include <string>
#include <string_view>

#include "filters/authentication/crypto/digest.h"
#include "filters/message/content.h"
#include "filters/message/content_field.h"
#include "filters/message/header_text.h"
#include "tests/adapter/areas.h"

namespace postern::adapter {
namespace {

std::string hex(std::string_view octets) {
  std::string text;
  for (const char c : octets) {
    text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

Json mailboxes(const filters::AddressList& list) {
  Json entries = Json::array();
  for (const auto& mailbox : list.mailboxes)
    entries.push_back({{"name", mailbox.name}, {"address", mailbox.address()}});
  return entries;
}

Json part_of(const filters::ContentPart& part) {
  Json entry = {{"path", part.path}, {"type", part.type}};
  if (!part.charset.empty()) entry["charset"] = part.charset;
  entry["encoding"] = part.encoding;
  if (!part.disposition.empty()) entry["disposition"] = part.disposition;
  if (!part.filename.empty()) entry["filename"] = part.filename;
  entry["octets"] = part.octets.size();
  entry["sha256"] = hex(filters::crypto::digest(filters::crypto::Algorithm::sha256, part.octets));
  entry["oddities"] = part.oddities.names();
  return entry;
}

/// One field alone: {"field": "content-type"|"text"|"addresses", "value_b64"}.
Json field_of(const Json& question) {
  const auto kind = question.at("field").get<std::string>();
  const std::string value = octets_of(question, "value_b64");
  filters::Oddities oddities;
  if (kind == "text")
    return {{"text", filters::decode_header_text(value, oddities)}, {"oddities", oddities.names()}};
  if (kind == "addresses")
    return {{"mailboxes", mailboxes(filters::decode_addresses(value, oddities))},
            {"oddities", oddities.names()}};
  if (kind != "content-type") return error("field: content-type, text or addresses is expected");
  const auto field = filters::parse_structured_field(value);
  Json answer = {{"value", field.value}, {"parameters", Json::array()}};
  for (const auto& parameter : field.parameters)
    answer["parameters"].push_back({parameter.name, filters::decode_parameter(parameter, oddities)});
  oddities.add(field.oddities);
  answer["oddities"] = oddities.names();
  return answer;
}

}  // namespace

Json mime(const Json& question) {
  if (question.contains("field")) return field_of(question);
  const std::string message = octets_of(question, "message_b64");
  const auto analysis = filters::Analysis::of(message);
  const auto content = filters::Content::of(analysis);
  Json answer = {{"headers", Json::array()}};
  for (const auto& field : analysis.fields())
    answer["headers"].push_back({{"name", field.name}, {"value", filters::Analysis::unfolded(field.value)}});
  answer["subject"] = content.subject();
  answer["from"] = mailboxes(content.from());
  answer["to"] = mailboxes(content.to());
  answer["parts"] = Json::array();
  for (const auto& part : content.parts()) answer["parts"].push_back(part_of(part));
  answer["text"] = content.text();
  answer["urls"] = content.urls();
  answer["oddities"] = content.oddities().names();
  for (const std::string& name : analysis.oddities()) answer["oddities"].push_back(name);
  return answer;
}

}  // namespace postern::adapter
