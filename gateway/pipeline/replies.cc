#include "gateway/pipeline/replies.h"

#include <fmt/format.h>

#include <string>

namespace postern::pipeline::replies {
namespace {

std::string with_id(std::string_view text, std::string_view id) {
  return id.empty() ? std::string(text) : fmt::format("{} (id {})", text, id);
}

}  // namespace

smtp::Reply ok() {
  return {.code = 250};
}

smtp::Reply no_room() {
  return {.code = 452, .enhanced = "4.3.1", .text = "No room for mail now, try again later"};
}

smtp::Reply busy(std::string_view id) {
  return {.code = 451,
          .enhanced = "4.3.2",
          .text = with_id("Too busy to look at the message, try again later", id)};
}

smtp::Reply not_stored(std::string_view id) {
  return {.code = 451,
          .enhanced = "4.3.0",
          .text = with_id("The message could not be stored, try again later", id)};
}

smtp::Reply no_space(std::string_view id) {
  return {
      .code = 452, .enhanced = "4.3.1", .text = with_id("No room for the message now, try again later", id)};
}

smtp::Reply accepted(std::string_view id) {
  return {.code = 250, .enhanced = "2.0.0", .text = with_id("Message accepted", id)};
}

smtp::Reply unknown_recipient() {
  return {.code = 550, .enhanced = "5.1.1", .text = "No such address here"};
}

smtp::Reply no_relaying() {
  return {.code = 550, .enhanced = "5.7.1", .text = "Relaying is not allowed"};
}

smtp::Reply not_authenticated() {
  return {.code = 530, .enhanced = "5.7.0", .text = "Authentication is required"};
}

smtp::Reply not_your_address() {
  return {.code = 553, .enhanced = "5.7.1", .text = "The sender is not an address of your account"};
}

smtp::Reply too_many_this_hour() {
  return {.code = 450, .enhanced = "4.7.1", .text = "Too many recipients in an hour, try again later"};
}

smtp::Reply over_quota(bool refuse_for_good) {
  if (refuse_for_good) return {.code = 552, .enhanced = "5.2.2", .text = "The mailbox is full"};
  return {.code = 452, .enhanced = "4.2.2", .text = "The mailbox is full, try again later"};
}

smtp::Reply not_mailbox(Resolution::Kind kind) {
  return kind == Resolution::Kind::unknown ? unknown_recipient() : no_relaying();
}

smtp::Reply refusal(const filters::Verdict& verdict, Moment moment, std::string_view id) {
  const bool for_good = verdict.action == filters::Action::reject;
  smtp::Reply reply = {.code = verdict.refusal.code, .enhanced = verdict.refusal.enhanced};
  const int code_class = for_good ? 5 : 4;
  if (reply.code / 100 != code_class) reply.code = for_good ? 550 : 451;
  if (reply.enhanced.size() < 5 || reply.enhanced.front() != '0' + code_class)
    reply.enhanced = for_good ? "5.7.1" : "4.7.1";
  // RFC 5321 §4.3.2: 554 belongs to the greeting and to data, a path is refused with 550.
  if (moment == Moment::greeting) reply.code = for_good ? 554 : 421;
  if (moment == Moment::command && for_good && !verdict.refusal.verbatim) reply.code = 550;
  const std::string_view standard = for_good ? "Refused by policy" : "Not now, try again later";
  reply.text = with_id(verdict.refusal.text.empty() ? standard : std::string_view(verdict.refusal.text), id);
  return reply;
}

}  // namespace postern::pipeline::replies
