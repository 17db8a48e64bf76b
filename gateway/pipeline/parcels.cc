#include "gateway/pipeline/parcels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "filters/policy/profile.h"
#include "gateway/pipeline/relays.h"

namespace postern::pipeline {
namespace {

constexpr std::size_t kListedOctetsMax = 256;  ///< of From and Subject in a listing
constexpr double kMillionths = 1e6;
constexpr double kScoreMax = 1e12;  ///< beyond, the listing says no more than "a lot"

/// What the policy says about one recipient.
struct Wish {
  filters::Action action;
  double required;
  filters::Quarantine quarantine;
  std::string_view subject_tag;
};

Wish wish_of(const filters::Verdict& verdict, const filters::Policy& policy, std::size_t index) {
  if (verdict.dispositions.empty())
    return {verdict.action, verdict.required, policy.quarantine, policy.subject_tag};
  const filters::Disposition& one = verdict.dispositions[index];
  const filters::Profile* profile = filters::profile_of(one.recipient, policy);
  return {one.action, one.required, profile == nullptr ? policy.quarantine : profile->quarantine,
          profile == nullptr ? std::string_view(policy.subject_tag) : std::string_view(profile->subject_tag)};
}

Way way_of(const Wish& wish, bool relayed, bool lmtp) {
  using filters::Quarantine;
  switch (wish.action) {
    case filters::Action::accept:
    case filters::Action::tag:
      return relayed ? Way::relay : Way::inbox;
    case filters::Action::quarantine:
      if (wish.quarantine == Quarantine::store || (wish.quarantine == Quarantine::automatic && relayed))
        return Way::quarantine;
      return relayed ? Way::relay : Way::junk;
    case filters::Action::discard:
      return Way::discard;
    case filters::Action::defer:
    case filters::Action::reject:
      break;
  }
  return lmtp ? Way::refused : Way::quarantine;
}

/// What is kept from its reader shows no mark: whoever releases it has decided that it is none of that.
Look look_of(const Wish& wish, Way way) {
  const bool marked = way != Way::quarantine &&
                      (wish.action == filters::Action::tag || wish.action == filters::Action::quarantine);
  if (!marked) return {.action = filters::Action::accept, .required = wish.required, .subject_tag = {}};
  return {.action = wish.action, .required = wish.required, .subject_tag = std::string(wish.subject_tag)};
}

/// One with that look that has room: the store takes so many entries of one message.
Parcel& parcel_with(std::vector<Parcel>& parcels, Look look) {
  const auto found = std::ranges::find_if(parcels, [&look](const Parcel& parcel) {
    return parcel.look == look && parcel.quarantined.size() < storage::kQueuePartsMax;
  });
  if (found != parcels.end()) return *found;
  return parcels.emplace_back(
      Parcel{.look = std::move(look), .mailboxes = {}, .junk = {}, .relayed = {}, .quarantined = {}});
}

/// Cut between characters.
std::string listed(std::string_view text) {
  if (text.size() <= kListedOctetsMax) return std::string(text);
  std::size_t end = kListedOctetsMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) --end;
  return std::string(text.substr(0, end));
}

}  // namespace

Parcels parcels_of(const Mail& mail, const filters::Verdict& verdict, const filters::Policy& policy,
                   const std::vector<bool>& full) {
  Parcels result;
  const std::size_t count = mail.addresses.size();
  result.ways.reserve(count);
  std::vector<Wish> wishes;
  wishes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    wishes.push_back(wish_of(verdict, policy, i));
    result.ways.push_back(way_of(wishes.back(), mail.addresses[i].relayed(), mail.lmtp));
  }
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!verdict.dispositions.empty())
    std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(result.ways[i], i); });

  std::unordered_set<std::string_view> seen;
  for (const std::size_t i : order) {
    const AcceptedAddress& address = mail.addresses[i];
    const Way way = result.ways[i];
    const bool into_mailbox = way == Way::inbox || way == Way::junk;
    if (way == Way::refused || (into_mailbox && !full.empty() && full[i])) continue;
    if (count > 1 && !seen.insert(address.mailbox).second) continue;
    if (way == Way::discard) {
      ++result.discarded;
      continue;
    }
    Parcel& parcel = parcel_with(result.parcels, look_of(wishes[i], way));
    (way == Way::inbox   ? parcel.mailboxes
     : way == Way::junk  ? parcel.junk
     : way == Way::relay ? parcel.relayed
                         : parcel.quarantined)
        .push_back(i);
  }
  return result;
}

filters::Verdict shown_as(const filters::Verdict& verdict, const Look& look) {
  filters::Verdict shown = verdict;
  shown.action = look.action;
  shown.required = look.required;
  return shown;
}

storage::QuarantineEntry quarantine_entry_of(const Mail& mail, std::size_t recipient,
                                             const filters::Verdict& verdict, std::string_view from,
                                             std::string_view subject, std::uint64_t octets,
                                             std::size_t return_path_octets) {
  const AcceptedAddress& address = mail.addresses[recipient];
  const bool disposed = !verdict.dispositions.empty();
  const double score = std::isfinite(verdict.score) ? std::clamp(verdict.score, -kScoreMax, kScoreMax) : 0;
  storage::QuarantineEntry entry{
      .recipient = mail.envelope.recipients[recipient],
      .mailbox = address.relayed() ? std::string() : address.mailbox,
      .destination = address.destination,
      .sender = mail.envelope.mail_from,
      .from = listed(from),
      .subject = listed(subject),
      .reason = (disposed ? verdict.dispositions[recipient].reason : verdict.reason)
                    .substr(0, storage::kQuarantineTextOctetsMax),
      .score_millionths = std::llround(score * kMillionths),
  };
  if (!address.relayed()) return entry;
  entry.recipient = address.mailbox;  // whom the queue writes to
  entry.skip_octets = return_path_octets;
  entry.envid = mail.transaction.mail.envid;
  entry.orcpt = mail.transaction.recipients[recipient].command.orcpt;
  entry.notify = mail.transaction.recipients[recipient].command.notify;
  entry.flags = relay_flags(mail, verdict);
  entry.priority = relay_priority(mail, entry.flags, octets);
  return entry;
}

}  // namespace postern::pipeline
