#include "gateway/reactor/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "gateway/reactor/ring.h"

namespace postern::reactor {
namespace {

struct ErrnoCase {
  int number;
  Errc code;
  std::string_view text;
};

constexpr ErrnoCase kErrnoCases[] = {
    {.number = EADDRINUSE, .code = Errc::address_in_use, .text = "bind 127.0.0.1:25: address in use"},
    {.number = EACCES, .code = Errc::permission, .text = "bind 127.0.0.1:25: permission denied"},
    {.number = EPERM, .code = Errc::permission, .text = "bind 127.0.0.1:25: permission denied"},
    {.number = ECONNRESET, .code = Errc::reset, .text = "bind 127.0.0.1:25: connection reset"},
    {.number = EPIPE, .code = Errc::reset, .text = "bind 127.0.0.1:25: connection reset"},
    {.number = ECANCELED, .code = Errc::cancelled, .text = "bind 127.0.0.1:25: cancelled"},
    {.number = ETIMEDOUT, .code = Errc::timed_out, .text = "bind 127.0.0.1:25: timed out"},
    {.number = ENOSYS, .code = Errc::unsupported, .text = "bind 127.0.0.1:25: not supported"},
    {.number = ECONNREFUSED, .code = Errc::system, .text = "bind 127.0.0.1:25: Connection refused"},
};

TEST(ReactorError, SaysWhatFailedAndWhy) {
  for (const ErrnoCase& c : kErrnoCases) {
    SCOPED_TRACE(c.number);
    const Error error = Error::from_errno(c.number, "bind 127.0.0.1:25");
    EXPECT_EQ(error.code, c.code);
    EXPECT_EQ(error.system_error, c.number);
    EXPECT_EQ(error.text(), c.text);
  }
}

TEST(ReactorError, TakesContextOnTheWayUp) {
  EXPECT_EQ(Error::from_errno(EACCES, "bind 127.0.0.1:25").with("listener mx").text(),
            "listener mx: bind 127.0.0.1:25: permission denied");
  EXPECT_EQ(Error{.code = Errc::end_of_stream}.text(), "end of stream");
}

struct SetupCase {
  std::string_view name;
  int number;
  std::string_view disabled, release;
  Errc code;
  std::string_view part;  ///< of the sentence
};

constexpr SetupCase kSetupCases[] = {
    {"switched off for everybody", EPERM, "2", "6.1.0", Errc::unsupported,
     "sysctl kernel.io_uring_disabled = 2"},
    {"switched off for our group", EPERM, "1", "6.1.0", Errc::unsupported,
     "sysctl kernel.io_uring_disabled = 1"},
    {"container", EPERM, "0", "6.1.0", Errc::unsupported, "seccomp profile of a container"},
    {"container, kernel without the switch", EPERM, "", "6.1.0", Errc::unsupported,
     "seccomp profile of a container"},
    {"hidden or not built", ENOSYS, "", "6.1.0", Errc::unsupported,
     "the kernel (6.1.0) was built without it"},
    {"old kernel", EINVAL, "", "5.10.0-30-amd64", Errc::unsupported,
     "Linux 6.1 or newer is needed, this is 5.10.0-30"},
    {"memory", ENOMEM, "", "6.1.0", Errc::unsupported, "RLIMIT_MEMLOCK"},
    {"descriptors", EMFILE, "", "6.1.0", Errc::unsupported, "RLIMIT_NOFILE"},
    {"anything else", EIO, "", "6.1.0", Errc::system, "io_uring_setup: Input/output error"},
};

TEST(ReactorError, NamesTheLikelyCauseOfAMissingRing) {
  for (const SetupCase& c : kSetupCases) {
    SCOPED_TRACE(c.name);
    const Error error = explain_setup_failure(c.number, c.disabled, c.release);
    EXPECT_EQ(error.code, c.code);
    EXPECT_EQ(error.system_error, c.number);
    EXPECT_NE(error.text().find(c.part), std::string::npos) << error.text();
  }
}

}  // namespace
}  // namespace postern::reactor
