#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "filters/facts.h"
#include "filters/ip.h"
#include "filters/reputation/local_lists.h"
#include "gateway/config/config.h"

namespace postern::pipeline {

/// The manifest's [filter.allow] and [filter.block], compiled: answers the questions client_list, sender_list
/// and recipient_list in the record form of filters/reputation/local_lists.h: the most specific entry of both
/// lists, the allowing one of two that are equal. Immutable; all cores. Looking up costs a hash per label or
/// per distinct prefix length, whatever the length of the lists.
class LocalLists {
 public:
  LocalLists() = default;
  LocalLists(const config::LocalList& allow, const config::LocalList& block);
  /// Only for the three kinds above.
  filters::Answer answer(const filters::Question& question) const;
  bool has_clients() const { return !v4_.empty() || !v6_.empty(); }
  bool has_senders() const { return !senders_.empty(); }
  bool has_recipients() const { return !recipients_.empty(); }

 private:
  struct Listed {
    filters::ListKind kind = filters::ListKind::block;
    std::string entry;  ///< as the manifest spells it
  };
  /// The networks of one prefix length, by masked address.
  struct Prefix {
    unsigned bits = 0;
    std::unordered_map<filters::Ip, Listed> networks;
  };
  using Prefixes = std::vector<Prefix>;  ///< longest first
  using Addresses = std::unordered_map<std::string, Listed>;

  void add(const config::LocalList& list, filters::ListKind kind);
  static void add_networks(const std::vector<filters::Network>& networks, filters::ListKind kind, bool v4,
                           Prefixes& to);
  static void add_addresses(const std::vector<std::string>& entries, filters::ListKind kind, Addresses& to);
  const Listed* find_client(std::string_view text) const;
  static const Listed* find_address(const Addresses& addresses, std::string_view address);

  Prefixes v4_, v6_;
  Addresses senders_, recipients_;  // by lower-case local part and A-labels; "@domain", "@.domain", "<>"
};

}  // namespace postern::pipeline
