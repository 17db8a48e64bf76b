#include "gateway/pipeline/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "filters/authentication/dkim/sign.h"
#include "filters/idn.h"
#include "filters/message/address_list.h"
#include "filters/message/content_field.h"
#include "gateway/pipeline/trace.h"

namespace postern::pipeline {
namespace {

using filters::Analysis;

constexpr std::size_t kKeyOctetsMax = std::size_t{64} * 1024;

}  // namespace

std::optional<std::string> completed(std::string_view message, std::string_view hostname, std::string_view id,
                                     std::chrono::sys_seconds now) {
  const std::size_t end = message.starts_with("\r\n") ? 0 : message.find("\r\n\r\n");
  const bool unended = end == std::string_view::npos;
  const std::size_t header_octets = unended ? message.size() : end == 0 ? 0 : end + 2;
  const Analysis header = Analysis::of(message.substr(0, header_octets));
  const bool date = header.find("Date") != nullptr, message_id = header.find("Message-ID") != nullptr;
  const bool blind = header.find("Bcc") != nullptr || header.find("Resent-Bcc") != nullptr;
  if (date && message_id && !blind) return std::nullopt;

  std::string out;
  out.reserve(message.size() + 256);
  if (!date) out += "Date: " + date_time(now) + "\r\n";
  if (!message_id) out += fmt::format("Message-ID: <{}@{}>\r\n", id, hostname);
  std::string_view rest = message.substr(0, header_octets);
  for (const filters::HeaderField& field : header.fields()) {
    if (!filters::same_word(field.name, "Bcc") && !filters::same_word(field.name, "Resent-Bcc")) continue;
    const auto at = static_cast<std::size_t>(field.raw.data() - rest.data());
    out.append(rest.substr(0, at));
    rest.remove_prefix(at + field.raw.size());
  }
  out.append(rest);
  out.append(message.substr(header_octets));
  return out;
}

std::expected<Signers, std::string> Signers::load(const std::vector<config::SigningConfig>& config) {
  Signers made;
  for (const config::SigningConfig& entry : config) {
    std::ifstream in(entry.key, std::ios::binary);
    std::string pem(kKeyOctetsMax, '\0');
    in.read(pem.data(), static_cast<std::streamsize>(pem.size()));
    pem.resize(static_cast<std::size_t>(in.gcount()));
    if (pem.empty())
      return std::unexpected(
          fmt::format("signing of {}: {} cannot be read", entry.domain, entry.key.string()));
    auto key = filters::crypto::PrivateKey::from_pem(pem);
    if (!key)
      return std::unexpected(
          fmt::format("signing of {}: {}: {}", entry.domain, entry.key.string(), key.error()));
    made.signers_.push_back({.domain = filters::ascii_domain(entry.domain).value_or(entry.domain),
                             .selector = entry.selector,
                             .key = std::move(*key)});
  }
  return made;
}

std::string Signers::sign(const Analysis& analysis, std::chrono::sys_seconds now) const {
  std::string fields;
  const filters::HeaderField* const from = analysis.find("From");
  if (signers_.empty() || from == nullptr) return fields;
  const auto domain_of_author = [&]() -> std::string {
    const auto list = filters::parse_addresses(from->value);
    return list.mailboxes.empty() ? std::string()
                                  : filters::ascii_domain(list.mailboxes.front().domain).value_or("");
  }();
  for (const Signer& signer : signers_) {
    if (domain_of_author != signer.domain) continue;
    const filters::dkim::SigningRules rules{
        .domain = signer.domain, .selector = signer.selector, .identity = {}};
    if (auto field = filters::dkim::sign(analysis, rules, *signer.key, now)) fields += *field;
  }
  return fields;
}

}  // namespace postern::pipeline
