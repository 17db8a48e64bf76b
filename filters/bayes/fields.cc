// The tokens of the header.
#include <algorithm>
#include <array>
#include <string>

#include "filters/bayes/extract.h"
#include "filters/bayes/walk.h"
#include "filters/bayes/words.h"
#include "filters/message/address_list.h"

namespace postern::filters::bayes {
namespace {

constexpr std::size_t kMailboxesPerFieldMax = 10;
constexpr std::size_t kNameWordsMax = 20, kSubjectWordsMax = 60;
constexpr std::size_t kPairDistance = 2;

/// What other filters and mail programs write. A '*' at the end stands for any text.
constexpr std::string_view kIgnored[] = {"x-spam*",
                                         "x-virus*",
                                         "authentication-results*",
                                         "received-spf",
                                         "arc-*",
                                         "x-bogosity*",
                                         "x-crm114*",
                                         "x-dspam*",
                                         "x-rspam*",
                                         "x-rspamd*",
                                         "x-forefront*",
                                         "x-microsoft-antispam*",
                                         "x-ms-exchange-organization*",
                                         "x-ms-exchange-crosstenant*",
                                         "x-ms-exchange-antispam*",
                                         "x-exchange-antispam*",
                                         "x-eopattributedmessage",
                                         "x-ms-office365-filtering*",
                                         "x-sid-*",
                                         "x-ironport*",
                                         "x-proofpoint*",
                                         "x-barracuda*",
                                         "x-mailscanner*",
                                         "x-amavis*",
                                         "x-antivirus*",
                                         "x-antispam*",
                                         "x-anti-spam*",
                                         "x-scanned*",
                                         "x-quarantine*",
                                         "x-pmx*",
                                         "x-cloudmark*",
                                         "x-brightmail*",
                                         "x-spf*",
                                         "x-dkim*",
                                         "x-dmarc*",
                                         "x-greylist*",
                                         "x-clamav*",
                                         "x-kaspersky*",
                                         "x-sophos*",
                                         "x-mimecast*",
                                         "x-gm-*",
                                         "x-gmail-*",
                                         "x-hmailserver*",
                                         "x-vade*",
                                         "x-vr-*",
                                         "x-postini*",
                                         "x-razor*",
                                         "x-pyzor*",
                                         "x-dcc*",
                                         "x-rbl*",
                                         "x-assp*",
                                         "x-spamprobe*",
                                         "x-mozilla*",
                                         "x-evolution*",
                                         "x-folder",
                                         "x-uid*",
                                         "x-keywords",
                                         "x-status",
                                         "status",
                                         "content-length",
                                         "lines",
                                         "x-imap*",
                                         "x-label*",
                                         "x-junk*",
                                         "x-ham*",
                                         "x-bayes*",
                                         "x-report-abuse-score",
                                         "x-auto-response-suppress-spam",
                                         "x-ovh-spam*",
                                         "x-yahoofilteredbulk",
                                         "x-ymailisg",
                                         "x-apparently-to-spam",
                                         "x-classification*",
                                         "x-text-classification*",
                                         "x-annotations*"};

/// X-OurCompany-MailScanner-SpamCheck and the like.
constexpr std::string_view kIgnoredInside[] = {"spam", "virus", "mailscanner", "phish", "malware", "dmarc-"};

bool same_start(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::ranges::equal(text.substr(0, lower.size()), lower, {}, [](char c) {
           return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
         });
}

bool holds(std::string_view text, std::string_view lower) {
  for (std::size_t at = 0; at + lower.size() <= text.size(); ++at)
    if (same_start(text.substr(at), lower)) return true;
  return false;
}

enum class Form : unsigned char {
  words,
  addresses,
  received,
  subject,
  identifier,
  date,
  mime,
  signature,
  whole
};

struct Row {
  std::string_view name;
  Form form;
};
constexpr Row kForms[] = {
    {"received", Form::received},
    {"from", Form::addresses},
    {"to", Form::addresses},
    {"cc", Form::addresses},
    {"subject", Form::subject},
    {"message-id", Form::identifier},
    {"date", Form::date},
    {"content-type", Form::mime},
    {"reply-to", Form::addresses},
    {"return-path", Form::addresses},
    {"sender", Form::addresses},
    {"errors-to", Form::addresses},
    {"delivered-to", Form::addresses},
    {"x-original-to", Form::addresses},
    {"in-reply-to", Form::identifier},
    {"references", Form::identifier},
    {"content-disposition", Form::mime},
    {"dkim-signature", Form::signature},
    {"x-google-dkim-signature", Form::signature},
    {"domainkey-signature", Form::signature},
    {"x-mailer", Form::whole},
    {"user-agent", Form::whole},
    {"content-id", Form::identifier},
    {"bcc", Form::addresses},
    {"resent-from", Form::addresses},
    {"resent-to", Form::addresses},
};

Form form_of(std::string_view name) {
  const auto* const found = std::ranges::find(kForms, name, &Row::name);
  return found == std::ranges::end(kForms) ? Form::words : found->form;
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view domain_in(std::string_view identifier) {
  const std::size_t at = identifier.rfind('@');
  if (at == identifier.npos) return {};
  identifier.remove_prefix(at + 1);
  return identifier.substr(0, identifier.find_first_of("> \t\r\n"));
}

class HeaderTokens {
 public:
  HeaderTokens(Walk& walk, const Content& content) : walk_(walk), content_(content) {}

  void run(const Analysis& analysis) {
    const Tag field_tag = walk_.tag("field:"), order_tag = walk_.tag("order:");
    std::uint64_t previous = 0;
    std::string_view previous_name;
    std::size_t looked_at = 0;
    for (const HeaderField& field : analysis.fields()) {
      if (looked_at == Extractor::kFieldsMax) break;
      if (ignored_field(field.name)) continue;
      ++looked_at;
      const std::string_view name = field.name.substr(0, 64);
      const std::uint64_t hash = walk_.add(field_tag, name);
      if (name != previous_name) walk_.set().add_pair(order_tag.name, previous, hash, 1, previous_name, name);
      previous = hash;
      previous_name = name;
      lowered(name, lower_name_);
      lower_name_ += ':';
      read(walk_.tag(lower_name_), field);
    }
    walk_.set().add_pair(order_tag.name, previous, 0, 1, previous_name, "end");
    relate(analysis);
  }

 private:
  void read(const Tag& tag, const HeaderField& field) {
    const std::string_view value = trimmed(field.value).substr(0, Extractor::kFieldOctetsMax);
    switch (form_of(tag.name.substr(0, tag.name.size() - 1))) {
      case Form::received:
        return received(tag, value);
      case Form::addresses:
        return addresses(tag, value);
      case Form::subject:
        return subject(tag, value);
      case Form::identifier:
        return identifier(tag, value);
      case Form::date:
        return date(tag, value);
      case Form::mime:
        return mime(tag, value);
      case Form::signature:
        return signature(tag, value);
      case Form::whole:
        walk_.add(tag, value);
        return walk_.add_words(tag, value, Extractor::kWordsPerFieldMax, 0);
      case Form::words:
        return atoms(tag, value);
    }
  }

  void atoms(const Tag& tag, std::string_view value) {
    for (std::size_t i = 0; i < Extractor::kWordsPerFieldMax; ++i) {
      const std::string_view atom = next_atom(value);
      if (atom.empty()) return;
      if (atom.size() <= kWordOctetsMax) {
        walk_.add(tag, atom);
      } else {
        walk_.add(tag, shape(atom));
      }
      if (const std::size_t at = atom.find('@'); at != atom.npos) walk_.add_host(tag, atom.substr(at + 1));
    }
  }

  void addresses(const Tag& tag, std::string_view value) {
    const bool from = tag.name == "from:";
    const AddressList list = from ? content_.from() : parse_addresses(value);
    walk_.add(tag, "#" + size_class(list.mailboxes.size()));
    std::size_t left = kMailboxesPerFieldMax;
    for (const MailboxName& mailbox : list.mailboxes) {
      if (left-- == 0) break;
      walk_.add_address(tag, mailbox.local, mailbox.domain);
      if (mailbox.name.empty()) continue;
      walk_.add_words(tag, mailbox.name, kNameWordsMax, from ? kPairDistance : 0);
      if (mailbox.name.find('@') != std::string::npos) walk_.add(tag, "#address-as-name");
    }
    if (list.broken) walk_.add(tag, "#broken");
  }

  /// RFC 5321 §4.4: hosts and addresses in parts, the rest as it stands but for identifiers and times.
  void received(const Tag& tag, std::string_view value) {
    const std::size_t time = value.rfind(';');
    if (time != value.npos) {
      date(tag, trimmed(value.substr(time + 1)));
      value = value.substr(0, time);
    }
    bool shapeless = false;
    for (std::size_t i = 0; i < 2 * Extractor::kWordsPerFieldMax; ++i) {
      const std::string_view atom = next_atom(value);
      if (atom.empty()) return;
      if (shapeless || atom.size() > 2 * kWordOctetsMax) {
        walk_.add(tag, shape(atom));
      } else if (const std::size_t at = atom.find('@'); at != atom.npos) {
        walk_.add(tag, atom);
        walk_.add_host(tag, atom.substr(at + 1));
      } else if (atom.find('.') != atom.npos) {
        walk_.add_host(tag, atom);
      } else {
        walk_.add(tag, atom);
      }
      shapeless = atom == "id";
    }
  }

  void subject(const Tag& tag, std::string_view value) {
    if (const std::size_t word = value.find("=?"); word != value.npos) {
      std::string lower;
      const std::size_t end = value.find('?', word + 2);
      if (end != value.npos)
        walk_.add(tag, lowered(value.substr(word, std::min<std::size_t>(end + 2 - word, 40)), lower));
    }
    const std::string_view text = content_.subject();
    walk_.add_words(tag, text.substr(0, Extractor::kFieldOctetsMax), kSubjectWordsMax, kPairDistance);
    walk_.add(tag, "#" + size_class(text.size()));
    if (text.find("  ") != text.npos) walk_.add(tag, "#gap");
  }

  void identifier(const Tag& tag, std::string_view value) {
    walk_.add(tag, shape(value));
    const std::string_view domain = domain_in(value);
    if (domain.empty()) {
      walk_.add(tag, "#nodomain");
    } else {
      walk_.add_host(tag, domain);
    }
  }

  /// "Mon, 5 Aug 2002 10:20:30 +0200 (CEST)": the form and the zone, not the time.
  void date(const Tag& tag, std::string_view value) {
    value = value.substr(0, 60);
    std::string form;
    std::string_view rest = value;
    for (std::size_t i = 0; i < 10; ++i) {
      const std::string_view atom = next_atom(rest);
      if (atom.empty()) break;
      const bool zone = atom.front() == '+' || atom.front() == '-';
      const bool zone_name = i >= 5 && atom.front() >= 'A' && atom.front() <= 'Z';
      if (zone || zone_name) walk_.add(tag, atom);
      form += shape(atom);
      form += ' ';
    }
    walk_.add(tag, form);
  }

  void mime(const Tag& tag, std::string_view value) {
    std::string lower;
    for (std::size_t i = 0; i < Extractor::kWordsPerFieldMax; ++i) {
      const std::string_view atom = next_atom(value);
      if (atom.empty()) return;
      const bool name =
          same_start(atom, "boundary") || same_start(atom, "filename") || same_start(atom, "name");
      walk_.add(tag, atom.size() <= kWordOctetsMax ? lowered(atom, lower) : std::string_view());
      if (!name) continue;
      const std::string_view text = next_atom(value);
      walk_.add(tag, shape(text));
    }
  }

  /// RFC 6376 §3.5 and its kin: who signed, how, and what; not the signature.
  void signature(const Tag& tag, std::string_view value) {
    while (!value.empty()) {
      const std::size_t end = std::min(value.find(';'), value.size());
      const std::string_view one = trimmed(value.substr(0, end));
      value.remove_prefix(std::min(end + 1, value.size()));
      if (one.size() < 2 || one[1] != '=') continue;
      const std::string_view text = trimmed(one.substr(2));
      if (one[0] == 'd') walk_.add_host(tag, text);
      if (std::string_view("sacq").find(one[0]) != std::string_view::npos)
        walk_.add(tag, one.substr(0, kWordOctetsMax));
    }
  }

  /// Whether those who ought to be one are.
  void relate(const Analysis& analysis) {
    const Tag tag = walk_.tag("same:");
    const auto domain_of = [&analysis](std::string_view name) {
      const HeaderField* const field = analysis.find(name);
      return field == nullptr
                 ? std::string()
                 : to_lower(domain_in(trimmed(field->value).substr(0, Extractor::kFieldOctetsMax)));
    };
    const std::string from = domain_of("From");
    for (const std::string_view other : {"Reply-To", "Return-Path", "Message-ID", "Sender", "To"}) {
      const std::string domain = domain_of(other);
      if (domain.empty()) continue;
      const bool below = domain.ends_with(from) || from.ends_with(domain);
      std::string text(other);
      text += domain == from ? " as From" : below ? " near From" : " not From";
      walk_.add(tag, text);
    }
  }

  Walk& walk_;
  const Content& content_;
  std::string lower_name_;
};

}  // namespace

bool ignored_field(std::string_view name) {
  for (const std::string_view row : kIgnored) {
    const bool open = row.ends_with('*');
    const std::string_view start = open ? row.substr(0, row.size() - 1) : row;
    if (same_start(name, start) && (open || name.size() == start.size())) return true;
  }
  if (!same_start(name, "x-")) return false;
  return std::ranges::any_of(kIgnoredInside, [name](std::string_view text) { return holds(name, text); });
}

void add_header(Walk& walk, const Analysis& analysis, const Content& content) {
  HeaderTokens(walk, content).run(analysis);
}

}  // namespace postern::filters::bayes
