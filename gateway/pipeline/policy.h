#pragma once

#include "filters/policy/policy.h"
#include "gateway/config/config.h"
#include "gateway/pipeline/local_lists.h"

namespace postern::pipeline {

/// The manifest's [filter] as the filters see it. Questions about lists that have no entries are not to be
/// asked.
filters::Policy make_policy(const config::FilterConfig& filter, const LocalLists& lists);

}  // namespace postern::pipeline
