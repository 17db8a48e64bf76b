// The start-up probe on a kernel that can, and under seccomp filters like those of containers.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "gateway/reactor/reactor.h"

namespace postern::reactor {
namespace {

TEST(Probe, FindsWhatWeNeed) {
  const auto probed = probe_kernel();
  EXPECT_TRUE(probed.has_value()) << probed.error().text();
}

/// Makes io_uring_setup() fail with `number` for the rest of this process's life.
bool forbid_io_uring(int number) {
  std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// What probe_kernel() says in a child process with that filter.
std::string probe_under_filter(int number) {
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) return "pipe failed";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string text = "no seccomp here";
    if (forbid_io_uring(number)) {
      const auto probed = probe_kernel();
      text = probed ? "ok" : probed.error().text();
    }
    (void)!::write(pipe_ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(pipe_ends[1]);
  std::string text(4096, '\0');
  const ssize_t size = ::read(pipe_ends[0], text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  ::close(pipe_ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return text;
}

struct FilterCase {
  std::string_view name;
  int number;
  std::string_view part;
};
constexpr FilterCase kFilterCases[] = {
    {"forbidden", EPERM, "seccomp profile of a container"},
    {"hidden", ENOSYS, "seccomp profile of a container hides it"},
    {"too old", EINVAL, "Linux 6.1 or newer is needed"},
};

TEST(Probe, NamesTheLikelyCause) {
  for (const FilterCase& c : kFilterCases) {
    SCOPED_TRACE(c.name);
    const std::string text = probe_under_filter(c.number);
    if (text == "no seccomp here") GTEST_SKIP() << text;
    EXPECT_NE(text.find(c.part), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace postern::reactor
