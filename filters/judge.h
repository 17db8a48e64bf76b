#pragma once

#include <optional>

#include "filters/authentication/checks.h"
#include "filters/envelope.h"
#include "filters/facts.h"
#include "filters/message/analysis.h"
#include "filters/policy/policy.h"
#include "filters/rules/check.h"
#include "filters/stage.h"
#include "filters/verdict.h"

namespace postern::filters {

/// What is costly and depends on the message, not on what is found out meanwhile: kept by whoever judges it, from round to round. Of one
/// message, envelope, policy and Facts, which must outlive it and must not move. One thread at a time.
struct Memo {
  authentication::Memo authentication;
  rules::Memo rules;

  /// Does at once what can be done before any answer is there. For a worker, where the message is large.
  void prepare(const Envelope& envelope, const Analysis& analysis, const Policy& policy);
};

/// The analysis that judging under this policy takes: with content where something looks at it. Linear in the message.
Analysis analyse(std::string_view message, const Policy& policy);

struct Judgement {
  std::optional<Verdict> verdict;  ///< none: facts.questions() is not empty; answer them and judge again
};

/// The one entry point. Pure: equal envelope, analysis, facts and policy give the same verdict byte for byte,
/// whatever order the answers came in. Connect, mail and rcpt look at the envelope alone: `analysis` is null
/// there, and not null at data. At rcpt the last of envelope.recipients is the one judged. `memo`, of this
/// message and these facts, saves work from round to round and changes nothing else; null: all is done anew.
Judgement judge(Stage stage, const Envelope& envelope, const Analysis* analysis, Facts& facts,
                const Policy& policy, Memo* memo = nullptr);

/// Asking early: notes in `facts` what judging at RCPT or at the data will want to know and that can be named by now, that is, from
/// the client at connect, and from HELO and MAIL FROM as well later on. Concludes nothing, so it may be called at any time, and
/// again after every answer: some questions lead to others.
void anticipate(Stage stage, const Envelope& envelope, Facts& facts, const Policy& policy);

}  // namespace postern::filters
