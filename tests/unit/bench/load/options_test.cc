#include "bench/load/options.h"

#include <gtest/gtest.h>
#include <sysexits.h>

#include <string>
#include <vector>

namespace postern::load {
namespace {

std::expected<Options, Refusal> parse(std::vector<std::string> words) {
  std::vector<const char*> arguments = {"postern_load"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

std::vector<std::string> with(std::vector<std::string> more) {
  more.insert(more.begin(), {"--target", "127.0.0.1:25", "--rcpt", "a@b.example"});
  return more;
}

TEST(LoadOptions, HaveDefaults) {
  const auto options = parse(with({}));
  ASSERT_TRUE(options) << options.error().text;
  EXPECT_EQ(options->target.text(), "127.0.0.1:25");
  EXPECT_EQ(options->connections, 1U);
  EXPECT_EQ(options->duration, std::chrono::seconds(10));
  EXPECT_FALSE(options->rate);
  EXPECT_FALSE(options->messages);
  EXPECT_EQ(options->pipelining, Pipelining::announced);
}

TEST(LoadOptions, AreTaken) {
  const auto options = parse(with({"--connections",   "500",
                                   "--messages",      "7",
                                   "--rate",          "2.5",
                                   "--no-pipelining", "--tls",
                                   "--rcpt",          "c{n}@b.example",
                                   "--cores",         "2",
                                   "--size",          "1000",
                                   "--size",          "2000",
                                   "--from",          "",
                                   "--misbehave",     "0.25",
                                   "--timeout",       "0.5"}));
  ASSERT_TRUE(options) << options.error().text;
  EXPECT_EQ(options->connections, 500U);
  EXPECT_EQ(options->messages, 7U);
  EXPECT_EQ(options->duration, std::nullopt);  // the number is the bound
  EXPECT_EQ(options->rate, 2.5);
  EXPECT_EQ(options->pipelining, Pipelining::never);
  EXPECT_TRUE(options->tls);
  EXPECT_EQ(options->recipients, (std::vector<std::string>{"a@b.example", "c{n}@b.example"}));
  EXPECT_EQ(options->sizes, (std::vector<std::size_t>{1000, 2000}));
  EXPECT_EQ(options->sender, "");
  EXPECT_EQ(options->timeout, std::chrono::milliseconds(500));
  const auto few = parse(with({"--cores", "8", "--connections", "3", "--pipelining"}));
  ASSERT_TRUE(few);
  EXPECT_EQ(few->cores, 3U);  // a core without a connection would have nothing to do
  EXPECT_EQ(few->pipelining, Pipelining::always);
}

struct WrongCase {
  const char* name;
  std::vector<std::string> words;
  const char* said;
};

TEST(LoadOptions, RefuseWithASentence) {
  const WrongCase cases[] = {
      {"no target", {"--rcpt", "a@b.example"}, "--target"},
      {"no recipient", {"--target", "127.0.0.1:25"}, "--rcpt"},
      {"no port", {"--target", "127.0.0.1", "--rcpt", "a@b.example"}, "HOST:PORT"},
      {"empty host", {"--target", ":25", "--rcpt", "a@b.example"}, "HOST:PORT"},
      {"port 0", {"--target", "127.0.0.1:0", "--rcpt", "a@b.example"}, "port"},
      {"a command in a recipient", with({"--rcpt", "x@y.example>\r\nRSET"}), "--rcpt"},
      {"empty recipient", with({"--rcpt", ""}), "--rcpt"},
      {"a bracket in the sender", with({"--from", "a>b"}), "--from"},
      {"a space in the name", with({"--helo", "a b"}), "--helo"},
      {"no connections", with({"--connections", "0"}), "--connections"},
      {"too many connections", with({"--connections", "1000001"}), "--connections"},
      {"no rate", with({"--rate", "0"}), "--rate"},
      {"a rate that is no number", with({"--rate", "fast"}), "--rate"},
      {"no time", with({"--duration", "0"}), "--duration"},
      {"no messages", with({"--messages", "0"}), "--messages"},
      {"share above one", with({"--misbehave", "1.1"}), "--misbehave"},
      {"size below the header", with({"--size", "511"}), "--size"},
      {"two kinds of TLS", with({"--tls", "--implicit-tls"}), "exclude"},
      {"resumption without TLS", with({"--resume"}), "--resume"},
      {"spam without a share", with({"--spam", "x"}), "--spam-share"},
      {"a share without spam", with({"--spam-share", "0.5"}), "--spam-share"},
      {"corpus and size", with({"--corpus", "x", "--size", "1000"}), "exclude"},
      {"an option that does not exist", with({"--fast"}), "--fast"},
  };
  for (const WrongCase& c : cases) {
    SCOPED_TRACE(c.name);
    const auto options = parse(c.words);
    ASSERT_FALSE(options);
    EXPECT_EQ(options.error().exit_code, EX_USAGE);
    EXPECT_NE(options.error().text.find(c.said), std::string::npos) << options.error().text;
  }
  EXPECT_TRUE(parse(with({"--size", "512"})));
  EXPECT_TRUE(parse(with({"--connections", "1000000"})));
}

TEST(LoadOptions, HelpIsNoError) {
  const auto help = parse({"--help"});
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().exit_code, 0);
  EXPECT_NE(help.error().text.find("--messages-per-connection"), std::string::npos);
}

TEST(LoadOptions, NumbersGoIntoPatterns) {
  EXPECT_EQ(with_number("a@b.example", 5), "a@b.example");
  EXPECT_EQ(with_number("u{n}@b{n}.example", 12), "u12@b12.example");
  EXPECT_EQ(with_number("{n", 1), "{n");
}

}  // namespace
}  // namespace postern::load
