#include "filters/message/mime.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace postern::filters {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;
constexpr std::size_t kBoundaryOctetsMax = 70;  // RFC 2046 §5.1.1; longer ones are noted, and work

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view trimmed_right(std::string_view text) {
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

const HeaderField* find_field(std::span<const HeaderField> fields, std::string_view name) {
  const auto found =
      std::ranges::find_if(fields, [name](const HeaderField& field) { return same_word(field.name, name); });
  return found == fields.end() ? nullptr : &*found;
}

bool is_repeated(std::span<const HeaderField> fields, std::string_view name) {
  return std::ranges::count_if(fields,
                               [name](const HeaderField& field) { return same_word(field.name, name); }) > 1;
}

bool is_encoded(std::string_view encoding) {
  return !encoding.empty() && encoding != "7bit" && encoding != "8bit" && encoding != "binary";
}

/// How a line compares with one boundary.
enum class Match : unsigned char { no, starts, delimiter, close };

/// `line` starts with "--" and has no trailing blanks.
Match compare(std::string_view line, std::string_view boundary, bool& with_text) {
  const std::string_view rest = line.substr(2);
  if (!rest.starts_with(boundary)) return Match::no;
  const std::string_view tail = rest.substr(boundary.size());
  with_text = false;
  if (tail.empty()) return Match::delimiter;
  if (tail == "--") return Match::close;
  with_text = true;
  if (is_blank(tail.front())) return Match::delimiter;
  if (tail.size() > 2 && tail.starts_with("--") && is_blank(tail[2])) return Match::close;
  return Match::starts;
}

class Walker {
 public:
  Walker(std::string_view text, const MimeLimits& limits, std::vector<Entity>& entities)
      : text_(text), limits_(limits), entities_(entities) {}

  void run_body(std::span<const HeaderField> fields) {
    root_fields_ = fields;
    open_entity();
    begin_body(0);
    walk();
  }

  void run_message(std::string_view path, unsigned depth) {
    base_depth_ = depth;
    frames_.push_back({.entity = Entity::kNone, .boundary = {}, .prefix = std::string(path)});
    open_entity();
    in_header_ = true;
    walk();
  }

 private:
  /// An open multipart or message.
  struct Frame {
    std::size_t entity;
    std::string boundary;  // empty for a message
    std::string prefix;    // of the paths of what it contains
    std::size_t children = 0;
    std::size_t epilogue_at = kNowhere;  // set once its final delimiter was seen
    bool delimiter_seen = false;
  };

  void walk() {
    while (at_ < text_.size()) {
      if (in_header_) {
        header_line();
      } else {
        body_lines();
      }
    }
    while (in_header_) begin_body(at_);
    close_frames(0, text_.size());
  }

  // Lines ------------------------------------------------------------------------------------------------------------------------

  std::string_view line_at(std::size_t at) const {
    const std::size_t line_feed = text_.find('\n', at);
    return text_.substr(at, line_feed == kNowhere ? kNowhere : line_feed + 1 - at);
  }

  /// Goes to the next line that starts with "--" and looks at it.
  void body_lines() {
    if (full_ || !has_boundary()) {
      at_ = text_.size();
      return;
    }
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with("--")) {
        const std::string_view line = line_at(at_);
        if (delimiter(line)) return;
        at_ += line.size();
        continue;
      }
      const auto* found = static_cast<const char*>(std::memchr(text_.data() + at_, '\n', text_.size() - at_));
      at_ = found == nullptr ? text_.size() : static_cast<std::size_t>(found - text_.data()) + 1;
    }
  }

  bool has_boundary() const {
    return std::ranges::any_of(frames_, [](const Frame& frame) { return !frame.boundary.empty(); });
  }

  /// True if it was one: at_ is then behind it, and something else goes on.
  bool delimiter(std::string_view whole_line) {
    const std::string_view line = trimmed_right(whole_line);
    std::size_t tolerated = kNowhere;
    Match tolerated_match = Match::no;
    Frame* after_close = nullptr;
    Frame* starts = nullptr;
    for (std::size_t i = frames_.size(); i-- > 0;) {
      Frame& frame = frames_[i];
      if (frame.boundary.empty()) continue;
      bool with_text = false;
      const Match match = compare(line, frame.boundary, with_text);
      if (match == Match::no) continue;
      if (frame.epilogue_at != kNowhere) {
        if (match == Match::delimiter) after_close = &frame;
      } else if (match == Match::starts) {
        starts = &frame;
      } else if (!with_text) {
        take_delimiter(i, match, whole_line);
        return true;
      } else if (tolerated == kNowhere) {
        tolerated = i;
        tolerated_match = match;
      }
    }
    if (tolerated != kNowhere) {
      entities_[frames_[tolerated].entity].oddities.add(Oddity::delimiter_with_text);
      take_delimiter(tolerated, tolerated_match, whole_line);
      return true;
    }
    if (after_close != nullptr) entities_[after_close->entity].oddities.add(Oddity::delimiter_after_close);
    if (starts != nullptr) entities_[starts->entity].oddities.add(Oddity::delimiter_with_text);
    return false;
  }

  void take_delimiter(std::size_t index, Match match, std::string_view line) {
    // RFC 2046 §5.1.1: the line end in front belongs to the delimiter.
    std::size_t end = at_;
    if (end > 0 && text_[end - 1] == '\n') --end;
    if (end > 0 && end < at_ && text_[end - 1] == '\r') --end;
    while (in_header_) begin_body(at_);  // again for the header of a nested message
    close_frames(index + 1, end);
    Frame& frame = frames_[index];
    if (!frame.delimiter_seen) {
      Entity& multipart = entities_[frame.entity];
      multipart.preamble = between(body_at_of(frame.entity), end);
      frame.delimiter_seen = true;
    }
    at_ += line.size();
    if (match == Match::close) {
      frame.epilogue_at = at_;
      return;
    }
    if (entities_.size() >= limits_.parts_max) {
      entities_[frame.entity].oddities.add(Oddity::too_many_parts);
      full_ = true;
      leaf_ = entities_.size() - 1;
      while (leaf_ > 0 && entities_[leaf_].kind != Entity::Kind::leaf) --leaf_;
      return;
    }
    open_entity();
    in_header_ = true;
  }

  std::string_view between(std::size_t from, std::size_t to) const {
    return to > from ? text_.substr(from, to - from) : text_.substr(std::min(from, text_.size()), 0);
  }
  std::size_t body_at_of(std::size_t entity) const { return body_at_[entity]; }

  // Headers ----------------------------------------------------------------------------------------------------------------------

  void header_line() {
    const std::string_view line = line_at(at_);
    const std::string_view text = without_line_end(line);
    if (text.empty()) {
      at_ += line.size();
      begin_body(at_);
      return;
    }
    if (text.starts_with("--") && has_boundary() && delimiter(line)) return;
    Entity& entity = entities_.back();
    if (is_blank(text.front()) && !entity.fields.empty()) {
      HeaderField& field = entity.fields.back();
      field.raw = std::string_view(field.raw.data(), field.raw.size() + line.size());
      field.value = without_line_end(std::string_view(
          field.value.data(),
          static_cast<std::size_t>(field.raw.data() + field.raw.size() - field.value.data())));
    } else if (!take_field(entity, line)) {
      return;
    }
    at_ += line.size();
  }

  bool take_field(Entity& entity, std::string_view line) {
    const std::size_t colon = line.find(':');
    const std::string_view name = trimmed_right(line.substr(0, colon));
    const bool is_name = colon != kNowhere && !name.empty() &&
                         std::ranges::all_of(name, [](char c) { return c > 32 && c < 127; });
    if (!is_name) {
      // The line that separates messages in a mailbox file, in front of a nested message.
      if (entity.fields.empty() && (line.starts_with("From ") || line.starts_with(">From "))) {
        entity.oddities.add(Oddity::part_header_unended);
        return true;
      }
      // Whatever this is, a reader that shows the part shows it from here.
      entity.oddities.add(Oddity::part_header_unended);
      begin_body(at_);
      return false;
    }
    if (fields_ == limits_.header_fields_max) {
      entity.oddities.add(Oddity::part_header_limit);
      begin_body(at_);
      return false;
    }
    ++fields_;
    entity.fields.push_back({.name = name, .value = without_line_end(line.substr(colon + 1)), .raw = line});
    return true;
  }

  // The tree ---------------------------------------------------------------------------------------------------------------------

  void open_entity() {
    Entity entity;
    if (!frames_.empty()) {
      entity.parent = frames_.back().entity;
      ++frames_.back().children;
    }
    entities_.push_back(std::move(entity));
    body_at_.push_back(at_);
  }

  std::span<const HeaderField> fields_of(std::size_t index) const {
    const bool is_root = index == 0 && frames_.empty();
    return is_root ? root_fields_ : std::span<const HeaderField>(entities_[index].fields);
  }

  /// The newest entity's header has been read.
  void begin_body(std::size_t at) {
    in_header_ = false;
    const std::size_t index = entities_.size() - 1;
    Entity& entity = entities_[index];
    body_at_[index] = at;
    read_fields(entity, fields_of(index));

    const bool in_message = frames_.empty() || frames_.back().boundary.empty();
    const std::string prefix = frames_.empty() ? std::string() : frames_.back().prefix;
    const std::size_t number = frames_.empty() ? 1 : frames_.back().children;
    std::string boundary = boundary_of(entity);
    const std::string numbered =
        prefix.empty() ? fmt::format("{}", number) : fmt::format("{}.{}", prefix, number);
    const bool is_message = (entity.type == "message/rfc822" || entity.type == "message/global");
    if (frames_.size() + base_depth_ >= limits_.depth_max && (is_message || !boundary.empty())) {
      entity.oddities.add(Oddity::too_deep);
    } else if (!boundary.empty()) {
      entity.kind = Entity::Kind::multipart;
      entity.path = in_message ? prefix : numbered;
      if (is_encoded(entity.encoding)) entity.oddities.add(Oddity::encoded_multipart);
      frames_.push_back({.entity = index, .boundary = std::move(boundary), .prefix = entity.path});
      leaf_ = Entity::kNone;
      return;
    } else if (is_message && !is_encoded(entity.encoding) && entities_.size() < limits_.parts_max) {
      entity.kind = Entity::Kind::message;
      entity.path = numbered;
      frames_.push_back({.entity = index, .boundary = {}, .prefix = entity.path});
      leaf_ = Entity::kNone;
      open_entity();
      in_header_ = true;
      return;
    }
    if (is_message && is_encoded(entity.encoding)) entity.oddities.add(Oddity::encoded_message);
    entity.path = numbered;
    leaf_ = index;
  }

  std::string boundary_of(Entity& entity) {
    if (!entity.type.starts_with("multipart/")) return {};
    const Parameter* parameter = entity.content_type.find("boundary");
    // §5.1.1: a boundary does not end with a blank.
    std::string boundary =
        parameter == nullptr ? std::string() : std::string(trimmed_right(parameter->value));
    if (boundary.empty()) entity.oddities.add(Oddity::multipart_without_boundary);
    if (boundary.size() > kBoundaryOctetsMax) entity.oddities.add(Oddity::boundary_too_long);
    return boundary;
  }

  void read_fields(Entity& entity, std::span<const HeaderField> fields) {
    if (is_repeated(fields, "Content-Type") || is_repeated(fields, "Content-Transfer-Encoding"))
      entity.oddities.add(Oddity::duplicate_content_type);
    // RFC 2046 §5.1.5: the parts of a digest are messages unless they say otherwise.
    const bool in_digest =
        entity.parent != Entity::kNone && entities_[entity.parent].type == "multipart/digest";
    entity.type = in_digest ? "message/rfc822" : "text/plain";
    if (const HeaderField* field = find_field(fields, "Content-Type")) {
      entity.content_type = parse_structured_field(field->value);
      entity.oddities.add(entity.content_type.oddities);
      if (is_media_type(entity.content_type.value)) {
        entity.type = entity.content_type.value;
      } else {
        entity.type = "text/plain";  // RFC 2045 §5.2
        entity.oddities.add(Oddity::content_type_broken);
      }
    }
    entity.encoding = "7bit";  // RFC 2045 §6.1
    if (const HeaderField* field = find_field(fields, "Content-Transfer-Encoding")) {
      std::string encoding = parse_structured_field(field->value).value;
      if (!encoding.empty()) entity.encoding = std::move(encoding);
    }
    if (const HeaderField* field = find_field(fields, "Content-Disposition")) {
      entity.disposition = parse_structured_field(field->value);
      entity.oddities.add(entity.disposition.oddities);
    }
  }

  void end_leaf(std::size_t end) {
    if (leaf_ == Entity::kNone) return;
    entities_[leaf_].body = between(body_at_[leaf_], end);
    leaf_ = Entity::kNone;
  }

  /// Closes the frames from the innermost down to `from`; what they hold ends at `end`.
  void close_frames(std::size_t from, std::size_t end) {
    end_leaf(end);
    while (frames_.size() > from) {
      const Frame frame = std::move(frames_.back());
      frames_.pop_back();
      if (frame.entity == Entity::kNone) continue;
      Entity& entity = entities_[frame.entity];
      entity.body = between(body_at_[frame.entity], end);
      if (frame.boundary.empty()) continue;
      if (!frame.delimiter_seen) {
        entity.oddities.add(Oddity::no_delimiter);
        entity.kind = Entity::Kind::leaf;
        if (entity.path.empty() || (!frames_.empty() && frames_.back().boundary.empty()))
          entity.path = entity.path.empty() ? "1" : entity.path + ".1";
      } else if (frame.epilogue_at == kNowhere) {
        entity.oddities.add(Oddity::no_final_delimiter);
      } else {
        entity.epilogue = between(frame.epilogue_at, end);
      }
    }
  }

  std::string_view text_;
  const MimeLimits& limits_;
  std::vector<Entity>& entities_;
  std::span<const HeaderField> root_fields_;
  std::vector<std::size_t> body_at_;  // where the body of each entity starts
  std::vector<Frame> frames_;
  std::size_t at_ = 0;
  std::size_t leaf_ = Entity::kNone;  // whose body is being read
  std::size_t fields_ = 0;
  unsigned base_depth_ = 0;
  bool in_header_ = false;
  bool full_ = false;  // parts_max is reached: no more delimiters
};

}  // namespace

Mime Mime::of(std::span<const HeaderField> fields, std::string_view body, const MimeLimits& limits) {
  Mime mime;
  Walker(body, limits, mime.entities_).run_body(fields);
  return mime;
}

Mime Mime::of_message(std::string_view message, std::string_view path, unsigned depth,
                      const MimeLimits& limits) {
  Mime mime;
  Walker(message, limits, mime.entities_).run_message(path, depth);
  return mime;
}

}  // namespace postern::filters
