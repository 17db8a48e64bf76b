#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/control/json.h"

namespace postern::cli {

/// Lines with aligned columns. Control characters in cells are shown as '?': what is printed comes from strangers.
class Table {
 public:
  enum class Align : unsigned char { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// As many cells as there are columns.
  void row(std::vector<std::string> cells);
  /// Two blanks between columns, none at the end of a line. Without rows: nothing but the titles.
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Without control characters.
std::string printable(std::string_view text);
/// "0 B", "999 B", "1.2 KiB", "3.4 GiB".
std::string human_octets(std::uint64_t octets);
/// "12 s", "3 min", "5 h 12 min", "8 d 3 h".
std::string human_duration(std::int64_t seconds);
/// "2026-11-24 12:00:00Z" out of the form of the API; what is not in that form stays.
std::string human_time(std::string_view timestamp);

/// To standard output.
void print(std::string_view text);
void print_json(const control::Json& json);
/// "postern: SENTENCE" to standard error.
void complain(std::string_view sentence);

/// Members of an object of the API; "" and 0 where they are missing or of another type.
std::string text_of(const control::Json& object, const char* key);
std::int64_t number_of(const control::Json& object, const char* key);
const control::Json& member_of(const control::Json& object, const char* key);

}  // namespace postern::cli
