// The paths that instructions.py counts. Without an argument: prints their names. With one: prepares that path, then takes it once inside
// measured_path(), which is where counting begins and ends.
#include <fmt/format.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/micro/messages.h"
#include "filters/authentication/dkim/body_hash.h"
#include "filters/bayes/extract.h"
#include "filters/bayes/model.h"
#include "filters/judge.h"
#include "filters/message/content.h"
#include "filters/message/html_text.h"
#include "filters/rules/language.h"
#include "filters/rules/rule_set.h"
#include "gateway/smtp/data_decoder.h"
#include "gateway/smtp/grammar.h"

extern "C" {
[[gnu::noinline]] void measured_path(const std::function<void()>& path);
/// Named without decoration, so that the counter finds it.
void measured_path(const std::function<void()>& path) {
  path();
  asm volatile("" ::: "memory");
}
}

namespace postern {
namespace {

constexpr std::size_t kMessageOctets = 16'384;

void commands() {
  const smtp::GrammarContext context{.message_octets_max = 26'214'400};
  measured_path([&] {
    for (int i = 0; i < 100; ++i) {
      const auto mail =
          smtp::split_command("MAIL FROM:<sender.of.mail@client.example> SIZE=4096 BODY=8BITMIME");
      (void)smtp::parse_mail(mail.argument, context);
      const auto rcpt = smtp::split_command("RCPT TO:<recipient.of.mail@test.example>");
      (void)smtp::parse_rcpt(rcpt.argument, context);
    }
  });
}

void data() {
  const std::string wire = bench::made_message(kMessageOctets) + "..stuffed\r\n.\r\n";
  measured_path([&] {
    smtp::Body body;
    smtp::DataDecoder decoder({.octets_max = 1 << 30});
    std::string_view rest = wire;
    while (!decoder.done()) rest.remove_prefix(decoder.write(rest.substr(0, 1448), body));
  });
}

void header() {
  const std::string message = bench::made_message(kMessageOctets);
  measured_path([&] { (void)filters::Analysis::of(message); });
}

void content() {
  const std::string message = bench::made_message(kMessageOctets);
  filters::Analysis analysis = filters::Analysis::of(message);
  measured_path([&] { analysis.read_content(); });
}

void html() {
  const std::string message = bench::made_message(kMessageOctets);
  const std::string_view source = std::string_view(message).substr(message.find("<html>"));
  measured_path([&] {
    filters::HtmlReader reader(1 << 20);
    reader.write(source);
    (void)reader.finish();
  });
}

void body_hash() {
  const std::string message = bench::made_message(kMessageOctets);
  measured_path([&] {
    filters::dkim::BodyHash hash(filters::dkim::Canonical::relaxed, filters::crypto::Algorithm::sha256);
    hash.update(message);
    (void)hash.finish();
  });
}

void classification() {
  const std::string message = bench::made_message(kMessageOctets);
  filters::Analysis analysis = filters::Analysis::of(message);
  analysis.read_content();
  const filters::bayes::Extractor extractor({1, 2, 3, 4});
  const filters::bayes::Model model(16);
  filters::bayes::Features features;
  measured_path([&] {
    extractor.run(analysis, *analysis.content(), {}, features);
    (void)model.classify(features);
  });
}

std::shared_ptr<const filters::rules::RuleSet> few_rules() {
  filters::rules::RuleBook book;
  (void)filters::rules::read_rules(
      "rule BODY\n score 1\n when body ~ /\\bmeeting\\s+notes\\b/i\n"
      "rule SUBJECT\n score 1\n when subject ~ /\\bnote\\b/i\n"
      "rule LINK\n score 1\n when url.host ~ /sender\\.example$/\n"
      "rule NEVER\n score 1\n when body ~ /never in this text/\n",
      "paths", book);
  return filters::rules::RuleSet::compile(std::move(book), {}).value();
}

void rules() {
  const std::string message = bench::made_message(kMessageOctets);
  filters::Analysis analysis = filters::Analysis::of(message);
  analysis.read_content();
  const auto set = few_rules();
  const filters::Envelope envelope;
  measured_path([&] {
    filters::Findings findings;
    set->report(*set->scan(envelope, analysis, *analysis.content()), findings);
  });
}

void whole_judge() {
  const std::string message = bench::made_message(kMessageOctets);
  filters::Policy policy;
  policy.rules = few_rules();
  const filters::Envelope envelope;
  measured_path([&] {
    const filters::Analysis analysis = filters::analyse(message, policy);
    filters::Facts facts;
    (void)filters::judge(filters::Stage::data, envelope, &analysis, facts, policy);
  });
}

struct Path {
  std::string_view name;
  void (*take)();
};
constexpr Path kPaths[] = {{"commands", commands},
                           {"data", data},
                           {"header", header},
                           {"content", content},
                           {"html", html},
                           {"body_hash", body_hash},
                           {"classification", classification},
                           {"rules", rules},
                           {"judge", whole_judge}};

}  // namespace
}  // namespace postern

int main(int count, char** arguments) {
  for (const auto& path : postern::kPaths) {
    if (count < 2) fmt::print("{}\n", path.name);
    if (count == 2 && path.name == arguments[1]) {
      path.take();
      return 0;
    }
  }
  return count < 2 ? 0 : 64;
}
