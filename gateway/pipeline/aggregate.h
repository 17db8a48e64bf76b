#pragma once

#include "filters/envelope.h"
#include "filters/verdict.h"
#include "storage/store.h"

namespace postern::pipeline {

/// What the store counts of a message for the aggregate reports of DMARC (RFC 9990): its day, its policy domain, and the rest of
/// the row as JSON, the same text for the same row. Without a domain where there is nothing to report. The caller must not count a
/// message that the client was told to bring again.
storage::Counted counted_for_dmarc(const filters::Envelope& envelope, const filters::Verdict& verdict);

}  // namespace postern::pipeline
