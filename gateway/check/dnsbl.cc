#include "gateway/check/dnsbl.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "filters/dns.h"
#include "filters/ip.h"

namespace postern::check {
namespace {

using control::Json;
using filters::Answer;
using filters::Question;

constexpr std::string_view kListedByDefault = "127.0.0.2";  // RFC 5782 §2.1

/// §5: every list lists the first and never the second.
struct TestPoints {
  std::string_view listed, clean;
};
constexpr TestPoints kIpV4{.listed = "2.0.0.127", .clean = "1.0.0.127"};
// ::ffff:7f00:2 and ::ffff:7f00:1, nibble by nibble.
constexpr TestPoints kIpV6{.listed = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0",
                           .clean = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"};
constexpr TestPoints kDomain{.listed = "test", .clean = "invalid"};

class OneList {
 public:
  OneList(const DnsList& list, std::string prefix, const TestPoints& points, filters::Facts& facts)
      : list_(list), prefix_(std::move(prefix)), points_(points), facts_(facts) {}

  /// False: pending.
  bool ask() {
    const auto name = filters::dns::normal_name(fmt::format("{}.{}", prefix_, list_.zone));
    if (!name) return true;
    name_ = *name;
    answer_ = facts_.ask(filters::dns::a(name_));
    text_ = facts_.ask(filters::dns::txt(name_));
    listed_ = facts_.ask(filters::dns::a(fmt::format("{}.{}", points_.listed, list_.zone)));
    clean_ = facts_.ask(filters::dns::a(fmt::format("{}.{}", points_.clean, list_.zone)));
    return answer_ != nullptr && text_ != nullptr && listed_ != nullptr && clean_ != nullptr;
  }

  std::string_view tell(Report& report, Json& lists) {
    Json json = {{"zone", list_.zone}, {"name", name_}};
    std::string_view result = "not_listed";
    std::string found;
    if (name_.empty() || answer_->failed()) {
      result = "unknown";
    } else {
      std::vector<std::string> records = answer_->records;
      std::ranges::sort(records);
      for (const std::string& record : records) {
        const auto meaning = meaning_of(record);
        if (meaning && result != "listed") {
          result = "listed";
          json["answer"] = record;
          json["meaning"] = *meaning;
          found = fmt::format(": {} ({})", record, *meaning);
        } else if (!meaning && result == "not_listed") {
          result = "unknown";
          json["answer"] = record;
          found = fmt::format(": {}, which means nothing that we were told", record);
        }
      }
    }
    json["result"] = result;
    report.lines.emplace_back("");
    report.lines.push_back(
        fmt::format("{}: {}{}", list_.zone, result == "not_listed" ? "not listed" : result, found));
    if (!name_.empty()) {
      report.lines.push_back("  " + described(filters::dns::a(name_), answer_));
      if (!text_->records.empty()) {
        json["text"] = text_->records.front();
        report.lines.push_back("  " + described(filters::dns::txt(name_), text_));
      }
      tell_health(report, json);
    }
    if (result == "listed")
      report.advice.push_back(fmt::format(
          "{} lists it{}. Who runs the sender's side should find out why and ask the list to take "
          "it out{}.",
          list_.zone, found,
          text_->records.empty() ? "" : fmt::format(" (it says: {})", cut(text_->records.front()))));
    report.temporary |= !name_.empty() && answer_->failed();
    lists.push_back(std::move(json));
    return result;
  }

 private:
  std::optional<std::string> meaning_of(const std::string& record) const {
    if (list_.answers.empty())
      return record == kListedByDefault ? std::optional<std::string>("listed") : std::nullopt;
    const auto found = list_.answers.find(record);
    return found == list_.answers.end() ? std::nullopt : std::optional(found->second);
  }

  void tell_health(Report& report, Json& json) {
    std::string problem;
    if (answer_->failed() || listed_->failed() || clean_->failed())
      problem = "it does not answer";
    else if (!clean_->records.empty())
      problem =
          fmt::format("it answers {} for {}, which no list may hold", clean_->records.front(), points_.clean);
    else if (listed_->records.empty())
      problem = fmt::format("it does not list {}, its test point", points_.listed);
    else if (std::ranges::any_of(answer_->records, [](const std::string& record) {
               return record.starts_with("127.255.255.");
             }))
      problem = "it refuses to answer us: most lists do so to public resolvers and to heavy users";
    json["works"] = problem.empty();
    if (problem.empty()) return;
    json["problem"] = problem;
    report.lines.push_back(fmt::format("  of no use: {} (RFC 5782 §5)", problem));
    report.advice.push_back(fmt::format(
        "{}: {}. What it says counts for nothing until that ends; ask it through a resolver of your "
        "own.",
        list_.zone, problem));
  }

  const DnsList& list_;
  const std::string prefix_;
  const TestPoints& points_;
  filters::Facts& facts_;
  std::string name_;  ///< "": too long to be asked for
  const Answer *answer_ = nullptr, *text_ = nullptr, *listed_ = nullptr, *clean_ = nullptr;
};

}  // namespace

std::optional<Report> check_dnsbl(const std::string& subject, const std::vector<DnsList>& lists,
                                  filters::Facts& facts) {
  const auto ip = filters::Ip::parse(subject);
  const std::string prefix = ip ? filters::dns::reversed(*ip) : subject;
  const TestPoints& points = !ip ? kDomain : ip->is_v6() ? kIpV6 : kIpV4;
  std::vector<OneList> asked;
  asked.reserve(lists.size());
  bool pending = false;
  for (const DnsList& list : lists) pending |= !asked.emplace_back(list, prefix, points, facts).ask();
  if (pending) return std::nullopt;

  Report report;
  report.json = {{"check", "dnsbl"}, {"subject", subject}};
  report.lines.push_back(fmt::format("{} in {} list{}", subject, lists.size(), lists.size() == 1 ? "" : "s"));
  Json all = Json::array();
  std::string_view worst = "not_listed";
  for (OneList& list : asked) {
    const std::string_view result = list.tell(report, all);
    if (result == "listed" || (result == "unknown" && worst != "listed")) worst = result;
  }
  report.json["result"] = worst;
  report.json["lists"] = std::move(all);
  return report;
}

}  // namespace postern::check
