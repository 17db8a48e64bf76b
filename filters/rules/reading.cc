#include "filters/rules/reading.h"

#include <algorithm>
#include <utility>

#include "filters/message/header_text.h"
#include "filters/message/host.h"
#include "filters/message/urls.h"

namespace postern::filters::rules {
namespace {

/// Octets of the domain's form that rules compare: lower case A-labels where they can be made.
std::string normal_domain(std::string_view domain) {
  return normal_host(domain);
}

bool is_below(std::string_view name, std::string_view domain) {
  return name == domain || (name.size() > domain.size() && name.ends_with(domain) &&
                            name[name.size() - domain.size() - 1] == '.');
}

/// A port that the scheme does not have by itself.
bool is_odd_port(const UrlPieces& pieces) {
  return !pieces.port.empty() && pieces.port != "80" && pieces.port != "443";
}

/// The host that a link's text shows, if it is nothing but a URL or a host.
std::string shown_host(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  if (text.size() > 200 || text.find(' ') != std::string_view::npos) return {};
  const auto found = find_urls(text, 2);
  if (found.size() != 1 || found.front().position != 0) return {};
  return normal_host(split_url(found.front().url).host);
}

}  // namespace

Reading::Reading(const Envelope& envelope, const Analysis& analysis, const Content& content,
                 const std::vector<ProtectedName>& names)
    : envelope_(envelope), analysis_(analysis), content_(content) {
  fold_text(content.subject(), body_, subject_shape_);
  if (!body_.empty() && body_.back() != '\n') body_ += '\n';
  fold_text(std::string_view(content.text()).substr(0, kBodyOctetsMax), body_, body_shape_);
  fold_text(std::string_view(content.hidden_text()).substr(0, kBodyOctetsMax), hidden_, hidden_shape_);
  read_from(names);
  read_urls();
  read_links();
  read_parts();
}

std::string Reading::from_address() const {
  const auto& mailboxes = content_.from().mailboxes;
  return mailboxes.empty() ? std::string() : to_lower(mailboxes.front().address());
}

void Reading::read_from(const std::vector<ProtectedName>& names) {
  const auto& mailboxes = content_.from().mailboxes;
  if (mailboxes.empty()) return;
  from_name_ = mailboxes.front().name;
  from_domain_ = normal_domain(mailboxes.front().domain);
  if (names.empty() || from_name_.empty()) return;
  const std::string shown = skeleton(from_name_);
  for (const ProtectedName& name : names) {
    if (shown.find(name.folded) == std::string::npos || is_below(from_domain_, name.domain)) continue;
    impersonated_ = &name;
    return;
  }
}

void Reading::read_urls() {
  urls_.reserve(content_.urls().size());
  for (const std::string& url : content_.urls()) {
    const UrlPieces pieces = split_url(url);
    UrlReading reading{.url = url, .host = normal_host(pieces.host), .domain = {}};
    reading.domain = registrable_domain(reading.host);
    reading.address = is_address_host(reading.host);
    reading.userinfo = pieces.has_userinfo;
    reading.odd_port = is_odd_port(pieces);
    reading.encoded_host = pieces.host.find('%') != std::string_view::npos ||
                           (reading.address && !pieces.host.starts_with('[') && pieces.host != reading.host);
    urls_.push_back(std::move(reading));
  }
}

/// HtmlText gives away its text, so links are compared where the text still stands: in HtmlReference::shown.
void Reading::read_links() {
  for (const HtmlText& html : content_.html())
    for (const HtmlReference& reference : html.references) {
      if (reference.kind != HtmlReference::Kind::link || reference.shown.empty()) continue;
      const std::string shown = shown_host(reference.shown);
      if (shown.empty()) continue;
      const std::string target = url_of_target(reference.target);
      if (target.empty()) continue;
      const std::string host = normal_host(split_url(target).host);
      if (registrable_domain(host) != registrable_domain(shown)) ++mismatched_links_;
    }
}

void Reading::read_parts() {
  std::size_t octets = 0;
  for (const ContentPart& part : content_.parts()) {
    if (part.type.starts_with("text/") && !part.is_message && octets < kRawOctetsMax) {
      raw_texts_.push_back(part.octets.substr(0, kRawOctetsMax - octets));
      octets += raw_texts_.back().size();
    }
    if (is_attachment(part)) files_.push_back({.part = &part, .facts = look_at_attachment(part)});
  }
}

void Reading::header_values(std::string_view name, Form form, std::vector<std::string>& out) const {
  std::size_t seen = 0;
  for (const HeaderField& field : analysis_.fields()) {
    if (!same_word(field.name, name)) continue;
    if (++seen > kFieldsMax) return;
    const std::string_view value = field.value.substr(0, kValueOctetsMax);
    Oddities ignored;
    switch (form) {
      case Form::raw:
        out.emplace_back(value.starts_with(' ') ? value.substr(1) : value);
        break;
      case Form::decoded:
        out.push_back(decode_header_text(value, ignored));
        break;
      default:
        for (MailboxName& mailbox : decode_addresses(value, ignored).mailboxes) {
          if (form == Form::address) out.push_back(to_lower(mailbox.address()));
          if (form == Form::name) out.push_back(std::move(mailbox.name));
          if (form == Form::domain) out.push_back(normal_domain(mailbox.domain));
        }
    }
  }
}

std::string Reading::header_block() const {
  std::string block;
  for (const HeaderField& field : analysis_.fields()) {
    Oddities ignored;
    block.append(field.name).append(": ");
    block += decode_header_text(field.value.substr(0, kValueOctetsMax), ignored);
    block += '\n';
    if (block.size() > 16 * kValueOctetsMax) break;
  }
  return block;
}

std::vector<std::string> Reading::values(const Subject& subject) const {
  std::vector<std::string> out;
  switch (subject.field) {
    case Field::header:
      for (std::string_view rest = subject.name; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        header_values(rest.substr(0, comma), subject.form, out);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
      break;
    case Field::header_block:
      out.push_back(header_block());
      break;
    case Field::attachment_name:
      for (const File& file : files_)
        if (!file.part->filename.empty()) out.push_back(file.part->filename);
      break;
    case Field::attachment_type:
      for (const File& file : files_) out.push_back(file.part->type);
      break;
    case Field::attachment_extension:
      for (const File& file : files_)
        if (!file.facts.extension.empty()) out.push_back(file.facts.extension);
      break;
    case Field::envelope_from:
      out.push_back(envelope_.mail_from);
      break;
    case Field::envelope_recipient:
      out = envelope_.recipients;
      break;
    case Field::envelope_helo:
      out.push_back(envelope_.helo);
      break;
    case Field::client_name:
      out.push_back(envelope_.client_name);
      break;
    case Field::client_ip:
      out.push_back(envelope_.client_ip.text());
      break;
    default:
      break;
  }
  return out;
}

std::size_t Reading::count(const Subject& subject) const {
  if (subject.field != Field::header) return values(subject).size();
  std::size_t total = 0;
  for (std::string_view rest = subject.name; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    total += analysis_.count(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return total;
}

}  // namespace postern::filters::rules
