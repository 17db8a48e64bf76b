#include "gateway/smtp/server/connection.h"

#include <algorithm>
#include <utility>

namespace postern::smtp {

using reactor::Deadline;
using reactor::Errc;
using reactor::Reactor;
using reactor::Task;

namespace {

Reply shutting_down() {
  return {.code = 421, .enhanced = "4.3.2", .text = "Shutting down, try again later"};  // RFC 5321 §3.8
}

}  // namespace

Connection::Connection(ServerContext& server, const reactor::Accepted& accepted)
    : server_(server),
      stream_(std::make_unique<reactor::Socket>()),
      arrival_{.listener = server.listener,
               .session_id = next_session_id(),
               .client = {.ip = accepted.peer.ip, .port = accepted.peer.port},
               .local = accepted.local},
      started_(Reactor::current().now()) {
  stream_.socket().adopt(accepted.descriptor, accepted.local, accepted.peer);
  server_.scope.enrol(stream_.socket());
  server_.figures.opened();
}

Task<void> Connection::run() {
  const bool arrived = co_await arrive();
  if (arrived) {
    co_await converse();
  }
  stream_.release_input();
  co_await stream_.close(abortive_);
  visit_.reset();
  write_line();
  server_.figures.ended(cause_);
  if (admitted_) server_.shared.admission.leave(admitted_as_);
}

/// The session decides; this loop only carries.
Task<void> Connection::converse() {
  for (;;) {
    const Step step = session_->next();
    note_forgotten_transaction();
    if (const auto* need = std::get_if<NeedInput>(&step)) {
      stream_.release_input();
      const bool sent = co_await flush();
      if (!sent) co_return;
      if (leave_now()) continue;
      may_interrupt_ = session_->at_command_boundary();
      auto octets =
          co_await stream_.receive(std::min(Reactor::current().now() + need->timeout, session_end_));
      may_interrupt_ = false;
      if (octets) {
        session_->feed(*octets);
      } else if (!goes_on(octets.error())) {
        co_return;
      }
    } else if (const auto* question = std::get_if<Ask>(&step)) {
      session_->keep_input();
      stream_.release_input();
      co_await ask(question->stage);
    } else if (std::holds_alternative<StartTls>(step)) {
      const bool secured = co_await start_tls();
      if (!secured) co_return;
    } else {
      const Close& close = std::get<Close>(step);
      end(close.cause);
      abortive_ = abortive_ || close.abortive;
      co_await say_farewell();
      co_return;
    }
  }
}

/// RFC 2920 §3.2: the replies of one group leave together. A client that does not read them is left.
Task<bool> Connection::flush() {
  if (!session_->has_output()) co_return true;
  const std::string replies = session_->take_output();
  const auto sent = co_await stream_.send(replies, Reactor::current().now() + send_timeout_);
  if (sent) co_return true;
  abortive_ = true;  // octets may be waiting in the kernel for a peer that does not take them
  if (sent.error().code == Errc::timed_out) end("slow_reader");
  end(sent.error());
  co_return false;
}

Task<void> Connection::say_farewell() {
  if (abortive_ || !session_->has_output()) co_return;
  const std::string replies = session_->take_output();
  constexpr bool kLast = true;
  const auto sent = co_await stream_.send(replies, Reactor::current().now() + kFarewellTimeout, kLast);
  if (!sent) abortive_ = true;
}

Task<void> Connection::ask(Stage stage) {
  const bool begins_something = stage == Stage::connect || stage == Stage::helo || stage == Stage::mail;
  if (server_.draining && begins_something) {
    session_->interrupt(shutting_down(), "shutdown");
    co_return;
  }
  if (session_->output_octets() > kOutputOctetsMax) {
    const bool sent = co_await flush();
    if (!sent) {
      session_->interrupt({}, cause_);
      co_return;
    }
  }
  if (stage == Stage::connect) {
    co_await ask_at_connect();
  } else if (stage == Stage::message) {
    co_await ask_about_message();
  } else {
    const VisitFacts known = facts();
    Decision decision = co_await visit_->at(stage, known);
    session_->decide(std::move(decision.reply), decision.close);
  }
  note_forgotten_transaction();
  if (Reactor::current().turn_expired()) {
    co_await Reactor::current().yield();
  }
}

/// Asked once, and once more for every XCLIENT: then another client stands here, and the house begins anew
/// with it.
Task<void> Connection::ask_at_connect() {
  const bool first = visit_ == nullptr;
  visit_.reset();
  if (!first) {
    arrival_.client = session_->client();
    early_talker_ = false;  // that was the other one
  }
  visit_ = server_.house.visit(arrival_);
  const Deadline before = Reactor::current().now();
  Decision decision;
  if (!early_talker_ || !early_talker_refused_) {
    const VisitFacts known = facts();
    decision = co_await visit_->at(Stage::connect, known);
  }
  // The house may have taken seconds, and the client may have spoken meanwhile.
  const bool waited = Reactor::current().now() != before;
  if (first && waited && !stream_.is_tls() && stream_.socket().input_waiting()) early_talker_ = true;
  if (early_talker_ && early_talker_refused_) {
    server_.figures.rejected("connect", "early_talker", 554);
    end("early_talker");
    decision = {.reply = {.code = 554, .enhanced = "5.5.0", .text = "You spoke before the greeting"},
                .close = true};
  } else if (first && decision.reply.code >= 400) {
    server_.figures.rejected("connect", subject_of(decision.reply.enhanced), decision.reply.code);
  }
  session_->decide(std::move(decision.reply), decision.close);
}

Task<void> Connection::ask_about_message() {
  transaction_open_ = false;  // the house has it now, there is nothing to forget
  Transaction transaction = session_->take_transaction();
  const VisitFacts known = facts();
  std::vector<Decision> decisions = co_await visit_->message(std::move(transaction), known);
  std::vector<Reply> replies;
  replies.reserve(decisions.size());
  bool close = false;
  for (Decision& decision : decisions) {
    replies.push_back(std::move(decision.reply));
    close = close || decision.close;
  }
  session_->decide_each(std::move(replies));
  if (close) session_->interrupt({}, "policy");
}

/// RFC 3207 §4. What came behind the command belongs to the handshake and is never executed.
Task<bool> Connection::start_tls() {
  std::string behind = session_->rest_of_input();
  stream_.release_input();
  const bool sent = co_await flush();
  if (!sent) co_return false;
  const bool secured = co_await secure(std::move(behind));
  if (!secured) co_return false;
  session_->tls_established();
  note_forgotten_transaction();
  co_return true;
}

/// Before a wait for input: is this the moment to end the visit? Then the session's next step says so.
bool Connection::leave_now() {
  if (server_.draining && session_->at_command_boundary()) {
    session_->interrupt(shutting_down(), "shutdown");
    return true;
  }
  if (Reactor::current().now() < session_end_) return false;
  session_->interrupt({.code = 421, .enhanced = "4.4.2", .text = "The session takes too long, closing"},
                      "timeout");
  return true;
}

/// Whether the dialogue goes on after a receive that failed, be it only to say the last word.
bool Connection::goes_on(const reactor::Error& error) {
  if (error.code == Errc::cancelled && server_.draining && !server_.cancelled) return true;
  if (error.code != Errc::timed_out) {
    end(error);
    return false;
  }
  if (!leave_now())
    session_->interrupt({.code = 421, .enhanced = "4.4.2", .text = "Timeout, closing"}, "timeout");
  return true;
}

/// A transaction that was there and is no more, without its message having gone to the house: RSET, a new
/// hello, STARTTLS, refused data. None can go and the next begin unseen, because MAIL is asked about before
/// it counts.
void Connection::note_forgotten_transaction() {
  const bool open = session_->mail() != nullptr;
  if (transaction_open_ && !open) visit_->reset();
  transaction_open_ = open;
}

void Connection::end(const reactor::Error& error) {
  switch (error.code) {
    case Errc::end_of_stream:
      return end("disconnect");
    case Errc::reset:
      return end("reset");
    case Errc::cancelled:
      return end("cancelled");
    case Errc::timed_out:
      return end("timeout");
    default:
      break;
  }
  if (error_.empty()) error_ = error.text();
  end(error.code == Errc::tls ? "tls_failed" : "error");
}

void Connection::drain() noexcept {
  if (may_interrupt_) stream_.socket().cancel_receive();
}

}  // namespace postern::smtp
