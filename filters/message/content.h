#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/address_list.h"
#include "filters/message/analysis.h"
#include "filters/message/html_text.h"
#include "filters/message/mime.h"
#include "filters/message/oddities.h"

namespace postern::filters {

struct ContentLimits {
  MimeLimits mime = {};
  std::size_t text_octets_max = 4U << 20;  ///< of visible text, and of hidden text
};

/// A leaf of the MIME tree, or a message within the message, with its transfer encoding undone.
struct ContentPart {
  std::string path;         ///< see Entity::path
  std::string type;         ///< lower case
  std::string charset;      ///< lower case, as declared; empty where it is not
  std::string encoding;     ///< lower case, as declared; "7bit" where it is not
  std::string disposition;  ///< "inline", "attachment", what else is declared, or empty
  std::string
      filename;  ///< UTF-8, of Content-Disposition, else of Content-Type; blanks and slashes are the sender's
  std::string_view raw;     ///< as it stands in the message
  std::string_view octets;  ///< decoded, line ends untouched. The same as raw where nothing was encoded
  Oddities oddities;
  bool is_message = false;
  bool shown = false;  ///< its text is part of Content::text
};

/// What the message says: its parts decoded, its text as a reader sees it, its links. Holds views into the message and into its own
/// strings; movable, not copyable. Made in one go, linear in the message, with at most twice its size in memory besides.
///
/// The visible text is that of all text parts that are no attachments, in document order, a line end between them; of HTML what is not
/// hidden. Of a multipart/alternative only the last part that has visible text counts, which is what a reader shows (RFC 2046 §5.1.4).
/// URLs are taken from every text part, shown or not.
class Content {
 public:
  static Content of(const Analysis& analysis, const ContentLimits& limits = {});
  Content(Content&&) = default;
  Content& operator=(Content&&) = default;

  /// In document order; multiparts are not listed.
  const std::vector<ContentPart>& parts() const { return parts_; }
  const std::string& text() const { return text_; }
  /// Of HTML, hidden by style.
  const std::string& hidden_text() const { return hidden_; }
  /// As found, in order, each once; see urls.h.
  const std::vector<std::string>& urls() const { return urls_; }
  static constexpr std::size_t kShownOctetsMax = 200;
  /// One for each HTML part, without its text. Of that, the visible text of links is kept in HtmlReference::shown where it has a dot
  /// and at most kShownOctetsMax octets: what could be a host that the link does not lead to.
  const std::vector<HtmlText>& html() const { return html_; }
  const std::string& subject() const { return subject_; }
  const AddressList& from() const { return from_; }
  const AddressList& to() const { return to_; }
  /// Of all parts and header texts together.
  const Oddities& oddities() const { return oddities_; }

 private:
  friend class ContentMaker;
  Content() = default;

  std::deque<std::string> decoded_;  // its elements do not move
  std::vector<ContentPart> parts_;
  std::vector<HtmlText> html_;
  std::vector<std::string> urls_;
  std::string text_, hidden_, subject_;
  AddressList from_, to_;
  Oddities oddities_;
};

}  // namespace postern::filters
