#include "gateway/pipeline/policy.h"

namespace postern::pipeline {

filters::Policy make_policy(const config::FilterConfig& filter, const LocalLists& lists) {
  return {
      .enabled = filter.enabled,
      .reject_score = filter.reject_score,
      .quarantine_score = filter.quarantine_score,
      .tag_score = filter.tag_score,
      .received_hops_max = filter.received_hops_max,
      .has_client_list = lists.has_clients(),
      .has_sender_list = lists.has_senders(),
      .has_recipient_list = lists.has_recipients(),
      .allow_score = filter.allow_score,
      .block_score = filter.block_score,
  };
}

}  // namespace postern::pipeline
