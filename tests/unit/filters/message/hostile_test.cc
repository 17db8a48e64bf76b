// Messages made to cost time. Measured in processor time of this thread, n against 4n: linear work grows about fourfold, quadratic
// sixteenfold; the bound between lies far from both.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>

#include "filters/message/content.h"
#include "filters/message/header_text.h"

namespace postern::filters {
namespace {

constexpr double kGrowthMax = 10;
// Sanitizers look at memory in ways whose cost grows faster than ours.
#if defined(__has_feature)
constexpr bool kTimesCount = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kTimesCount = true;
#endif
constexpr double kTooShortToTell = 0.02;  // seconds

std::string repeated(std::string_view text, std::size_t count) {
  std::string result;
  result.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double cost(const std::string& message) {
  const double start = processor_seconds();
  const Analysis analysis = Analysis::of(message);
  const Content content = Content::of(analysis);
  EXPECT_LE(content.parts().size(), 10'000U);
  EXPECT_LE(content.urls().size(), 1000U);
  return processor_seconds() - start;
}

std::string with_type(std::string_view type, std::string body) {
  return "Content-Type: " + std::string(type) + "\n\n" + std::move(body);
}

struct HostileCase {
  std::string_view name;
  std::function<std::string(std::size_t)> make;
  std::size_t size;
};

const HostileCase kHostileCases[] = {
    {"delimiters",
     [](std::size_t n) { return with_type("multipart/mixed; boundary=a", repeated("--a\r\n", n)); }, 100'000},
    {"almost delimiters",
     [](std::size_t n) { return with_type("multipart/mixed; boundary=a", repeated("--b\r\n", n)); }, 100'000},
    {"nested boundaries with one start",
     [](std::size_t n) {
       std::string message;
       const std::string start(60, 'x');
       for (int i = 0; i < 60; ++i) {
         const std::string boundary = start + std::to_string(100 + i);
         message += "Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + '\n';
       }
       return message + '\n' + repeated("--" + start + "\n", n);
     },
     10'000},
    {"messages in messages", [](std::size_t n) { return repeated("Content-Type: message/rfc822\n\n", n); },
     20'000},
    {"header fields", [](std::size_t n) { return repeated("A: b\n", n) + "\n"; }, 25'000},
    {"header fields of a part",
     [](std::size_t n) { return with_type("multipart/mixed; boundary=a", "--a\n" + repeated("A: b\n", n)); },
     25'000},
    {"parameters", [](std::size_t n) { return with_type("text/plain" + repeated(";a*1=b", n), "x"); },
     40'000},
    {"comments", [](std::size_t n) { return with_type("text/plain " + repeated("(", n), "x"); }, 250'000},
    {"one line", [](std::size_t n) { return "\n" + std::string(n, 'x'); }, 1'000'000},
    {"almost encoded words", [](std::size_t n) { return "Subject: " + repeated("=?a?q?", n) + "\n\n"; },
     40'000},
    {"encoded words", [](std::size_t n) { return "Subject: " + repeated("=?utf-8?q?=C3?= ", n) + "\n\n"; },
     15'000},
    {"tags", [](std::size_t n) { return with_type("text/html", repeated("<b>", n)); }, 200'000},
    {"hidden in hidden", [](std::size_t n) { return with_type("text/html", repeated("<div hidden>x", n)); },
     50'000},
    {"less-than signs", [](std::size_t n) { return with_type("text/html", std::string(n, '<')); }, 500'000},
    {"unended comments", [](std::size_t n) { return with_type("text/html", repeated("<!--", n)); }, 200'000},
    {"unended scripts",
     [](std::size_t n) { return with_type("text/html", "<script>" + repeated("</scrip", n)); }, 100'000},
    {"references", [](std::size_t n) { return with_type("text/html", std::string(n, '&')); }, 500'000},
    {"attributes", [](std::size_t n) { return with_type("text/html", "<a" + repeated(" a=b", n) + ">"); },
     100'000},
    {"URLs", [](std::size_t n) { return "\n" + repeated("http://a.example/ ", n); }, 50'000},
    {"URLs in one", [](std::size_t n) { return "\n" + repeated("http://a.com", n); }, 50'000},
    {"dots", [](std::size_t n) { return "\n" + repeated("a.", n); }, 300'000},
    {"closing brackets", [](std::size_t n) { return "\nhttp://a.example/" + repeated(")", n); }, 500'000},
    {"equals signs",
     [](std::size_t n) { return "Content-Transfer-Encoding: quoted-printable\n\n" + repeated("= ", n); },
     300'000},
    {"blanks at line ends",
     [](std::size_t n) {
       return "Content-Transfer-Encoding: quoted-printable\n\n" + repeated(" ", n) + "\n";
     },
     500'000},
    {"foreign octets",
     [](std::size_t n) { return "Content-Transfer-Encoding: base64\n\n" + repeated("*", n); }, 500'000},
    {"invalid octets",
     [](std::size_t n) { return "Content-Type: text/plain; charset=shift_jis\n\n" + repeated("\xFF", n); },
     200'000},
};

TEST(Hostile, CostsGrowWithTheSizeOnly) {
  for (const HostileCase& c : kHostileCases) {
    SCOPED_TRACE(c.name);
    const std::string small = c.make(c.size);
    const std::string large = c.make(c.size * 4);
    // The machine may be busy, and fresh memory dear: the least of a few attempts is what the work itself costs.
    double once = cost(small);
    if (!kTimesCount) continue;
    double fourfold = cost(large);
    for (int attempt = 0; attempt < 5 && fourfold / std::max(once, kTooShortToTell / 4) > kGrowthMax;
         ++attempt) {
      once = std::max(once, cost(small));
      fourfold = std::min(fourfold, cost(large));
    }
    EXPECT_LE(fourfold / std::max(once, kTooShortToTell / 4), kGrowthMax)
        << once << " s, then " << fourfold << " s";
  }
}

}  // namespace
}  // namespace postern::filters
