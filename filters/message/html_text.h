#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/oddities.h"

namespace postern::filters {

/// Where a document points to.
struct HtmlReference {
  enum class Kind : unsigned char { link, image, form, frame, refresh, other };
  Kind kind = Kind::other;
  std::string target;  ///< the attribute's value, character references decoded, blanks around it taken off
  std::size_t position = 0;  ///< in HtmlText::text, where it stands
  std::size_t text_end = 0;  ///< of a link: its visible text is text[position, text_end)
  std::string
      shown;  ///< in Content: of a link whose visible text may be a host, that text; see Content::html()
};

/// What a reader sees of an HTML document, and what is there without being seen.
struct HtmlText {
  static constexpr std::size_t kReferencesMax = 10'000;

  std::string text;    ///< UTF-8; block elements, <br> and rows of tables end a line; runs of blanks are one
  std::string hidden;  ///< text that is hidden by style, separated as in `text`
  std::string title;
  std::string base;     ///< href of the first <base>
  std::string charset;  ///< of the first <meta> that names one
  std::vector<HtmlReference> references;

  // Facts.
  std::size_t tags = 0, comments = 0, scripts = 0, forms = 0, password_inputs = 0, images = 0;
  bool hidden_by_display = false;  ///< display:none, visibility:hidden, the hidden attribute
  bool hidden_by_size = false;     ///< font-size, height or opacity of zero; moved off the screen
  bool hidden_by_color = false;    ///< text in the colour of its own background
  bool refresh = false;            ///< <meta http-equiv=refresh>
  bool event_handlers = false;     ///< an attribute on…
  bool data_uris = false, script_uris = false;
  Oddities oddities;
};

/// HTML to text. A tokenizer without a tree: constant state, linear in time, fed in pieces of any size, the same for every split.
/// Follows the tokens of the HTML standard (§13.2.5) as far as they matter for what is seen; input is UTF-8.
class HtmlReader {
 public:
  static constexpr std::size_t kAttributeOctetsMax = 8192;  ///< what is longer is cut off and noted
  static constexpr std::size_t kAttributesMax = 64;         ///< of one tag
  static constexpr std::size_t kNameOctetsMax = 32;

  /// `text_octets_max` bounds text and hidden each.
  explicit HtmlReader(std::size_t text_octets_max) : text_octets_max_(text_octets_max) {}
  void write(std::string_view piece);
  /// Ends the document. Call once, last.
  HtmlText finish();

 private:
  enum class State : std::uint8_t {
    text,
    reference,
    tag_open,
    end_tag_open,
    tag_name,
    before_attribute,
    attribute_name,
    after_attribute_name,
    before_value,
    value_double,
    value_single,
    value_bare,
    bogus_comment,
    declaration,
    comment,
    raw,
    raw_less,
    raw_end,
  };
  struct Attribute {
    std::string name, value;
  };

  std::size_t text_run(std::string_view piece, std::size_t at);
  void step(char c);
  void text_octet(char c);
  void put(std::string_view run);
  void break_line();
  void end_reference();
  void begin_attribute(char c);
  void attribute_octet(char c);
  void end_tag();
  void start_element();
  void end_element();
  void unhide();
  void read_target(HtmlReference::Kind kind, std::string_view attribute);
  void add_reference(HtmlReference::Kind kind, std::string target);
  void read_meta();
  bool is_hiding();
  const std::string* attribute(std::string_view name) const;
  std::string& sink();

  std::size_t text_octets_max_;
  HtmlText html_;
  State state_ = State::text;
  std::string reference_;  // after "&"
  std::string name_;       // of the tag
  bool end_tag_ = false;
  std::vector<Attribute> attributes_;
  bool attribute_kept_ = false;
  std::string raw_name_;  // of the element whose end ends raw text
  std::string raw_seen_;  // of a possible end tag in it
  unsigned dashes_ = 0;
  std::string declaration_;
  bool blank_ = false;                            // a blank is due before the next octet
  bool text_full_ = false, hidden_full_ = false;  // text_octets_max_ has cut something off
  unsigned preformatted_ = 0;
  std::string hidden_name_;  // the element that hides; empty when nothing is hidden
  std::size_t hidden_depth_ = 0;
  std::size_t hidden_blocks_ = 0;  // blocks open within it
  std::size_t open_link_ = 0;      // 1 + index in references; 0 for none
  bool background_seen_ = false;
  std::string page_color_ = "white";
};

/// All character references of an attribute's value decoded.
std::string decode_html_references(std::string_view text);

}  // namespace postern::filters
