#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::pipeline {

/// Writes one JSON text front to back, without white space and without a document in memory: there is one for
/// every message. The caller sees to it that what it opens it closes.
class JsonWriter {
 public:
  explicit JsonWriter(std::size_t octets_expected) { text_.reserve(octets_expected); }

  JsonWriter& open_object();  ///< the whole, or an element of an array
  JsonWriter& open_object(std::string_view key);
  JsonWriter& close_object();
  JsonWriter& open_array(std::string_view key);
  JsonWriter& close_array();

  JsonWriter& field(std::string_view key, std::string_view value);
  JsonWriter& field(std::string_view key, const char* value) { return field(key, std::string_view(value)); }
  JsonWriter& field(std::string_view key, bool value);
  JsonWriter& field(std::string_view key, double value);  ///< the shortest text that reads back equal
  template <std::integral Integer>
  JsonWriter& field(std::string_view key, Integer value) {
    return number(key, static_cast<std::int64_t>(value));
  }
  JsonWriter& element(std::string_view value);
  /// The members of an object written elsewhere, `{…}`, become members of the one that is open.
  JsonWriter& members_of(std::string_view object);

  std::string take() { return std::move(text_); }

 private:
  JsonWriter& number(std::string_view key, std::int64_t value);
  void separate();
  void key(std::string_view name);
  std::string text_;
};

}  // namespace postern::pipeline
