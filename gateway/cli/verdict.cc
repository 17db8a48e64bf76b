#include "gateway/cli/verdict.h"

#include <fmt/format.h>

#include "gateway/cli/output.h"

namespace postern::cli {
namespace {

using control::Json;
using Align = Table::Align;

std::string score_of(const Json& object, const char* key) {
  const Json& member = member_of(object, key);
  return member.is_number() ? fmt::format("{}", member.get<double>()) : std::string("-");
}

void print_findings(const Json& findings) {
  if (!findings.is_array() || findings.empty()) return;
  Table table({{.title = "FINDING"}, {.title = "SCORE", .align = Align::right}, {.title = "EVIDENCE"}});
  for (const Json& finding : findings)
    table.row({text_of(finding, "name"), score_of(finding, "score"), text_of(finding, "evidence")});
  print("\n" + table.text());
}

/// What each recipient's policy wants, where there are profiles.
void print_dispositions(const Json& dispositions) {
  for (const Json& one : dispositions) {
    const std::string profile = text_of(one, "profile");
    print(fmt::format("For         <{}>: {}{}\n", printable(text_of(one, "recipient")),
                      text_of(one, "action"), profile.empty() ? "" : ", profile " + printable(profile)));
  }
}

void print_facts(const Json& facts) {
  if (!facts.is_array() || facts.empty()) return;
  Table table({{.title = "ASKED"}, {.title = "ABOUT"}, {.title = "ANSWER"}, {.title = "RECORDS"}});
  for (const Json& fact : facts) {
    std::string records;
    for (const Json& record : member_of(fact, "records")) {
      if (!records.empty()) records += ", ";
      records += record.is_string() ? record.get<std::string>() : control::dump(record);
    }
    table.row({text_of(fact, "kind"), text_of(fact, "name"), text_of(fact, "status"), records});
  }
  print("\n" + table.text());
}

}  // namespace

void print_verdict(const Json& verdict) {
  print(fmt::format("Decision    {}, score {} (spam from {})\n", text_of(verdict, "action"),
                    score_of(verdict, "score"), score_of(verdict, "required")));
  if (const std::string reason = text_of(verdict, "reason"); !reason.empty())
    print(fmt::format("Reason      {}\n", printable(reason)));
  if (const Json& refusal = member_of(verdict, "refusal"); refusal.is_object())
    print(fmt::format("Reply       {} {} {}\n", number_of(refusal, "code"), text_of(refusal, "enhanced"),
                      printable(text_of(refusal, "text"))));
  for (const Json& missing : member_of(verdict, "incomplete"))
    if (missing.is_string()) print(fmt::format("Not known   {}\n", printable(missing.get<std::string>())));
  print_dispositions(member_of(verdict, "dispositions"));
  print_findings(member_of(verdict, "findings"));
  print_facts(member_of(verdict, "facts"));
}

}  // namespace postern::cli
