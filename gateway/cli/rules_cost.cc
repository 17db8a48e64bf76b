#include "gateway/cli/rules_cost.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "filters/rules/date.h"

namespace postern::cli {
namespace {

using filters::rules::Field;
using filters::rules::RuleSet;

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kMeasuredAtLeast{2};  // of each pattern
constexpr std::size_t kRoundsMax = 1'000;
constexpr std::size_t kSampleOctetsMax = 4U << 20;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

/// All texts of the sample that a subject means.
std::vector<std::string> texts_of(const filters::rules::Reading& reading,
                                  const filters::rules::Subject& subject) {
  switch (subject.field) {
    case Field::body:
      return {reading.body()};
    case Field::hidden:
      return {reading.hidden()};
    case Field::rawbody:
      return {reading.raw_texts().begin(), reading.raw_texts().end()};
    case Field::message:
      return {std::string(reading.analysis().message())};
    case Field::url:
    case Field::url_host:
    case Field::url_domain: {
      std::vector<std::string> out;
      for (const auto& url : reading.urls())
        out.push_back(subject.field == Field::url        ? std::string(url.url)
                      : subject.field == Field::url_host ? url.host
                                                         : url.domain);
      return out;
    }
    default:
      return reading.values(subject);
  }
}

std::string_view word_of(filters::rules::Speed speed) {
  switch (speed) {
    case filters::rules::Speed::fast:
      return "fast";
    case filters::rules::Speed::slow:
      return "slow";
    case filters::rules::Speed::alone:
      return "alone";
  }
  return "alone";
}

/// How long one look through the texts takes.
double measure(const filters::rules::Database& database, const std::vector<std::string>& texts) {
  const filters::rules::Database::Hit ignore = [](unsigned, std::size_t) {};
  const auto once = [&] {
    for (const std::string& text : texts) (void)database.scan(text, ignore);
  };
  once();
  const auto start = Clock::now();
  std::size_t rounds = 0;
  while (rounds < kRoundsMax && Clock::now() - start < kMeasuredAtLeast) {
    once();
    ++rounds;
  }
  return microseconds(Clock::now() - start) / static_cast<double>(std::max<std::size_t>(rounds, 1));
}

struct Read {
  filters::Analysis analysis;
  std::unique_ptr<const filters::rules::Scanned> scanned;
};

}  // namespace

RuleMail rule_mail(std::string name, std::string message) {
  RuleMail mail{.name = std::move(name), .message = std::move(message), .envelope = {}};
  filters::AnalysisLimits limits;
  const filters::Analysis analysis = filters::Analysis::of(mail.message, limits);
  filters::Envelope& envelope = mail.envelope;
  envelope.protocol = "LMTP";
  envelope.tls.version = "TLSv1.3";
  if (const auto* field = analysis.find("Return-Path")) {
    const std::string path = filters::Analysis::unfolded(field->value);
    if (path.size() > 2 && path.front() == '<' && path.back() == '>')
      envelope.mail_from = path.substr(1, path.size() - 2);
  }
  if (const auto* field = analysis.find("Delivered-To"))
    envelope.recipients.push_back(filters::Analysis::unfolded(field->value));
  for (const std::string_view where : {"Received", "Date"}) {
    const auto* field = analysis.find(where);
    if (field == nullptr) continue;
    const std::size_t semicolon = field->value.rfind(';');
    const auto date = filters::rules::parse_date(
        semicolon == std::string_view::npos ? field->value : field->value.substr(semicolon + 1));
    if (!date) continue;
    envelope.received_at = *date;
    break;
  }
  return mail;
}

std::vector<PatternCost> pattern_costs(const RuleSet& set, const std::vector<RuleMail>& sample) {
  std::vector<Read> read;
  read.reserve(sample.size());
  for (const RuleMail& mail : sample) {
    Read one{.analysis = filters::Analysis::of(mail.message), .scanned = nullptr};
    one.analysis.read_content();
    one.scanned = set.scan(mail.envelope, one.analysis, *one.analysis.content());
    read.push_back(std::move(one));
  }
  std::vector<PatternCost> costs;
  const auto& book = set.book();
  for (const auto& rule : set.rules())
    for (const auto& step : rule.when.steps) {
      if (step.kind != filters::rules::Step::Kind::pattern) continue;
      const auto& pattern = book.patterns[step.index];
      const bool prefilter = set.patterns().prefiltered(step.index);
      PatternCost cost{.rule = rule.name,
                       .expression = pattern.expression,
                       .stage = std::string(word_of(set.patterns().speed(step.index)))};
      if (prefilter) cost.stage += "+prefilter";
      filters::rules::Database::Entry entry = filters::rules::database_entry(pattern);
      entry.prefilter = prefilter;
      const auto database = filters::rules::Database::compile(std::span(&entry, 1));
      if (database) {
        std::vector<std::string> texts;
        std::size_t octets = 0;
        for (const Read& one : read)
          for (std::string& text : texts_of(one.scanned->reading, book.subjects[pattern.subject])) {
            if (octets > kSampleOctetsMax) break;
            octets += text.size();
            texts.push_back(std::move(text));
          }
        const double us = measure(*database, texts);
        cost.us_per_message = us / static_cast<double>(std::max<std::size_t>(sample.size(), 1));
        cost.octets_per_us = us > 0 ? static_cast<double>(octets) / us : 0;
        cost.compiled_octets = static_cast<double>(database->octets());
      }
      costs.push_back(std::move(cost));
    }
  std::ranges::sort(costs, std::ranges::greater(), &PatternCost::us_per_message);
  return costs;
}

SetCost set_cost(const RuleSet& set, const std::vector<RuleMail>& sample) {
  SetCost cost;
  for (const RuleMail& mail : sample) {
    const auto start = Clock::now();
    filters::Analysis analysis = filters::Analysis::of(mail.message);
    const auto analysed = Clock::now();
    analysis.read_content();
    const auto content = Clock::now();
    filters::Findings findings;
    const auto scanned = set.scan(mail.envelope, analysis, *analysis.content());
    set.report(*scanned, findings);
    const auto end = Clock::now();
    cost.analysis_us += microseconds(analysed - start);
    cost.content_us += microseconds(content - analysed);
    cost.rules_us += microseconds(end - content);
  }
  const double count = static_cast<double>(std::max<std::size_t>(sample.size(), 1));
  return {.analysis_us = cost.analysis_us / count,
          .content_us = cost.content_us / count,
          .rules_us = cost.rules_us / count};
}

}  // namespace postern::cli
