#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "gateway/reactor/task.h"

namespace postern::reactor {
namespace {

constexpr std::size_t kSizes[] = {1, 63, 64, 65, 100, 1000, 4095, 4096, 4097, 100'000};

TEST(Frames, AreDistinctWritableAndCounted) {
  const std::size_t before = task_frames_alive();
  for (int round = 0; round < 3; ++round) {
    std::set<void*> frames;
    std::vector<std::pair<void*, std::size_t>> made;
    for (const std::size_t size : kSizes) {
      for (int i = 0; i < 5; ++i) {
        void* frame = allocate_frame(size);
        std::memset(frame, 0x5a, size);
        EXPECT_TRUE(frames.insert(frame).second);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t), 0U);
        made.emplace_back(frame, size);
      }
    }
    EXPECT_EQ(task_frames_alive(), before + made.size());
    for (const auto& [frame, size] : made) free_frame(frame, size);
    EXPECT_EQ(task_frames_alive(), before);
  }
}

TEST(Frames, MayBeFreedOnAnotherThread) {
  std::vector<void*> frames(1000);
  for (void*& frame : frames) frame = allocate_frame(200);
  std::thread([&] {
    for (void* frame : frames) free_frame(frame, 200);
    for (void*& frame : frames) frame = allocate_frame(200);
  }).join();
  for (void* frame : frames) free_frame(frame, 200);
}

}  // namespace
}  // namespace postern::reactor
