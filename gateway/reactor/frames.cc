#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include "gateway/reactor/task.h"

// Frames are made and freed thousands of times for each message, nearly always in the same few sizes on the
// same thread. A thread keeps what it frees, by size class, up to a bound; a frame freed on another thread
// simply joins that thread's lists. Under AddressSanitizer every frame is an allocation of its own, so that a
// use after free is seen.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POSTERN_PLAIN_FRAMES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define POSTERN_PLAIN_FRAMES 1
#endif
#ifndef POSTERN_PLAIN_FRAMES
#define POSTERN_PLAIN_FRAMES 0
#endif

namespace postern::reactor {
namespace {

/// Made minus freed on this thread; negative where frames of other threads end.
thread_local std::int64_t frames_alive = 0;

#if !POSTERN_PLAIN_FRAMES

constexpr std::size_t kClassOctets = 64;
constexpr std::size_t kClasses = 64;  ///< frames above 4 KiB are rare and go to the allocator
constexpr std::size_t kKeptOctetsMax = 8U << 20;

struct FreeFrame {
  FreeFrame* next;
};

struct FreeLists {
  std::array<FreeFrame*, kClasses> first{};
  std::size_t kept_octets = 0;
  bool closed = false;  ///< the thread is ending: keep nothing any more
};

// Trivially destructible, so that frames freed by destructors that run after the Guard's still find it.
constinit thread_local FreeLists lists;

struct Guard {
  bool armed = false;
  ~Guard() {
    lists.closed = true;
    for (FreeFrame*& first : lists.first) {
      while (first != nullptr) {
        FreeFrame* frame = first;
        first = frame->next;
        ::operator delete(frame);
      }
    }
  }
};
thread_local Guard guard;

constexpr std::size_t class_of(std::size_t octets) {
  return (octets - 1) / kClassOctets;
}

#endif

}  // namespace

#if POSTERN_PLAIN_FRAMES

void* allocate_frame(std::size_t octets) {
  ++frames_alive;
  return ::operator new(octets);
}

void free_frame(void* frame, std::size_t) noexcept {
  --frames_alive;
  ::operator delete(frame);
}

#else

void* allocate_frame(std::size_t octets) {
  ++frames_alive;
  const std::size_t index = class_of(octets);
  if (index >= kClasses) return ::operator new(octets);
  if (FreeFrame* frame = lists.first[index]) {
    lists.first[index] = frame->next;
    lists.kept_octets -= (index + 1) * kClassOctets;
    return frame;
  }
  return ::operator new((index + 1) * kClassOctets);
}

void free_frame(void* frame, std::size_t octets) noexcept {
  --frames_alive;
  const std::size_t index = class_of(octets);
  const std::size_t size = (index + 1) * kClassOctets;
  if (index >= kClasses || lists.closed || lists.kept_octets + size > kKeptOctetsMax) {
    ::operator delete(frame);
    return;
  }
  guard.armed = true;  // the first use on a thread registers the destructor that empties the lists
  auto* free = static_cast<FreeFrame*>(frame);
  free->next = lists.first[index];
  lists.first[index] = free;
  lists.kept_octets += size;
}

#endif

std::size_t task_frames_alive() noexcept {
  return frames_alive > 0 ? static_cast<std::size_t>(frames_alive) : 0;
}

}  // namespace postern::reactor
