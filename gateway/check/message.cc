#include "gateway/check/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "filters/authentication/dkim/tag_list.h"
#include "filters/idn.h"
#include "filters/message/address_list.h"
#include "gateway/check/dkim.h"
#include "gateway/check/dmarc.h"

namespace postern::check {
namespace {

/// Fills in whose message it says it is.
void find_author(const filters::Analysis& analysis, DmarcRequest& request) {
  std::vector<std::string> domains;
  for (const filters::HeaderField& field : analysis.fields()) {
    if (!filters::dkim::same_word(field.name, "From")) continue;
    for (const filters::MailboxName& mailbox : filters::parse_addresses(field.value).mailboxes) {
      std::string domain = filters::ascii_domain(mailbox.domain).value_or(mailbox.domain);
      if (std::ranges::find(domains, domain) == domains.end()) domains.push_back(std::move(domain));
    }
    if (domains.size() > 1) break;  // enough to know
  }
  const std::size_t fields = analysis.count("From");
  if (!domains.empty()) request.author_domain = domains.front();
  if (fields != 1)
    request.multiple = fmt::format("the message has {} From fields", fields);
  else if (domains.size() > 1)
    request.multiple = "From names authors of several domains";
  else if (domains.empty())
    request.multiple = "From names nobody";
}

void append(Report& all, Report part, const char* name) {
  all.temporary |= part.temporary;
  all.json[name] = std::move(part.json);
  all.lines.emplace_back("");
  std::ranges::move(part.lines, std::back_inserter(all.lines));
  std::ranges::move(part.advice, std::back_inserter(all.advice));
}

}  // namespace

std::optional<Report> check_message(const filters::Analysis& analysis, const std::optional<SpfRequest>& spf,
                                    filters::Facts& facts, std::chrono::sys_seconds now) {
  DmarcRequest request;
  find_author(analysis, request);
  std::optional<Report> sent_from;
  if (spf) sent_from = check_spf(*spf, facts);
  std::optional<Report> signatures = check_dkim(analysis, facts, now);
  const bool pending = !signatures || (spf && !sent_from);
  if (sent_from) {
    request.spf_result = sent_from->json["result"].get<std::string>();
    request.spf_domain = sent_from->json["domain"].get<std::string>();
  }
  if (signatures)
    for (const control::Json& signature : signatures->json["signatures"])
      request.dkim.emplace_back(signature["result"].get<std::string>(), signature["d"].get<std::string>());
  std::optional<Report> report = check_dmarc(request, facts);  // asks what it can, pending or not
  if (pending || !report) return std::nullopt;
  if (sent_from) append(*report, *std::move(sent_from), "spf");
  append(*report, *std::move(signatures), "dkim");
  return report;
}

}  // namespace postern::check
