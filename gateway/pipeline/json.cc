#include "gateway/pipeline/json.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "gateway/log/log.h"

namespace postern::pipeline {

void JsonWriter::separate() {
  if (!text_.empty() && text_.back() != '{' && text_.back() != '[') text_.push_back(',');
}

void JsonWriter::key(std::string_view name) {
  separate();
  text_.push_back('"');
  text_.append(name);  // ours: needs no escaping
  text_.append("\":");
}

JsonWriter& JsonWriter::open_object() {
  separate();
  text_.push_back('{');
  return *this;
}

JsonWriter& JsonWriter::open_object(std::string_view name) {
  key(name);
  text_.push_back('{');
  return *this;
}

JsonWriter& JsonWriter::close_object() {
  text_.push_back('}');
  return *this;
}

JsonWriter& JsonWriter::open_array(std::string_view name) {
  key(name);
  text_.push_back('[');
  return *this;
}

JsonWriter& JsonWriter::close_array() {
  text_.push_back(']');
  return *this;
}

JsonWriter& JsonWriter::field(std::string_view name, std::string_view value) {
  key(name);
  text_.append(log::quoted(value));
  return *this;
}

JsonWriter& JsonWriter::field(std::string_view name, bool value) {
  key(name);
  text_.append(value ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::field(std::string_view name, double value) {
  key(name);
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(text_), "{}", value);
  } else {
    text_.append("null");  // JSON has no word for it
  }
  return *this;
}

JsonWriter& JsonWriter::number(std::string_view name, std::int64_t value) {
  key(name);
  const fmt::format_int digits(value);
  text_.append(digits.data(), digits.size());
  return *this;
}

JsonWriter& JsonWriter::element(std::string_view value) {
  separate();
  text_.append(log::quoted(value));
  return *this;
}

JsonWriter& JsonWriter::members_of(std::string_view object) {
  if (object.size() <= 2) return *this;  // {}
  separate();
  text_.append(object.substr(1, object.size() - 2));
  return *this;
}

}  // namespace postern::pipeline
