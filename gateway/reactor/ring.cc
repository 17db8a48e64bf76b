#include "gateway/reactor/ring.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "gateway/reactor/buffers.h"
#include "gateway/reactor/check.h"
#include "gateway/reactor/reactor.h"

namespace postern::reactor {
namespace {

constexpr unsigned kSetupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;

std::string disabled_setting() {
  std::ifstream file("/proc/sys/kernel/io_uring_disabled");
  std::string value;
  file >> value;
  return value;
}

std::string kernel_release() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : "unknown";
}

struct NamedOpcode {
  int opcode;
  std::string_view name;
};
constexpr NamedOpcode kOpcodes[] = {
    {IORING_OP_RECV, "recv"},       {IORING_OP_SEND, "send"}, {IORING_OP_ACCEPT, "accept"},
    {IORING_OP_CONNECT, "connect"}, {IORING_OP_READ, "read"}, {IORING_OP_ASYNC_CANCEL, "async cancel"},
};

}  // namespace

Error explain_setup_failure(int number, std::string_view disabled, std::string_view release) {
  Error error{.code = Errc::unsupported, .system_error = number, .context = {}};
  switch (number) {
    case EPERM:
      if (disabled == "1" || disabled == "2") {
        error.context = fmt::format(
            "io_uring is refused: the administrator has switched it off (sysctl kernel.io_uring_disabled = "
            "{})",
            disabled);
      } else {
        error.context =
            "io_uring is refused: most likely the seccomp profile of a container or service manager forbids "
            "io_uring_setup, io_uring_enter and io_uring_register";
      }
      break;
    case ENOSYS:
      error.context = fmt::format(
          "io_uring does not exist: the seccomp profile of a container hides it, or the kernel ({}) was "
          "built without it",
          release);
      break;
    case EINVAL:
      error.context = fmt::format(
          "io_uring lacks SINGLE_ISSUER and DEFER_TASKRUN: Linux 6.1 or newer is needed, this is {}",
          release);
      break;
    case ENOMEM:
      error.context =
          "no memory for the io_uring queues: RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or the memory limit "
          "of the "
          "control group is too small";
      break;
    case EMFILE:
    case ENFILE:
      error.context =
          "no descriptor left for the io_uring queues: RLIMIT_NOFILE (ulimit -n, LimitNOFILE=) is too small";
      break;
    default:
      error.code = Errc::system;
      error.context = "io_uring_setup";
  }
  return error;
}

std::expected<std::unique_ptr<Ring>, Error> Ring::create(unsigned submission_entries,
                                                         unsigned completion_entries) {
  std::unique_ptr<Ring> ring(new Ring);
  io_uring_params parameters{};
  parameters.flags = kSetupFlags;
  parameters.cq_entries = completion_entries;
  const int made = io_uring_queue_init_params(submission_entries, &ring->ring_, &parameters);
  if (made < 0) return std::unexpected(explain_setup_failure(-made, disabled_setting(), kernel_release()));
  ring->made_ = true;
  // Saves the kernel a descriptor lookup at each entry; without it everything works all the same.
  (void)io_uring_register_ring_fd(&ring->ring_);
  return ring;
}

Ring::~Ring() {
  if (made_) io_uring_queue_exit(&ring_);
}

io_uring_sqe* Ring::take_entry() {
  POSTERN_CHECK(!walking_);
  ++submissions_;
  for (;;) {
    if (io_uring_sqe* entry = io_uring_get_sqe(&ring_)) return entry;
    check_entered(io_uring_submit(&ring_));
    // Kernels that refuse submissions while completions overflow (EBUSY) want those walked first. Nothing is
    // resumed.
    if (io_uring_cq_has_overflow(&ring_)) {
      check_entered(io_uring_get_events(&ring_));
      (void)walk();
    }
  }
}

void Ring::cancel(Operation& operation) {
  io_uring_sqe* entry = take_entry();
  io_uring_prep_cancel(entry, &operation, 0);
  io_uring_sqe_set_data(entry, nullptr);
  ++in_flight_;
  ++cancellations_;
}

void Ring::check_entered(int result) {
  // EAGAIN, EBUSY, ENOMEM: the kernel is short of something just now; what was not taken stays queued for the
  // next entry.
  POSTERN_CHECK(result >= 0 || result == -EINTR || result == -ETIME || result == -EAGAIN ||
                result == -EBUSY || result == -ENOMEM);
}

void Ring::poll() {
  check_entered(io_uring_submit_and_get_events(&ring_));
}

void Ring::wait(std::optional<std::chrono::nanoseconds> longest) {
  if (!longest) {
    check_entered(io_uring_submit_and_wait(&ring_, 1));
    return;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*longest);
  __kernel_timespec time{.tv_sec = seconds.count(), .tv_nsec = (*longest - seconds).count()};
  io_uring_cqe* first = nullptr;
  check_entered(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr));
}

unsigned Ring::walk() {
  if (io_uring_cq_has_overflow(&ring_)) ++overflows_;
  walking_ = true;
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring_, head, entry) {
    ++count;
    if ((entry->flags & IORING_CQE_F_MORE) == 0) --in_flight_;
    auto* operation = static_cast<Operation*>(io_uring_cqe_get_data(entry));
    if (operation == nullptr) {
      --cancellations_;
    } else {
      operation->completed(entry->res, entry->flags);
    }
  }
  io_uring_cq_advance(&ring_, count);
  walking_ = false;
  completions_ += count;
  return count;
}

std::expected<void, Error> probe_kernel() {
  auto ring = Ring::create(4, 8);
  if (!ring) return std::unexpected(std::move(ring.error()));
  const std::unique_ptr<io_uring_probe, decltype(&io_uring_free_probe)> probe(
      io_uring_get_probe_ring((*ring)->raw()), &io_uring_free_probe);
  for (const NamedOpcode& opcode : kOpcodes) {
    if (probe && io_uring_opcode_supported(probe.get(), opcode.opcode) != 0) continue;
    return std::unexpected(
        Error{.code = Errc::unsupported,
              .system_error = 0,
              .context = fmt::format("io_uring lacks the operation \"{}\": Linux 6.1 or newer is "
                                     "needed, this is {}",
                                     opcode.name, kernel_release())});
  }
  auto buffers = BufferPool::create(**ring, 1, 4096);
  if (!buffers) return std::unexpected(std::move(buffers.error()));
  return {};
}

}  // namespace postern::reactor
