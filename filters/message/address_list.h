#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {

/// One mailbox of an address field (RFC 5322 §3.4), as a reader of the message would take it.
struct MailboxName {
  std::string name;    ///< display name, quotes and comments taken off, encoded words as they stand
  std::string local;   ///< local part, unquoted
  std::string domain;  ///< as written, without blanks and comments; a literal keeps its brackets
  std::string address() const { return domain.empty() ? local : local + '@' + domain; }
};

struct AddressList {
  static constexpr std::size_t kMailboxesMax = 1000;

  std::vector<MailboxName> mailboxes;  ///< groups flattened, at most kMailboxesMax
  /// Something in the field is not what RFC 5322 allows, the obsolete forms of §4.4 included: text outside a mailbox, an
  /// address without a domain, an unended quotation. What could be read is there all the same.
  bool broken = false;
  bool truncated = false;
};

/// Reads the value of From, To, Cc, Reply-To, Sender. Linear; never fails.
AddressList parse_addresses(std::string_view value);

}  // namespace postern::filters
