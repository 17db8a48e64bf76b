#pragma once

#include <cstddef>

namespace postern::filters {

/// What the postmaster decided about findings, from the manifest's [filter]. A value; shared immutably by all
/// cores.
struct Policy {
  bool enabled = true;  ///< false: only what protects the system itself (mail loops) is judged
  double reject_score = 15.0;
  double quarantine_score = 10.0;
  double tag_score = 5.0;
  /// RFC 5321 §6.3: more Received fields than this is a loop → 554 5.4.6.
  std::size_t received_hops_max = 100;
  /// Whether any local list has entries of the kind; where none has, the question is not asked.
  bool has_client_list = false;
  bool has_sender_list = false;
  bool has_recipient_list = false;
  double allow_score = -100.0;  ///< an entry of a local allow list
  double block_score = 100.0;   ///< an entry of a local block list
  /// What an incomplete verdict means that would let the message in: false: in it goes; true: 451, try again.
  bool defer_incomplete = false;
};

}  // namespace postern::filters
