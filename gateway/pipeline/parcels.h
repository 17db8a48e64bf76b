#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "filters/policy/policy.h"
#include "filters/verdict.h"
#include "gateway/pipeline/mail.h"
#include "storage/store.h"

namespace postern::pipeline {

/// Where mail that is probably spam waits for its reader's judgement.
inline constexpr std::string_view kJunkFolder = "Junk";

/// What becomes of the message for one recipient.
enum class Way : unsigned char {
  inbox,
  junk,
  relay,
  quarantine,
  discard,
  refused,  ///< LMTP only, where each recipient has a reply of his own
};

/// What stands in front of a copy: recipients who share it share the stored octets.
struct Look {
  filters::Action action = filters::Action::accept;  ///< as the X-Spam fields show it
  double required = 0;
  std::string subject_tag;
  friend bool operator==(const Look&, const Look&) = default;
};

/// Recipients who get the same octets, by their place in Mail.addresses.
struct Parcel {
  Look look;
  std::vector<std::size_t> mailboxes, junk, relayed, quarantined;
};

struct Parcels {
  std::vector<Way> ways;  ///< of each recipient, in their order
  std::vector<Parcel> parcels;
  std::uint32_t discarded = 0;
  bool empty() const { return parcels.empty() && discarded == 0; }
};

/// Who gets what. Two addresses of one mailbox are one delivery, and the mildest of what is said about them holds. `full`:
/// recipients whose mailbox has no room, left out; empty: none. Where a recipient's policy refuses what others get, SMTP has no
/// words for it: it goes into the quarantine for him.
Parcels parcels_of(const Mail& mail, const filters::Verdict& verdict, const filters::Policy& policy,
                   const std::vector<bool>& full);

/// The verdict as the fields in front of a copy show it.
filters::Verdict shown_as(const filters::Verdict& verdict, const Look& look);

/// What the quarantine keeps for one recipient of the parcel. `from` and `subject` as a reader sees them.
storage::QuarantineEntry quarantine_entry_of(const Mail& mail, std::size_t recipient,
                                             const filters::Verdict& verdict, std::string_view from,
                                             std::string_view subject, std::uint64_t octets,
                                             std::size_t return_path_octets);

}  // namespace postern::pipeline
