#include "filters/message/content.h"

#include <algorithm>
#include <utility>

#include "filters/message/charset.h"
#include "filters/message/content_field.h"
#include "filters/message/decode.h"
#include "filters/message/header_text.h"
#include "filters/message/urls.h"

namespace postern::filters {
namespace {

constexpr std::size_t kSniffedOctets = 2048;  // where a <meta> with the charset is looked for
constexpr unsigned kEncodedDepthMax = 8;      // messages in base64 within messages in base64

/// The charset an HTML part names itself, for parts that declare none.
std::string sniffed_charset(std::string_view html) {
  HtmlReader reader(0);
  reader.write(html.substr(0, kSniffedOctets));
  return reader.finish().charset;
}

}  // namespace

/// Puts a Content together.
class ContentMaker {
 public:
  explicit ContentMaker(const ContentLimits& limits) : limits_(limits) {}

  Content run(const Analysis& analysis) {
    read_header(analysis);
    add_tree(Mime::of(analysis.fields(), analysis.body(), limits_.mime), 0);
    content_.urls_ = urls_.take();
    if (urls_.truncated()) content_.oddities_.add(Oddity::url_limit);
    for (const ContentPart& part : content_.parts_) content_.oddities_.add(part.oddities);
    return std::move(content_);
  }

 private:
  /// The visible text of one entity while its tree is looked at.
  struct Rendered {
    std::string text;
    std::size_t part = Entity::kNone;  // index in parts_
    bool has_text = false;             // itself or something below
    bool shown = true;
    std::size_t chosen = Entity::kNone;  // of a multipart/alternative: the child to show
  };

  void read_header(const Analysis& analysis) {
    if (const HeaderField* field = analysis.find("Subject"))
      content_.subject_ = decode_header_text(field->value, content_.oddities_);
    if (const HeaderField* field = analysis.find("From"))
      content_.from_ = decode_addresses(field->value, content_.oddities_);
    if (const HeaderField* field = analysis.find("To"))
      content_.to_ = decode_addresses(field->value, content_.oddities_);
  }

  void add_tree(const Mime& mime, unsigned encoded_depth) {
    const std::vector<Entity>& entities = mime.entities();
    std::vector<Rendered> rendered(entities.size());
    for (std::size_t i = 0; i < entities.size(); ++i) {
      content_.oddities_.add(entities[i].oddities);
      if (entities[i].kind == Entity::Kind::multipart) continue;
      rendered[i].part = add_part(entities[i], encoded_depth);
      if (entities[i].kind == Entity::Kind::leaf) rendered[i].text = text_of(rendered[i].part);
      rendered[i].has_text = rendered[i].text.find_first_not_of(" \t\r\n") != std::string::npos;
    }
    choose(entities, rendered);
    for (std::size_t i = 0; i < entities.size(); ++i)
      if (rendered[i].shown && rendered[i].has_text && entities[i].kind == Entity::Kind::leaf) {
        content_.parts_[rendered[i].part].shown = true;
        append_text(rendered[i].text);
      }
    for (std::size_t i = 0; i < entities.size(); ++i)
      if (entities[i].oddities.has(Oddity::encoded_message) && encoded_depth < kEncodedDepthMax) {
        const ContentPart& part = content_.parts_[rendered[i].part];
        const std::string path = part.path;
        add_tree(Mime::of_message(part.octets, path, encoded_depth + 1, limits_.mime), encoded_depth + 1);
      }
  }

  /// Which alternatives are shown: from the leaves up the last with text, from the root down what is below it.
  static void choose(const std::vector<Entity>& entities, std::vector<Rendered>& rendered) {
    for (std::size_t i = entities.size(); i-- > 1;) {
      const std::size_t parent = entities[i].parent;
      if (!rendered[i].has_text || parent == Entity::kNone || is_attachment(entities[i])) continue;
      rendered[parent].has_text = true;
      if (rendered[parent].chosen == Entity::kNone) rendered[parent].chosen = i;
    }
    for (std::size_t i = 0; i < entities.size(); ++i) {
      const std::size_t parent = entities[i].parent;
      if (is_attachment(entities[i]) && i > 0) rendered[i].shown = false;
      if (parent == Entity::kNone) continue;
      if (!rendered[parent].shown) rendered[i].shown = false;
      if (entities[parent].type == "multipart/alternative" && rendered[parent].chosen != i)
        rendered[i].shown = false;
    }
  }

  static bool is_attachment(const Entity& entity) { return entity.disposition.value == "attachment"; }

  std::size_t add_part(const Entity& entity, unsigned encoded_depth) {
    ContentPart part{.path = entity.path,
                     .type = entity.type,
                     .charset = {},
                     .encoding = entity.encoding,
                     .disposition = entity.disposition.value,
                     .filename = {},
                     .raw = entity.body,
                     .octets = entity.body,
                     .oddities = entity.oddities,
                     .is_message = entity.kind == Entity::Kind::message};
    if (const Parameter* charset = entity.content_type.find("charset"))
      part.charset = to_lower(charset->value);
    const Parameter* filename = entity.disposition.find("filename");
    if (filename == nullptr) filename = entity.content_type.find("name");
    if (filename != nullptr) part.filename = decode_parameter(*filename, part.oddities);
    if (!part.is_message) decode(part);
    if (entity.oddities.has(Oddity::encoded_message) && encoded_depth >= kEncodedDepthMax)
      part.oddities.add(Oddity::too_deep);
    content_.parts_.push_back(std::move(part));
    return content_.parts_.size() - 1;
  }

  void decode(ContentPart& part) {
    switch (transfer_encoding(part.encoding)) {
      case TransferEncoding::unknown:
        part.oddities.add(Oddity::encoding_unknown);
        return;
      case TransferEncoding::identity:
        if (part.type.starts_with("text/") && has_uuencode(part.raw))
          part.oddities.add(Oddity::uuencode_inline);
        return;
      case TransferEncoding::base64:
        content_.decoded_.push_back(decode_base64(part.raw, part.oddities));
        break;
      case TransferEncoding::quoted_printable:
        content_.decoded_.push_back(decode_quoted_printable(part.raw, part.oddities));
        break;
      case TransferEncoding::uuencode:
        content_.decoded_.push_back(decode_uuencode(part.raw, part.oddities));
        break;
    }
    part.octets = content_.decoded_.back();
  }

  /// The text of a part as it is read, with its URLs taken; empty for what is no text.
  std::string text_of(std::size_t index) {
    ContentPart& part = content_.parts_[index];
    // A multipart that could not be taken apart is shown as text.
    const bool is_text = part.type.starts_with("text/") || part.type.starts_with("multipart/") ||
                         part.type == "message/delivery-status";
    if (!is_text) return {};
    const bool is_html = part.type == "text/html" || part.type == "application/xhtml+xml";
    std::string charset = part.charset;
    if (charset.empty() && is_html && !is_ascii(part.octets)) charset = sniffed_charset(part.octets);
    std::string_view octets = part.octets;
    if (octets.starts_with("\xEF\xBB\xBF")) octets.remove_prefix(3);
    std::string text = to_utf8(octets, charset, part.oddities);
    if (is_html) return html_of(text, part);
    if (text.size() > limits_.text_octets_max) {
      std::size_t end = limits_.text_octets_max;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
      text.resize(end);
      part.oddities.add(Oddity::text_limit);
    }
    for (FoundUrl& found : find_urls(text, UrlList::kUrlsMax + 1)) urls_.add(std::move(found.url));
    return text;
  }

  std::string html_of(std::string_view source, ContentPart& part) {
    HtmlReader reader(limits_.text_octets_max);
    reader.write(source);
    HtmlText html = reader.finish();
    part.oddities.add(html.oddities);
    // Targets and URLs in the text, in the order in which they stand in the document.
    auto found = find_urls(html.text, UrlList::kUrlsMax + 1);
    auto next = found.begin();
    for (HtmlReference& reference : html.references) {
      keep_shown(html.text, reference);
      for (; next != found.end() && next->position < reference.position; ++next)
        urls_.add(std::move(next->url));
      urls_.add(url_of_target(reference.target));
    }
    for (; next != found.end(); ++next) urls_.add(std::move(next->url));
    if (content_.hidden_.size() + html.hidden.size() < limits_.text_octets_max)
      content_.hidden_ += html.hidden;
    std::string text = std::exchange(html.text, {});
    html.hidden.clear();
    content_.html_.push_back(std::move(html));
    return text;
  }

  static void keep_shown(std::string_view text, HtmlReference& reference) {
    if (reference.kind != HtmlReference::Kind::link || reference.text_end <= reference.position) return;
    const std::string_view shown = text.substr(reference.position, reference.text_end - reference.position);
    if (shown.size() <= Content::kShownOctetsMax && shown.find('.') != std::string_view::npos)
      reference.shown = shown;
  }

  void append_text(std::string_view text) {
    if (!content_.text_.empty() && !content_.text_.ends_with('\n')) content_.text_ += '\n';
    std::size_t room = limits_.text_octets_max - std::min(content_.text_.size(), limits_.text_octets_max);
    if (text.size() > room) {
      content_.oddities_.add(Oddity::text_limit);
      while (room > 0 && (static_cast<unsigned char>(text[room]) & 0xC0) == 0x80) --room;
    }
    content_.text_ += text.substr(0, room);
  }

  const ContentLimits& limits_;
  Content content_;
  UrlList urls_;
};

Content Content::of(const Analysis& analysis, const ContentLimits& limits) {
  return ContentMaker(limits).run(analysis);
}

}  // namespace postern::filters
