#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/admin/http.h"
#include "gateway/classifier/classifier.h"
#include "gateway/control/json.h"
#include "storage/store.h"

namespace postern::control {

inline constexpr std::string_view kQuarantineRoutes = "/v1/quarantine";
inline constexpr std::size_t kQuarantineRowsMax = 1000;  ///< of one page, and ids of one change

/// Which entries are meant; empty members mean any. Addresses are compared without case.
struct QuarantineFilter {
  std::string recipient, sender;               ///< an address, or "@domain"; of a sender also "<>"
  std::uint64_t older_ms = 0;                  ///< accepted at least so long ago
  std::optional<double> score_min, score_max;  ///< both inclusive
  bool any() const;
  bool matches(const storage::QuarantineRow& row, std::uint64_t now_ms) const;
};

/// The quarantine by hand: what the control socket and the command line do with it. Blocking: a worker, or the command line.
/// Thread-safe.
class QuarantineDesk {
 public:
  static constexpr std::size_t kScannedPerPage = 20'000;  ///< entries looked at for one page

  struct Page {
    std::vector<storage::QuarantineRow> rows;
    std::optional<storage::QuarantineKey> next;  ///< go on after this one; none: that was all
  };
  /// What became of a change, as {done, gone, problems, learned} says it.
  struct Outcome {
    std::uint64_t done = 0, gone = 0, learned = 0;
    std::vector<std::pair<std::string, std::string>> problems;  ///< id, sentence
  };

  /// `classifier` null: nothing is learned. `kick`: told that the queue has something for a destination; empty: nobody.
  QuarantineDesk(storage::Store& store, classifier::Classifier* classifier,
                 std::function<std::string()> hostname, std::function<void(const std::string&)> kick)
      : store_(store), classifier_(classifier), hostname_(std::move(hostname)), kick_(std::move(kick)) {}

  std::expected<Page, storage::Error> list(const QuarantineFilter& filter,
                                           const std::optional<storage::QuarantineKey>& after,
                                           std::size_t count) const;
  /// {entries, record}: all entries of one message, and why it is here.
  std::expected<Json, storage::Error> show(const storage::MessageId& id) const;
  /// Into the mailbox or the queue, as it is stored. With `learn` it is learned as ham first.
  Outcome release(const std::vector<storage::QuarantineKey>& keys, bool learn);
  Outcome remove(const std::vector<storage::QuarantineKey>& keys);
  /// Each message once, whatever the number of its entries.
  Outcome learn(const std::vector<storage::QuarantineKey>& keys, classifier::Class verdict);

 private:
  std::expected<void, std::string> learn_message(const storage::MessageId& id, classifier::Class verdict);
  void release_one(const storage::QuarantineKey& key, bool learn, Outcome& outcome);

  storage::Store& store_;
  classifier::Classifier* classifier_;
  std::function<std::string()> hostname_;
  std::function<void(const std::string&)> kick_;
};

bool is_quarantine_route(std::string_view path);
admin::Response quarantine_route(QuarantineDesk& desk, const admin::Request& request);

Json to_json(const storage::QuarantineRow& row);
/// {entries, next}
Json to_json(const QuarantineDesk::Page& page);
Json to_json(const QuarantineDesk::Outcome& outcome);

}  // namespace postern::control
