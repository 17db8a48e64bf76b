#pragma once

#include <string_view>

#include "filters/verdict.h"
#include "gateway/pipeline/directory.h"
#include "gateway/smtp/reply.h"

/// What the house says. Codes are those of RFC 5321 §4.2.3, enhanced codes those of RFC 3463 §3. Nothing here
/// quotes what a client said, so that nobody's address gets into somebody else's bounce by us.
namespace postern::pipeline::replies {

smtp::Reply ok();                                ///< empty text: the session's standard reply to the stage
smtp::Reply no_room();                           ///< 452 4.3.1
smtp::Reply busy(std::string_view id);           ///< 451 4.3.2
smtp::Reply not_stored(std::string_view id);     ///< 451 4.3.0
smtp::Reply no_space(std::string_view id);       ///< 452 4.3.1
smtp::Reply accepted(std::string_view id);       ///< 250 2.0.0
smtp::Reply unknown_recipient();                 ///< 550 5.1.1
smtp::Reply no_relaying();                       ///< 550 5.7.1
smtp::Reply not_authenticated();                 ///< 530 5.7.0
smtp::Reply not_your_address();                  ///< 553 5.7.1
smtp::Reply too_many_this_hour();                ///< 450 4.7.1
smtp::Reply over_quota(bool refuse_for_good);    ///< 552 5.2.2 or 452 4.2.2
smtp::Reply not_mailbox(Resolution::Kind kind);  ///< for everything but Kind::mailbox

/// Where in the dialogue a verdict is spoken.
enum class Moment { greeting, command, data };
/// The reply to a verdict that refuses or defers. `id` is appended when it is not empty. What a verdict asks for
/// is kept to what may be said there: a greeting is 554 or 421 (RFC 5321 §3.1, §3.8), a path is refused with 550
/// (§4.3.2), a deferral is never 5xx.
smtp::Reply refusal(const filters::Verdict& verdict, Moment moment, std::string_view id = {});

}  // namespace postern::pipeline::replies
