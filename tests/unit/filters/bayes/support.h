#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "filters/bayes/event.h"
#include "filters/bayes/extract.h"
#include "filters/bayes/learner.h"

namespace postern::filters::bayes {

inline constexpr Secret kSecret = {1, 2, 3, 4};

/// A message and its features.
struct Read {
  explicit Read(std::string text, const std::vector<std::string>& facts = {}, const Secret& secret = kSecret)
      : message(std::move(text)) {
    const Analysis analysis = Analysis::of(message);
    const Content content = Content::of(analysis);
    Extractor(secret).run(analysis, content, facts, features);
    digest = digest_of(analysis);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < features.tokens().size(); ++i) names.emplace_back(features.name(i));
    return names;
  }
  bool has(std::string_view name) const {
    const auto all = names();
    return std::ranges::find(all, name) != all.end();
  }

  std::string message;
  Features features;
  Digest digest{};
};

inline Read mail(Class verdict, int number) {
  const bool spam = verdict == Class::spam;
  return Read("From: " + std::string(spam ? "shop@pills.example" : "ann@work.example") +
              "\r\nSubject: " + (spam ? "cheap pills " : "minutes of meeting ") + std::to_string(number) +
              "\r\nMessage-ID: <" + std::to_string(number) + "@x.example>\r\n\r\n" +
              (spam ? "buy cheap pills now" : "please read the minutes and answer") + " number" +
              std::to_string(number) + "\r\n");
}

inline std::string snapshot(const Learner& learner) {
  std::string all;
  learner.write_snapshot([&all](std::string_view piece) { all += piece; });
  return all;
}

/// `count` messages of each class.
inline void train(Learner& learner, int count) {
  for (int i = 0; i < count; ++i)
    for (const Class verdict : {Class::ham, Class::spam}) {
      const Read read = mail(verdict, i);
      (void)learner.learn(read.digest, read.features, {.verdict = verdict, .day = 20'000});
    }
}

}  // namespace postern::filters::bayes
