#include "filters/rules/database.h"

#include <fmt/format.h>
#include <hs.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>
#include <vector>

namespace postern::filters::rules {
namespace {

constexpr std::size_t kTextOctetsMax = 1U << 30;  // the library counts in unsigned int

unsigned flags_of(const Database::Entry& entry) {
  unsigned flags = HS_FLAG_SINGLEMATCH;
  if (entry.caseless) flags |= HS_FLAG_CASELESS;
  if (entry.multiline) flags |= HS_FLAG_MULTILINE;
  if (entry.dotall) flags |= HS_FLAG_DOTALL;
  if (entry.prefilter) flags |= HS_FLAG_PREFILTER;
  return flags;
}

std::string take_message(hs_compile_error_t* error) {
  std::string what =
      error != nullptr && error->message != nullptr ? error->message : "the pattern is not taken";
  (void)hs_free_compile_error(error);
  return what;
}

/// Each thread's working memory, grown to what the largest database it has met needs. It holds nothing from one scan to the next.
class Scratch {
 public:
  ~Scratch() { (void)hs_free_scratch(scratch_); }
  /// The library checks all octets of a database whenever memory is asked for it, which takes longer than most scans: it is
  /// asked once for each database.
  hs_scratch_t* for_database(std::uint64_t number, const hs_database_t* database) {
    if (std::ranges::find(known_, number) != known_.end()) return scratch_;
    if (hs_alloc_scratch(database, &scratch_) != HS_SUCCESS) return nullptr;
    if (known_.size() < kKnownMax) {
      known_.push_back(number);
    } else {
      known_[next_] = number;  // the memory stays large enough; one that is forgotten is only asked for again
      next_ = (next_ + 1) % kKnownMax;
    }
    return scratch_;
  }

 private:
  static constexpr std::size_t kKnownMax =
      64;  // several rule sets' worth: old ones live on until their messages are done

  hs_scratch_t* scratch_ = nullptr;
  std::vector<std::uint64_t> known_;
  std::size_t next_ = 0;
};

/// Never given twice, unlike addresses, and never 0.
std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Scratch& scratch_of_thread() {
  thread_local Scratch scratch;
  return scratch;
}

int on_match(unsigned id, unsigned long long, unsigned long long to, unsigned, void* context) {
  (*static_cast<const Database::Hit*>(context))(id, static_cast<std::size_t>(to));
  return 0;
}

}  // namespace

void Database::Free::operator()(hs_database* database) const {
  (void)hs_free_database(database);
}

std::expected<Database, Database::Failure> Database::compile(std::span<const Entry> entries) {
  Database made;
  if (entries.empty()) return made;
  std::vector<const char*> expressions;
  std::vector<unsigned> flags, ids;
  for (const Entry& entry : entries) {
    expressions.push_back(entry.expression.c_str());
    flags.push_back(flags_of(entry));
    ids.push_back(entry.id);
  }
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t result =
      hs_compile_multi(expressions.data(), flags.data(), ids.data(), static_cast<unsigned>(entries.size()),
                       HS_MODE_BLOCK, nullptr, &database, &error);
  if (result != HS_SUCCESS) {
    const std::size_t entry = error != nullptr && error->expression >= 0
                                  ? static_cast<std::size_t>(error->expression)
                                  : entries.size();
    return std::unexpected(Failure{.entry = entry, .what = take_message(error)});
  }
  made.database_.reset(database);
  made.number_ = next_number();
  return made;
}

std::optional<Database> Database::restore(std::string_view serialized) {
  Database made;
  if (serialized.empty()) return made;
  hs_database_t* database = nullptr;
  if (hs_deserialize_database(serialized.data(), serialized.size(), &database) != HS_SUCCESS)
    return std::nullopt;
  made.database_.reset(database);
  made.number_ = next_number();
  return made;
}

std::string Database::serialized() const {
  if (!database_) return {};
  char* octets = nullptr;
  std::size_t size = 0;
  if (hs_serialize_database(database_.get(), &octets, &size) != HS_SUCCESS) return {};
  std::string out(octets, size);
  std::free(octets);
  return out;
}

std::size_t Database::octets() const {
  std::size_t size = 0;
  if (database_) (void)hs_database_size(database_.get(), &size);
  return size;
}

bool Database::scan(std::string_view text, const Hit& hit) const {
  if (!database_ || text.empty()) return true;
  hs_scratch_t* const scratch = scratch_of_thread().for_database(number_, database_.get());
  if (scratch == nullptr) return false;
  text = text.substr(0, kTextOctetsMax);
  return hs_scan(database_.get(), text.data(), static_cast<unsigned>(text.size()), 0, scratch, on_match,
                 const_cast<Hit*>(&hit)) == HS_SUCCESS;
}

Database::Fit Database::fit(const Entry& entry, std::string& why) {
  Entry tried = entry;
  for (const bool prefilter : {false, true}) {
    tried.prefilter = prefilter;
    hs_expr_info_t* info = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_expression_info(tried.expression.c_str(), flags_of(tried), &info, &error) == HS_SUCCESS) {
      const bool empty = info != nullptr && info->min_width == 0;
      std::free(info);
      if (!empty) return prefilter ? Fit::prefilter : Fit::native;
      why = "it matches the empty text, and so everywhere";
      if (prefilter) return Fit::none;
    } else {
      why = take_message(error);
    }
  }
  return Fit::none;
}

std::string Database::platform() {
  hs_platform_info_t info{};
  (void)hs_populate_platform(&info);
  return fmt::format("{} tune {} features {:x}", hs_version(), info.tune, info.cpu_features);
}

}  // namespace postern::filters::rules
