// What happens when the disk is full: on a small file system of the test's own, so root and mount(2) are
// needed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "storage/store.h"
#include "tests/unit/storage/support.h"

namespace postern::storage {
namespace {

using test::deliver;
using test::open_store;
using test::options_for;
using test::to;
using test::transaction;
using test::why;

constexpr std::size_t kDiskOctets = 64U << 20;
constexpr std::size_t kBodyOctets = 100'000;

class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(place());
    const std::string size = fmt::format("size={}", kDiskOctets);
    if (::mount("tmpfs", place().c_str(), "tmpfs", 0, size.c_str()) != 0)
      GTEST_SKIP() << "no small file system can be mounted here: " << std::strerror(errno);
    mounted_ = true;
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) {
      EXPECT_EQ(::umount2(place().c_str(), MNT_DETACH), 0);
    }
  }

  std::filesystem::path place() const { return scratch_ / "disk"; }
  std::filesystem::path path() const { return place() / "store"; }
  std::string body(std::uint32_t n) const { return fmt::format("{:08} ", n) + std::string(kBodyOctets, 'x'); }

  /// Takes all but `octets` of the disk.
  void fill_but(std::size_t octets) {
    const int file = ::open((place() / "filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    const std::size_t free = std::filesystem::space(place()).available;
    ASSERT_GT(free, octets);
    ASSERT_EQ(::posix_fallocate(file, 0, static_cast<off_t>(free - octets)), 0);
    ::close(file);
  }
  void make_room() { std::filesystem::remove(place() / "filler"); }

  /// Delivers until it fails; gives the failure. `next_` is the id that failed.
  Error deliver_until_failure() {
    for (; next_ < 2000; ++next_) {
      const auto result = deliver(*store_, transaction(next_, to("a@x.example"), body(next_)));
      if (!result) return result.error();
    }
    ADD_FAILURE() << "the disk has no end";
    return {};
  }
  bool recovers() {
    for (int i = 0; i < 30'000; ++i) {
      if (!store_->would_refuse()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  void expect_all_there() {
    for (std::uint32_t n = 1; n < next_; ++n) {
      const auto message = store_->message(test::id_of(n));
      ASSERT_EQ(why(message), "") << n;
      ASSERT_TRUE(*message == test::header_of(n) + body(n)) << n;
    }
    EXPECT_EQ(store_->usage("a@x.example").messages, next_ - 1);
    EXPECT_EQ(test::problems(*store_), "");
  }

  test::ScratchDirectory scratch_;
  bool mounted_ = false;
  std::unique_ptr<Store> store_;
  std::uint32_t next_ = 1;
};

TEST_F(FullDisk, FailsAsTemporaryLosesNothingAndGoesOn) {
  store_ = open_store(options_for(path()));
  ASSERT_NE(store_, nullptr);
  for (; next_ < 10; ++next_)
    ASSERT_EQ(why(deliver(*store_, transaction(next_, to("a@x.example"), body(next_)))), "");
  // More than once: the second time finds a log begun after the first.
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    fill_but(1'500'000);
    const Error error = deliver_until_failure();
    EXPECT_TRUE(error.is_temporary());
    EXPECT_TRUE(error.code == Code::no_space || error.code == Code::stalled) << error.text();
    EXPECT_TRUE(store_->would_refuse());
    EXPECT_NE(store_->statistics().trouble, "");
    test::Outcome refused;
    EXPECT_FALSE(store_->submit(transaction(5000, to("a@x.example")), refused));
    expect_all_there();

    make_room();
    ASSERT_TRUE(recovers()) << store_->statistics().trouble;
    ASSERT_EQ(why(deliver(*store_, transaction(next_, to("a@x.example"), body(next_)))), "")
        << "the failed id is free";
    ++next_;
    expect_all_there();
    store_->close();
    store_ = open_store(options_for(path()));
    ASSERT_NE(store_, nullptr);
    expect_all_there();
  }
}

TEST_F(FullDisk, AStoreOnAFullDiskStillOpensForReading) {
  store_ = open_store(options_for(path()));
  for (; next_ < 10; ++next_)
    ASSERT_EQ(why(deliver(*store_, transaction(next_, to("a@x.example"), body(next_)))), "");
  store_->close();
  fill_but(0);
  Options options = options_for(path());
  options.read_only = true;
  store_ = open_store(options);
  ASSERT_NE(store_, nullptr);
  expect_all_there();
  store_.reset();
  const auto writing = Store::open(options_for(path()));
  if (!writing) {
    EXPECT_EQ(writing.error().code, Code::no_space) << writing.error().text();
  }
}

TEST_F(FullDisk, StopsTakingMailBeforeTheEnd) {
  Options options = options_for(path());
  options.free_octets_min = 16U << 20;
  store_ = open_store(options);
  ASSERT_EQ(why(deliver(*store_, transaction(next_++, to("a@x.example")))), "");
  fill_but(8U << 20);
  for (int i = 0; i < 30'000 && !store_->would_refuse(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(store_->would_refuse());
  EXPECT_NE(store_->statistics().trouble.find("octets free on the disk, 16777216 are wanted"),
            std::string::npos)
      << store_->statistics().trouble;
  EXPECT_EQ(why(store_->set_flags("a@x.example", "INBOX", 1, kSeen, 0)), "")
      << "what makes room must still work";
  make_room();
  EXPECT_TRUE(recovers());
}

}  // namespace
}  // namespace postern::storage
