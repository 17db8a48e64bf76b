// DATA (RFC 5321 §4.1.1.4), BDAT (RFC 3030 §2) and what becomes of the message.
#include <algorithm>
#include <utility>

#include "gateway/smtp/session.h"

namespace postern::smtp {
namespace {

/// Refused data is read and thrown away, so that it is never taken for commands (RFC 3030 §2). Beyond this,
/// or beyond the largest message where that is more, the visit ends instead.
constexpr std::uint64_t kDiscardedOctetsMax = 256 << 20;

std::uint64_t discarded_octets_max(const SessionLimits& limits) {
  return std::max(limits.message_octets_max, kDiscardedOctetsMax);
}

const replies::Fixed& data_refusal(DataError error) {
  switch (error) {
    case DataError::bare_line_ending:
      return replies::kBareLineEndings;
    case DataError::line_too_long:
      return replies::kTextLineTooLong;
    case DataError::too_large:
      return replies::kTooLarge;
    case DataError::out_of_budget:
      return replies::kNoSpace;
    case DataError::none:
      break;
  }
  return replies::kOurMistake;
}

}  // namespace

/// DATA. It must be the last of its group (RFC 2920 §3.1): octets behind it are the message when it is
/// accepted and commands when it is not, whether they came in the same packet or not; never both.
void Session::on_data(std::string_view line) {
  if (progress_ == Progress::none) return say(replies::kMailFirst);
  if (progress_ == Progress::failed) return say(replies::kNeedsRset);
  if (progress_ ==
      Progress::chunks) {  // RFC 3030 §2: the state is ours to choose, until RSET nothing goes on
    progress_ = Progress::failed;
    transaction_.body.clear();
    return say(replies::kInsideChunks);
  }
  if (transaction_.mail.body == BodyType::binary_mime) {  // RFC 3030 §3
    progress_ = Progress::failed;
    return say(replies::kNeedsBdat);
  }
  // RFC 5321 §3.3 leaves the choice, RFC 2033 §4.2 does not. The transaction stays open: RCPT may follow.
  if (transaction_.recipients.empty())
    return say(lmtp() ? replies::kNoRecipientsLmtp : replies::kNoRecipients);
  ask(Stage::data, line);
}

void Session::start_decoder(DataFraming framing) {
  decoder_ = DataDecoder({.framing = framing,
                          .bare_line_endings = options_.bare_line_endings,
                          .octets_max = options_.limits.message_octets_max,
                          .line_octets_max = options_.limits.text_line_octets_max});
}

void Session::start_data(const Reply& reply) {
  if (!reply.positive()) return say(reply);
  if (!input_.empty()) pipelined_early_ = true;  // RFC 2920 §3.1: 354 was not awaited
  say(replies::kGoAhead);
  start_decoder(DataFraming::dot);
  phase_ = Phase::data;
}

void Session::read_data() {
  input_.remove_prefix(decoder_.write(input_, transaction_.body));
  if (decoder_.done()) return end_message();
  if (decoder_.octets() > options_.limits.message_octets_max + discarded_octets_max(options_.limits)) {
    hang_up(replies::kTooMuchToDiscard, "data");
  }
}

/// BDAT. Its octets are consumed by exactly the count announced, also when the chunk is refused. Behind a
/// count nobody can read only QUIT is taken: what else follows could be data or commands.
void Session::on_bdat(std::string_view argument, std::string_view line) {
  const auto bdat = parse_bdat(argument);
  if (!bdat) {
    after_unknown_chunk_ = true;
    return say(bdat.error());
  }
  chunk_left_ = bdat->octets;
  chunk_last_ = bdat->last;
  if (const replies::Fixed* refusal = chunk_refusal(bdat->octets)) {
    if (bdat->octets > discarded_octets_max(options_.limits))
      return hang_up(replies::kTooMuchToDiscard, "bdat");
    asked_line_.assign(line);
    return fail_chunk(refusal->wire, refusal->code);
  }
  if (progress_ == Progress::open) {  // the first chunk: may this message come at all?
    transaction_.chunked = true;
    return ask(Stage::data, line);
  }
  phase_ = Phase::chunk;
}

const replies::Fixed* Session::chunk_refusal(std::uint64_t octets) const {
  if (refused_at_connect_) return &replies::kRefusedAtConnect;
  if (options_.tls_required && !tls_active_) return &replies::kMustStartTls;
  if (progress_ == Progress::none) return &replies::kMailFirst;
  if (!extended_) return &replies::kSayHelloFirst;  // HELO offers no CHUNKING
  if (progress_ == Progress::failed) return &replies::kNeedsRset;
  if (transaction_.recipients.empty()) return lmtp() ? &replies::kNoRecipientsLmtp : &replies::kNoRecipients;
  const std::uint64_t room =
      options_.limits.message_octets_max - std::min(options_.limits.message_octets_max, decoder_.octets());
  const bool started = progress_ == Progress::chunks;
  if (octets > (started ? room : options_.limits.message_octets_max)) return &replies::kTooLarge;
  return nullptr;
}

void Session::start_chunks(const Reply& reply) {
  if (!reply.positive()) {
    std::string wire;
    reply.append_to(wire);
    return fail_chunk(wire, reply.code);
  }
  start_decoder(transaction_.mail.body == BodyType::binary_mime ? DataFraming::binary : DataFraming::counted);
  progress_ = Progress::chunks;
  phase_ = Phase::chunk;
}

/// Throws the chunk away; the reply comes after its last octet (RFC 3030 §2).
void Session::fail_chunk(std::string_view wire, int code) {
  refusal_.assign(wire);
  // RFC 3030 §2 asks us to bear chunks already in the pipeline behind a refused one: they are no new errors.
  refusal_code_ = progress_ == Progress::failed ? 0 : code;
  phase_ = Phase::chunk;
}

void Session::read_chunk() {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(input_.size(), chunk_left_));
  if (refusal_.empty()) decoder_.write(input_.substr(0, part), transaction_.body);
  input_.remove_prefix(part);
  chunk_left_ -= part;
  if (chunk_left_ == 0) end_chunk();
}

void Session::end_chunk() {
  phase_ = Phase::command;
  if (!refusal_.empty()) return end_refused_chunk();
  if (chunk_last_) {
    decoder_.finish(transaction_.body);
    return end_message();
  }
  const DataError error = decoder_.error();
  if (error == DataError::none) {
    return say(replies::kChunkTaken);
  }
  counts_.bare_line_endings += decoder_.bare_line_endings();
  progress_ = Progress::failed;
  say(data_refusal(error));
}

/// The last octet of a refused chunk was thrown away. After LAST the transaction is over; before it, only
/// RSET, a new hello or the LAST that is already on its way end it.
void Session::end_refused_chunk() {
  const bool in_transaction = progress_ != Progress::none;
  // RFC 2033 §4.3: one reply for each recipient, and therefore none where there are none.
  const std::size_t wanted = lmtp() && chunk_last_ && in_transaction ? transaction_.recipients.size() : 1;
  for (std::size_t i = 0; i < wanted; ++i) {
    out().append(refusal_);
    tell(refusal_);
  }
  transaction_.body.clear();
  if (in_transaction) progress_ = Progress::failed;
  if (chunk_last_) reset_transaction();
  const std::string wire = std::exchange(refusal_, {});
  current_line_ = asked_line_;
  note_refusal(refusal_code_, wire, true);
  current_line_ = {};
}

/// The message is complete: refused for what the octets were, or the driver is asked.
void Session::end_message() {
  phase_ = Phase::command;
  counts_.bare_line_endings += decoder_.bare_line_endings();
  const DataError error = decoder_.error();
  if (error != DataError::none) return refuse_message(data_refusal(error));
  transaction_.normalized = decoder_.bare_line_endings() > 0;
  message_recipients_ = transaction_.recipients.size();
  ask(Stage::message, "end of data");
}

/// The transaction is over (RFC 5321 §4.1.1.4); in LMTP each recipient is told (RFC 2033 §4.2). No error of
/// the command kind.
void Session::refuse_message(const replies::Fixed& reply) {
  const std::size_t wanted = lmtp() ? transaction_.recipients.size() : 1;
  for (std::size_t i = 0; i < wanted; ++i) {
    out().append(reply.wire);
    tell(reply.wire);
  }
  current_line_ = "end of data";
  note_refusal(reply.code, reply.wire, false);
  current_line_ = {};
  reset_transaction();
}

}  // namespace postern::smtp
