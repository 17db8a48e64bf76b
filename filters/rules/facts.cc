#include "filters/rules/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "filters/message/content_field.h"
#include "filters/message/host.h"
#include "filters/rules/date.h"

namespace postern::filters::rules {
namespace {

using Of = double (*)(const Reading&);

struct FactRow {
  std::string_view name;
  Of value;
  std::string_view meaning;
};

double number(std::size_t count) {
  return static_cast<double>(count);
}
double number(bool yes) {
  return yes ? 1 : 0;
}

template <auto Member>
double html_sum(const Reading& reading) {
  double sum = 0;
  for (const HtmlText& html : reading.content().html()) sum += static_cast<double>(html.*Member);
  return sum;
}

double references(const Reading& reading, HtmlReference::Kind kind) {
  double sum = 0;
  for (const HtmlText& html : reading.content().html())
    sum += static_cast<double>(std::ranges::count(html.references, kind, &HtmlReference::kind));
  return sum;
}

template <auto Member>
double urls_with(const Reading& reading) {
  return static_cast<double>(std::ranges::count_if(reading.urls(), Member));
}

template <auto Member>
double files_with(const Reading& reading) {
  return static_cast<double>(
      std::ranges::count_if(reading.files(), [](const Reading::File& file) { return file.facts.*Member; }));
}

double parts_of(const Reading& reading, std::string_view type) {
  return static_cast<double>(std::ranges::count(reading.content().parts(), type, &ContentPart::type));
}

double domains(const Reading& reading) {
  std::set<std::string_view> seen;
  for (const UrlReading& url : reading.urls()) seen.insert(url.domain);
  return number(seen.size());
}

double foreign_urls(const Reading& reading) {
  const std::string own = registrable_domain(reading.from_domain());
  return static_cast<double>(
      std::ranges::count_if(reading.urls(), [&](const UrlReading& url) { return url.domain != own; }));
}

/// Hours between the Date field and the arrival; positive: the date lies behind us.
double date_age(const Reading& reading) {
  const HeaderField* const field = reading.analysis().find("Date");
  if (field == nullptr) return 0;
  const auto date = parse_date(field->value);
  if (!date) return 0;
  return std::chrono::duration<double, std::ratio<3600>>(reading.envelope().received_at - *date).count();
}

double date_broken(const Reading& reading) {
  const HeaderField* const field = reading.analysis().find("Date");
  return number(field != nullptr && !parse_date(field->value));
}

/// The domain registered by whoever stands in the first mailbox of a field; "" when there is none.
std::string domain_in(const Reading& reading, std::string_view field) {
  for (const std::string& domain :
       reading.values({.field = Field::header, .form = Form::domain, .name = std::string(field)}))
    return registrable_domain(domain);
  return {};
}

double differs(const Reading& reading, std::string_view field) {
  const std::string domain = domain_in(reading, field);
  return number(!domain.empty() && !reading.from_domain().empty() &&
                domain != registrable_domain(reading.from_domain()));
}

double envelope_differs(const Reading& reading) {
  const std::string_view domain = domain_of(reading.envelope().mail_from);
  return number(!domain.empty() && !reading.from_domain().empty() &&
                registrable_domain(normal_host(domain)) != registrable_domain(reading.from_domain()));
}

/// The address that stands in the display name of From, if any.
std::string address_in_name(const Reading& reading) {
  const std::string name = to_lower(reading.from_name());
  const std::size_t at = name.find('@');
  if (at == std::string::npos || at == 0) return {};
  const auto is_part = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  };
  std::size_t end = at + 1;
  while (end < name.size() && is_part(name[end])) ++end;
  std::string domain = name.substr(at + 1, end - at - 1);
  while (domain.ends_with('.')) domain.pop_back();
  return is_part(name[at - 1]) && domain.find('.') != std::string::npos ? domain : std::string();
}

double name_has_other_address(const Reading& reading) {
  const std::string domain = address_in_name(reading);
  return number(!domain.empty() && registrable_domain(domain) != registrable_domain(reading.from_domain()));
}

double to_is_from(const Reading& reading) {
  const std::string from = reading.from_address();
  const auto& to = reading.content().to().mailboxes;
  return number(!from.empty() && to.size() == 1 && to_lower(to.front().address()) == from);
}

double to_has_recipient(const Reading& reading) {
  const auto addresses = reading.values({.field = Field::header, .form = Form::address, .name = "to,cc"});
  return number(std::ranges::any_of(reading.envelope().recipients, [&](const std::string& recipient) {
    return std::ranges::find(addresses, to_lower(recipient)) != addresses.end();
  }));
}

/// A local part of one of the recipients at the beginning of the subject, in the body's greeting or in a URL: made for this reader.
double url_has_recipient(const Reading& reading) {
  for (const std::string& recipient : reading.envelope().recipients) {
    if (recipient.size() < 6) continue;
    for (const UrlReading& url : reading.urls())
      if (url.url.find(recipient) != std::string_view::npos) return 1;
  }
  return 0;
}

double words(const Reading& reading) {
  return number(static_cast<std::size_t>(std::ranges::count(reading.body(), ' ')));
}

constexpr FactRow kFacts[] = {
    {"size.octets", [](const Reading& r) { return number(r.analysis().message().size()); },
     "octets of the message"},
    {"text.octets", [](const Reading& r) { return number(r.body().size()); }, "octets of `body`"},
    {"text.words", words, "blanks in `body`"},
    {"text.upper_percent", [](const Reading& r) { return r.body_shape().upper_percent(); },
     "capitals among the letters A-Z of the text"},
    {"text.invisible", [](const Reading& r) { return number(r.body_shape().invisible); },
     "characters without width in the text"},
    {"text.mixed", [](const Reading& r) { return number(r.body_shape().mixed); },
     "places in the text where a Latin letter touches a Cyrillic or Greek one"},
    {"subject.octets", [](const Reading& r) { return number(r.content().subject().size()); },
     "octets of the decoded subject"},
    {"subject.letters", [](const Reading& r) { return number(r.subject_shape().letters); },
     "letters A-Z in the subject"},
    {"subject.upper_percent", [](const Reading& r) { return r.subject_shape().upper_percent(); },
     "capitals among them"},
    {"subject.invisible", [](const Reading& r) { return number(r.subject_shape().invisible); },
     "characters without width in the subject"},
    {"subject.mixed", [](const Reading& r) { return number(r.subject_shape().mixed); },
     "as text.mixed, in the subject"},
    {"hidden.octets", [](const Reading& r) { return number(r.hidden().size()); }, "octets of `hidden`"},
    {"parts.count", [](const Reading& r) { return number(r.content().parts().size()); },
     "parts that are no multiparts"},
    {"parts.html", [](const Reading& r) { return parts_of(r, "text/html"); }, "parts of type text/html"},
    {"parts.plain", [](const Reading& r) { return parts_of(r, "text/plain"); }, "parts of type text/plain"},
    {"html.tags", html_sum<&HtmlText::tags>, "tags in all HTML parts"},
    {"html.comments", html_sum<&HtmlText::comments>, "comments"},
    {"html.scripts", html_sum<&HtmlText::scripts>, "script elements"},
    {"html.forms", html_sum<&HtmlText::forms>, "form elements"},
    {"html.password_inputs", html_sum<&HtmlText::password_inputs>, "input fields for passwords"},
    {"html.images", html_sum<&HtmlText::images>, "img elements"},
    {"html.links", [](const Reading& r) { return references(r, HtmlReference::Kind::link); }, "links"},
    {"html.frames", [](const Reading& r) { return references(r, HtmlReference::Kind::frame); }, "frames"},
    {"html.refresh", html_sum<&HtmlText::refresh>, "HTML parts with <meta http-equiv=refresh>"},
    {"html.event_handlers", html_sum<&HtmlText::event_handlers>, "HTML parts with attributes on…"},
    {"html.data_uris", html_sum<&HtmlText::data_uris>, "HTML parts with data: URIs"},
    {"html.script_uris", html_sum<&HtmlText::script_uris>, "HTML parts with javascript: URIs"},
    {"html.hidden_by_display", html_sum<&HtmlText::hidden_by_display>,
     "HTML parts that hide text by display or visibility"},
    {"html.hidden_by_size", html_sum<&HtmlText::hidden_by_size>,
     "HTML parts that hide text by size, opacity or place"},
    {"html.hidden_by_color", html_sum<&HtmlText::hidden_by_color>,
     "HTML parts with text in the colour of its background"},
    {"html.base",
     [](const Reading& r) {
       return number(
           std::ranges::any_of(r.content().html(), [](const HtmlText& h) { return !h.base.empty(); }));
     },
     "1 where a <base> has a target"},
    {"html.mismatched_links", [](const Reading& r) { return number(r.mismatched_links()); },
     "links whose visible text names another registrable domain than they lead to"},
    {"urls.count", [](const Reading& r) { return number(r.urls().size()); }, "different URLs"},
    {"urls.domains", domains, "different registrable domains in them"},
    {"urls.foreign", foreign_urls, "URLs of other registrable domains than From's"},
    {"urls.address", urls_with<&UrlReading::address>, "URLs with an IP address for a host"},
    {"urls.userinfo", urls_with<&UrlReading::userinfo>, "URLs with something before an \"@\""},
    {"urls.odd_port", urls_with<&UrlReading::odd_port>, "URLs with a port other than 80 and 443"},
    {"urls.encoded_host", urls_with<&UrlReading::encoded_host>,
     "URLs whose host is spelled with percent signs, or an address as a number, hexadecimal or octal"},
    {"urls.has_recipient", url_has_recipient, "1 where a URL holds a recipient's address"},
    {"attachments.count", [](const Reading& r) { return number(r.files().size()); }, "attachments"},
    {"attachments.executable", files_with<&AttachmentFacts::executable>,
     "attachments that run when opened, by name or octets"},
    {"attachments.double_extension", files_with<&AttachmentFacts::double_extension>,
     "executables with a harmless extension before the real one"},
    {"attachments.direction_override", files_with<&AttachmentFacts::direction_override>,
     "file names that turn the direction of writing"},
    {"attachments.archive", files_with<&AttachmentFacts::archive>, "archives"},
    {"attachments.encrypted", files_with<&AttachmentFacts::encrypted>, "archives that take a password"},
    {"attachments.archived_executable", files_with<&AttachmentFacts::archived_executable>,
     "archives with an executable inside"},
    {"attachments.macros", files_with<&AttachmentFacts::macros>, "Office documents with macros"},
    {"attachments.active", files_with<&AttachmentFacts::active>, "HTML, SVG and PDF with scripts or actions"},
    {"attachments.mismatch", files_with<&AttachmentFacts::mismatch>,
     "executables and archives that say they are text, an image or a PDF"},
    {"from.count", [](const Reading& r) { return number(r.content().from().mailboxes.size()); },
     "mailboxes in From"},
    {"from.broken", [](const Reading& r) { return number(r.content().from().broken); },
     "1 where From is not what RFC 5322 allows"},
    {"from.impersonates", [](const Reading& r) { return number(r.impersonated() != nullptr); },
     "1 where From shows a protected name and is not of its domain"},
    {"from.name_has_other_address", name_has_other_address,
     "1 where From's display name holds an address of another registrable domain"},
    {"from.envelope_differs", envelope_differs,
     "1 where MAIL FROM is of another registrable domain than From"},
    {"replyto.differs", [](const Reading& r) { return differs(r, "reply-to"); },
     "1 where Reply-To is of another registrable domain than From"},
    {"sender.differs", [](const Reading& r) { return differs(r, "sender"); },
     "1 where Sender is of another registrable domain than From"},
    {"to.count", [](const Reading& r) { return number(r.content().to().mailboxes.size()); },
     "mailboxes in To"},
    {"to.is_from", to_is_from, "1 where To is From's address and no other"},
    {"to.has_recipient", to_has_recipient, "1 where a recipient of the envelope stands in To or Cc"},
    {"date.age_hours", date_age,
     "hours between Date and arrival; negative: dated ahead; 0 where there is no usable date"},
    {"date.broken", date_broken, "1 where Date cannot be read"},
    {"received.count", [](const Reading& r) { return number(r.analysis().count("Received")); },
     "Received fields"},
    {"envelope.recipients", [](const Reading& r) { return number(r.envelope().recipients.size()); },
     "recipients of the envelope"},
    {"envelope.null_sender", [](const Reading& r) { return number(r.envelope().mail_from.empty()); },
     "1 for the null reverse-path"},
    {"client.early_talker",
     [](const Reading& r) { return number(r.envelope().early_talker || r.envelope().pipelined_early); },
     "1 where the client did not wait for its turn"},
    {"client.tls", [](const Reading& r) { return number(r.envelope().tls.active()); },
     "1 where the connection was encrypted"},
    {"client.known", [](const Reading& r) { return number(r.envelope().client_counts()); },
     "1 where the client's address says something about the sender"},
};
constexpr std::size_t kFactCount = std::size(kFacts);

/// Oddities of the header and of the content: "oddity.NAME", behind the table in this order.
constexpr std::string_view kHeaderOddities[] = {
    "junk_line",        "continuation_first", "blank_before_colon", "bare_lf",   "bare_cr",
    "eight_bit_header", "header_unended",     "header_truncated",   "nul_octet", "line_too_long"};
constexpr std::size_t kHeaderOddityCount = std::size(kHeaderOddities);
constexpr std::size_t kOddityCount = static_cast<std::size_t>(Oddity::count_);
constexpr std::string_view kOddityPrefix = "oddity.";

}  // namespace

std::optional<std::uint32_t> find_fact(std::string_view name) {
  if (name.starts_with(kOddityPrefix)) {
    name.remove_prefix(kOddityPrefix.size());
    for (std::size_t i = 0; i < kHeaderOddityCount; ++i)
      if (kHeaderOddities[i] == name) return static_cast<std::uint32_t>(kFactCount + i);
    for (std::size_t i = 0; i < kOddityCount; ++i)
      if (name_of(static_cast<Oddity>(i)) == name)
        return static_cast<std::uint32_t>(kFactCount + kHeaderOddityCount + i);
    return std::nullopt;
  }
  const auto found = std::ranges::find(kFacts, name, &FactRow::name);
  if (found == std::end(kFacts)) return std::nullopt;
  return static_cast<std::uint32_t>(found - std::begin(kFacts));
}

std::string_view fact_name(std::uint32_t index) {
  if (index < kFactCount) return kFacts[index].name;
  if (index < kFactCount + kHeaderOddityCount) return kHeaderOddities[index - kFactCount];
  return name_of(static_cast<Oddity>(index - kFactCount - kHeaderOddityCount));
}

double fact_value(std::uint32_t index, const Reading& reading) {
  if (index < kFactCount) return kFacts[index].value(reading);
  if (index < kFactCount + kHeaderOddityCount)
    return number(reading.analysis().has_oddity(kHeaderOddities[index - kFactCount]));
  return number(
      reading.content().oddities().has(static_cast<Oddity>(index - kFactCount - kHeaderOddityCount)));
}

std::string facts_reference() {
  std::string out = "| fact | meaning |\n| --- | --- |\n";
  for (const FactRow& row : kFacts) out += fmt::format("| `{}` | {} |\n", row.name, row.meaning);
  out += "| `oddity.NAME` | 1 where the header (analysis.h) or the content (oddities.h) has that oddity |\n";
  return out;
}

}  // namespace postern::filters::rules
