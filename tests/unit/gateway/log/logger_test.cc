#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "gateway/log/log.h"

namespace postern::log {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class LoggerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "postern_log_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::vector<json> lines_of(const std::string& text) {
    std::vector<json> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  static std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::unique_ptr<Logger> open(const Logger::Options& options) {
    std::string error;
    auto logger = Logger::open(options, &error);
    EXPECT_NE(logger, nullptr) << error;
    return logger;
  }

  fs::path folder_;
};

/// Reads what is there until nothing comes for a while or `enough` says so.
template <typename Enough>
std::string drain(int fd, Enough enough) {
  std::string text;
  char buffer[65536];
  for (int quiet = 0; quiet < 1000 && !enough(text);) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n > 0) {
      text.append(buffer, static_cast<std::size_t>(n));
      quiet = 0;
    } else {
      ++quiet;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  return text;
}

TEST_F(LoggerTest, WritesLinesInOrder) {
  const fs::path file = folder_ / "log";
  auto logger = open({.file = file.string()});
  for (int i = 0; i < 1000; ++i) logger->write(Line(Level::info, "n").field("i", i));
  logger->flush();
  const auto lines = lines_of(content(file));
  ASSERT_EQ(lines.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(lines[static_cast<std::size_t>(i)]["i"], i);
  EXPECT_EQ(logger->dropped(), 0U);
}

TEST_F(LoggerTest, TheDestructorWritesWhatIsLeft) {
  const fs::path file = folder_ / "log";
  auto logger = open({.file = file.string(), .flush_interval = std::chrono::hours(1)});
  logger->write(Line(Level::info, "last words"));
  logger.reset();
  EXPECT_EQ(lines_of(content(file)).size(), 1U);
}

TEST_F(LoggerTest, AppendsAndKeepsTheFileToOwnerAndGroup) {
  const fs::path file = folder_ / "log";
  open({.file = file.string()})->write(Line(Level::info, "one"));
  open({.file = file.string()})->write(Line(Level::info, "two"));
  EXPECT_EQ(lines_of(content(file)).size(), 2U);
  EXPECT_EQ(fs::status(file).permissions() & fs::perms::others_all, fs::perms::none);
}

TEST_F(LoggerTest, LinesBelowTheLevelVanish) {
  const fs::path file = folder_ / "log";
  auto logger = open({.file = file.string(), .level = Level::warning});
  EXPECT_FALSE(logger->enabled(Level::debug));
  EXPECT_FALSE(logger->enabled(Level::info));
  EXPECT_TRUE(logger->enabled(Level::warning));
  EXPECT_TRUE(logger->enabled(Level::error));
  logger->write(Line(Level::info, "quiet"));
  logger->write(Line(Level::error, "loud"));
  logger->flush();
  const auto lines = lines_of(content(file));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["event"], "loud");
  EXPECT_EQ(logger->dropped(), 0U);
}

TEST_F(LoggerTest, WarningsDoNotWaitForTheFlushInterval) {
  const fs::path file = folder_ / "log";
  auto logger = open({.file = file.string(), .flush_interval = std::chrono::hours(1)});
  logger->write(Line(Level::info, "gathers"));
  logger->write(Line(Level::warning, "hurries"));
  for (int i = 0; i < 1000 && content(file).empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(lines_of(content(file)).size(), 2U);
}

TEST_F(LoggerTest, AFileThatCannotBeOpenedIsASentence) {
  std::string error;
  EXPECT_EQ(Logger::open({.file = (folder_ / "absent" / "log").string()}, &error), nullptr);
  EXPECT_NE(error.find("cannot be opened: No such file or directory"), std::string::npos) << error;
  EXPECT_EQ(Logger::open({.file = folder_.string()}, &error), nullptr);
  EXPECT_NE(error.find("Is a directory"), std::string::npos) << error;
}

TEST_F(LoggerTest, ReopensAfterRename) {
  const fs::path file = folder_ / "log", old = folder_ / "log.1";
  auto logger = open({.file = file.string(), .flush_interval = std::chrono::hours(1)});
  logger->write(Line(Level::info, "before"));
  fs::rename(file, old);
  logger->write(Line(Level::info, "between"));
  logger->reopen();
  logger->write(Line(Level::info, "after"));
  logger->flush();
  const auto kept = lines_of(content(old)), fresh = lines_of(content(file));
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[1]["event"], "between");
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_EQ(fresh[0]["event"], "after");
}

TEST_F(LoggerTest, ReopenWithoutLinesIsDoneAfterFlush) {
  const fs::path file = folder_ / "log";
  auto logger = open({.file = file.string()});
  fs::remove(file);
  logger->reopen();
  logger->flush();
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(LoggerTest, AFailedReopenKeepsTheOldFileAndSaysSo) {
  const fs::path inner = folder_ / "inner", moved = folder_ / "moved";
  fs::create_directory(inner);
  auto logger = open({.file = (inner / "log").string()});
  fs::rename(inner, moved);
  logger->reopen();
  logger->write(Line(Level::info, "after"));
  logger->flush();
  const auto lines = lines_of(content(moved / "log"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["event"], "log_reopen_failed");
  EXPECT_EQ(lines[1]["event"], "after");
}

TEST_F(LoggerTest, ASlowReaderCostsLinesButNeverTime) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  constexpr std::uint64_t kLines = 20'000;
  auto logger = open({.file = pipe.string(), .buffer_octets_max = 256U << 10});
  const std::string filler(200, 'x');
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < kLines; ++i)
    logger->write(Line(Level::info, "n").field("i", i).field("f", filler));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  const std::uint64_t dropped = logger->dropped();
  EXPECT_GT(dropped, kLines / 2);
  EXPECT_LT(dropped, kLines);

  // The writer may report in several pieces, depending on how often it came to write meanwhile.
  const std::string text = drain(reader, [dropped](const std::string& so_far) {
    if (!so_far.ends_with("\n")) return false;
    std::uint64_t told = 0;
    for (std::size_t at = so_far.find("\"lines\":"); at != std::string::npos;
         at = so_far.find("\"lines\":", at + 8))
      told += std::stoull(so_far.substr(at + 8));
    return told == dropped;
  });
  std::uint64_t seen = 0, reported = 0;
  std::int64_t last = -1;
  for (const json& line : lines_of(text)) {
    if (line["event"] == "log_lines_dropped") {
      EXPECT_EQ(line["level"], "warning");
      reported += line["lines"].get<std::uint64_t>();
    } else {
      EXPECT_GT(line["i"].get<std::int64_t>(), last);
      last = line["i"].get<std::int64_t>();
      ++seen;
    }
  }
  EXPECT_EQ(reported, dropped);
  EXPECT_EQ(seen + dropped, kLines);

  logger->write(Line(Level::warning, "recovered"));
  const std::string after =
      drain(reader, [](const std::string& so_far) { return so_far.find("recovered") != std::string::npos; });
  EXPECT_EQ(lines_of(after).size(), 1U);
  close(reader);
}

TEST_F(LoggerTest, AReaderWhoStoppedDoesNotHoldUpTheEnd) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  auto logger = open({.file = pipe.string()});
  for (int i = 0; i < 5000; ++i) logger->write(Line(Level::info, "n").field("f", std::string(100, 'x')));
  const auto start = std::chrono::steady_clock::now();
  logger->flush();
  logger.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  close(reader);
}

TEST_F(LoggerTest, AReaderWhoLeftIsCountedAndMissedOnlyWhileAway) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  auto logger = open({.file = pipe.string()});
  close(reader);  // from here on a write raises SIGPIPE, which would end the program
  logger->write(Line(Level::error, "nobody reads"));
  logger->flush();
  EXPECT_EQ(logger->dropped(), 1U);
  reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const std::string text =
      drain(reader, [](const std::string& so_far) { return so_far.find("dropped") != std::string::npos; });
  const auto lines = lines_of(text);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0]["event"], "log_lines_dropped");
  EXPECT_EQ(lines[0]["lines"], 1);
  close(reader);
}

/// Puts something else in the place of standard error for a while.
class StandardErrorIs {
 public:
  explicit StandardErrorIs(int fd) : saved_(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
  ~StandardErrorIs() {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
  }
  StandardErrorIs(const StandardErrorIs&) = delete;
  StandardErrorIs& operator=(const StandardErrorIs&) = delete;

 private:
  int saved_;
};

TEST_F(LoggerTest, StandardErrorMayBeAPipeASocketOrAFile) {
  int pipe_ends[2], socket_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket_ends), 0);
  const fs::path file = folder_ / "stderr";
  const int file_fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const int file_reader = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const struct {
    const char* name;
    int write_end, read_end;
  } cases[] = {{"pipe", pipe_ends[1], pipe_ends[0]},
               {"socket", socket_ends[1], socket_ends[0]},
               {"file", file_fd, file_reader}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    std::unique_ptr<Logger> logger;
    {
      const StandardErrorIs replaced(c.write_end);
      logger = open({});
    }
    const int flags_before = fcntl(c.write_end, F_GETFL);
    logger->write(Line(Level::info, "hello"));

    logger->flush();
    EXPECT_EQ(fcntl(c.write_end, F_GETFL), flags_before);  // others write there too
    const std::string text =
        drain(c.read_end, [](const std::string& so_far) { return so_far.ends_with("\n"); });
    EXPECT_EQ(lines_of(text).size(), 1U);
  }
  for (const auto& c : cases) {
    close(c.write_end);
    close(c.read_end);
  }
}

TEST_F(LoggerTest, ASocketThatNobodyReadsBlocksNobody) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  std::unique_ptr<Logger> logger;
  {
    const StandardErrorIs replaced(ends[1]);
    logger = open({.buffer_octets_max = 64U << 10});
  }
  for (int i = 0; i < 20'000; ++i) logger->write(Line(Level::info, "n").field("i", i));
  EXPECT_GT(logger->dropped(), 0U);
  const auto start = std::chrono::steady_clock::now();
  logger.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  close(ends[0]);
  close(ends[1]);
}

TEST_F(LoggerTest, ThreadsWriteWholeLines) {
  const fs::path file = folder_ / "log";
  constexpr int kThreads = 4, kLines = 2000;
  auto logger = open({.file = file.string(), .flush_interval = std::chrono::milliseconds(1)});
  std::atomic<bool> stop = false;
  std::thread rotator([&] {
    while (!stop) {
      logger->reopen();
      logger->flush();
      (void)logger->dropped();
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&logger, t] {
      for (int i = 0; i < kLines; ++i) {
        logger->write(Line(i % 100 == 0 ? Level::error : Level::info, "n").field("t", t).field("i", i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  rotator.join();
  logger->flush();
  std::set<std::pair<int, int>> seen;
  for (const json& line : lines_of(content(file))) seen.emplace(line["t"].get<int>(), line["i"].get<int>());
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kThreads * kLines));
}

}  // namespace
}  // namespace postern::log
