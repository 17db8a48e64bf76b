#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "filters/facts.h"
#include "filters/ip.h"
#include "filters/reputation/local_lists.h"
#include "gateway/config/config.h"
#include "gateway/lists/file_lists.h"

namespace postern::pipeline {

/// The manifest's [filter.allow] and [filter.block], compiled: answers the questions client_list, sender_list
/// and recipient_list in the record form of filters/reputation/local_lists.h: the most specific entry of both
/// lists, the allowing one of two that are equal. Immutable; all cores. Looking up costs a hash per label or
/// per distinct prefix length, whatever the length of the lists.
class LocalLists {
 public:
  LocalLists() = default;
  LocalLists(const config::LocalList& allow, const config::LocalList& block);
  /// Reads the files that the lists name; without that they are empty. Blocking. The error names the file.
  std::expected<void, std::string> read_files(const config::LocalList& allow, const config::LocalList& block);
  /// What is in the files now; the files as they were when they were read first.
  std::shared_ptr<const lists::FileLists> files() const { return files_->get(); }
  void set_files(std::shared_ptr<const lists::FileLists> next) const { files_->set(std::move(next)); }
  const std::vector<lists::FileStamp>& stamps() const { return stamps_; }

  /// Only for the three kinds above.
  filters::Answer answer(const filters::Question& question) const;
  bool has_clients() const { return !v4_.empty() || !v6_.empty() || client_files_; }
  bool has_senders() const { return !senders_.empty() || sender_files_; }
  bool has_recipients() const { return !recipients_.empty() || recipient_files_; }

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
  bool client_files_ = false, sender_files_ = false, recipient_files_ = false;
  std::shared_ptr<lists::FileListsHolder> files_ =
      std::make_shared<lists::FileListsHolder>();  // its content is swapped
  std::vector<lists::FileStamp> stamps_;
  Addresses senders_, recipients_;  // by lower-case local part and A-labels; "@domain", "@.domain", "<>"
};

}  // namespace postern::pipeline
