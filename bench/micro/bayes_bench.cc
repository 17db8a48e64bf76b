// What the classifier's opinion of a message costs: taking features (tokens, hashing), looking them up, both. The table has 64 MiB and has
// learned features of every slot, so that look-ups miss the caches as they do in service. `allocations`: operator new per message.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>
#include <string>

#include "bench/micro/messages.h"
#include "filters/bayes/extract.h"
#include "filters/bayes/model.h"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t octets) {
  ++allocations;
  if (void* memory = std::malloc(octets > 0 ? octets : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace postern::filters::bayes {
namespace {

constexpr unsigned kBits = 22;  // 64 MiB
constexpr Secret kSecret = {1, 2, 3, 4};

/// Every slot learned.
const Model& trained() {
  static Model* const model = [] {
    auto* const made = new Model(kBits);
    for (std::size_t place = 0; place < made->table().size(); ++place)
      made->table().set(place, {.gradients = static_cast<std::int32_t>(place % 2000) - 1000,
                                .squares = 70'000,
                                .ham = static_cast<std::uint32_t>(place % 7 * Slot::kMessage),
                                .spam = static_cast<std::uint32_t>(place % 5 * Slot::kMessage),
                                .day = 1});
    for (const auto total : {Model::kHam, Model::kSpam}) made->set_total(total, 1000);
    for (const auto total : {Model::kHamCounted, Model::kSpamCounted})
      made->set_total(total, 1000 * Slot::kMessage);
    return made;
  }();
  return *model;
}

/// Argument: octets of the message.
template <bool kTake, bool kLookUp>
void opinion(benchmark::State& state) {
  const std::string message = bench::made_message(static_cast<std::size_t>(state.range(0)));
  Analysis analysis = Analysis::of(message);
  analysis.read_content();
  const Extractor extractor(kSecret);
  const Model& model = trained();
  Features features;
  extractor.run(analysis, *analysis.content(), {}, features);
  const std::size_t before = allocations;
  for (auto _ : state) {
    if (kTake) extractor.run(analysis, *analysis.content(), {}, features);
    if (kLookUp) benchmark::DoNotOptimize(model.classify(features));
    benchmark::DoNotOptimize(features);
  }
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(allocations - before), benchmark::Counter::kAvgIterations);
  state.counters["tokens"] = static_cast<double>(features.tokens().size());
  state.counters["grams"] = static_cast<double>(features.grams().size());
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * message.size()));
}

void take_features(benchmark::State& state) {
  opinion<true, false>(state);
}
void look_up(benchmark::State& state) {
  opinion<false, true>(state);
}
void classification(benchmark::State& state) {
  opinion<true, true>(state);
}

BENCHMARK(take_features)->Arg(4096)->Arg(65'536)->Unit(benchmark::kMicrosecond);
BENCHMARK(look_up)->Arg(4096)->Arg(65'536)->Unit(benchmark::kMicrosecond);
BENCHMARK(classification)->Arg(4096)->Arg(65'536)->Arg(1 << 20)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace postern::filters::bayes
