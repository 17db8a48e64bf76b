#pragma once

#include <string>

#include "gateway/pipeline/core.h"
#include "gateway/pipeline/pipeline.h"

namespace postern::pipeline {

/// Pipeline::scan() for one core.
reactor::Task<Pipeline::Scan> scan_message(Core& core, filters::Envelope envelope, std::string message);

}  // namespace postern::pipeline
