#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::classifier {

/// A message as it was before we put our fields in front, and what those fields say of its sender.
struct Untraced {
  std::string_view message;        ///< a view into what was given
  std::vector<std::string> facts;  ///< filters::bayes::facts_of() our Authentication-Results
};

/// Takes off what this server wrote when it accepted the message: the fields down to a Received "by HOSTNAME", where all of those in
/// between are ours (Return-Path, X-Spam-…, Authentication-Results of HOSTNAME). So a message out of a mailbox is learned as what
/// it was when it was judged. Any other message stays as it is.
Untraced split_own_trace(std::string_view message, std::string_view hostname);

}  // namespace postern::classifier
