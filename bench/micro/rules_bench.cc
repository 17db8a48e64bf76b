// What looking through a message costs: header and content, and the rules on top of them. With RULES_FOLDER the rules of that folder, else the
// shipped ones; and made-up sets of several sizes, whose patterns have the shape of real ones.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "filters/rules/language.h"
#include "filters/rules/rule_set.h"

namespace postern::filters::rules {
namespace {

constexpr const char* kWords[] = {"account", "meeting", "please", "report",   "invoice", "monday",  "weather",
                                  "project", "letter",  "update", "question", "answer",  "station", "number",
                                  "garden",  "market",  "friend", "system",   "budget",  "window"};

/// Text of ordinary words, the same at every run.
std::string text_of(std::size_t octets) {
  std::string text;
  std::uint32_t seed = 1;
  while (text.size() < octets) {
    seed = seed * 1664525 + 1013904223;
    text += kWords[seed >> 16 & 15];
    text += (seed >> 24 & 15) == 0 ? ".\r\n" : (seed >> 24 & 127) == 1 ? "\r\n\r\n" : " ";
  }
  return text;
}

std::string message_of(std::size_t octets) {
  return "Received: from mail.sender.example (mail.sender.example [192.0.2.10]) by mx.receiver.example; Mon, "
         "6 Jan 2025 10:00:00 +0000\r\n"
         "From: Robin Sample <robin@sender.example>\r\nTo: Kim <kim@receiver.example>\r\nSubject: A note on "
         "the meeting\r\n"
         "Date: Mon, 6 Jan 2025 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n"
         "Content-Type: text/plain; charset=utf-8\r\n\r\nSee http://www.sender.example/notes/1\r\n" +
         text_of(octets);
}

RuleBook shipped() {
  const char* const named = std::getenv("RULES_FOLDER");
  RuleBook book;
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(named == nullptr ? "deploy/manifests/rules" : named))
    if (entry.path().extension() == ".rules") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    (void)read_rules(text, file.string(), book);
  }
  return book;
}

/// `count` patterns of two words with a gap and an alternative, as rules on texts have.
RuleBook made_up(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i)
    text += "rule R" + std::to_string(i) + "\n score 1\n when body ~ /\\b" + kWords[i % 20] +
            std::to_string(i) + "\\s+(?:\\w+\\s+){0,3}(?:" + kWords[(i / 20) % 20] + "|" +
            kWords[(i + 7) % 20] + ")\\b/i\n";
  RuleBook book;
  (void)read_rules(text, "made-up", book);
  return book;
}

const RuleSet& set_of(std::size_t count) {  // 0: the shipped ones
  static std::map<std::size_t, std::shared_ptr<const RuleSet>> sets;
  auto& set = sets[count];
  if (set == nullptr) set = RuleSet::compile(count == 0 ? shipped() : made_up(count), {}).value();
  return *set;
}

void look_through(benchmark::State& state, bool rules) {
  const std::string message = message_of(static_cast<std::size_t>(state.range(0)));
  const RuleSet& set = set_of(static_cast<std::size_t>(state.range(1)));
  const Envelope envelope;
  for (auto _ : state) {
    Analysis analysis = Analysis::of(message);
    analysis.read_content();
    if (rules) {
      Findings findings;
      const auto scanned = set.scan(envelope, analysis, *analysis.content());
      set.report(*scanned, findings);
      benchmark::DoNotOptimize(findings);
    }
    benchmark::DoNotOptimize(analysis);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(message.size()));
}

void AnalysisAndContent(benchmark::State& state) {
  look_through(state, false);
}
void WithRules(benchmark::State& state) {
  look_through(state, true);
}

BENCHMARK(AnalysisAndContent)->Args({4096, 0})->Args({1 << 20, 0})->Unit(benchmark::kMicrosecond);
BENCHMARK(WithRules)
    ->ArgNames({"octets", "rules"})
    ->ArgsProduct({{4096, 65536, 1 << 20}, {0, 100, 500, 2000}})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace postern::filters::rules
