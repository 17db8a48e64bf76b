// Carries the client's dialogue over a stream: what is said and decided is in gateway/smtp/client.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "gateway/delivery/attempt.h"
#include "gateway/reactor/check.h"
#include "gateway/smtp/client/data_encoder.h"
#include "gateway/smtp/client/envelope.h"
#include "gateway/smtp/client/opening.h"
#include "gateway/smtp/client/transaction.h"
#include "gateway/stream/stream.h"

namespace postern::delivery {
namespace {

namespace client = smtp::client;
using client::ServerReply;
using reactor::Deadline;
using reactor::Task;
using Kind = RecipientResult::Kind;

/// RFC 5321 §4.5.3.1.8: what every server takes.
constexpr std::size_t kRecipientsMax = 100;

std::chrono::seconds patience(const AttemptTimeouts& timeouts, AttemptStage stage) {
  switch (stage) {
    case AttemptStage::connect:
      return timeouts.connect;
    case AttemptStage::greeting:
      return timeouts.greeting;
    case AttemptStage::hello:
    case AttemptStage::auth:
      return timeouts.hello;
    case AttemptStage::tls:
      return timeouts.tls;
    case AttemptStage::mail:
      return timeouts.mail;
    case AttemptStage::rcpt:
      return timeouts.rcpt;
    case AttemptStage::data:
      return timeouts.data_start;
    case AttemptStage::message:
      break;
  }
  return timeouts.data_end;
}

bool same_family(const reactor::Address& a, const reactor::Address& b) {
  return !a.is_unix() && !b.is_unix() && a.ip.is_v4() == b.ip.is_v4();
}

RecipientResult trouble(AttemptStage stage, std::string enhanced, std::string text) {
  return client::local_result(Kind::temporary, stage, std::move(enhanced), std::move(text));
}

}  // namespace

class Connection::Impl {
 public:
  Impl(AttemptOptions all_options, reactor::Scope* all_scope)
      : options(std::move(all_options)), scope(all_scope) {}

  struct Opened {
    std::optional<RecipientResult> failure;
    bool tls_failed = false;  ///< the handshake: another try without TLS may get through
  };

  Task<Opened> try_open(bool use_tls);
  Task<Opened> greet(bool use_tls);
  Task<std::optional<RecipientResult>> start_tls();
  Task<std::expected<ServerReply, std::string>> converse(std::string_view line, AttemptStage stage);
  Task<std::expected<ServerReply, std::string>> read_reply(AttemptStage stage);
  Task<std::expected<void, std::string>> send_octets(std::string_view octets, std::chrono::seconds timeout);
  Task<std::expected<void, std::string>> send_body(const client::SendBody& how,
                                                   const OutboundMessage& message);
  Task<void> transact(client::TransactionDialogue& dialogue, const OutboundMessage& message);
  Task<void> end(bool polite);

  Deadline within(std::chrono::seconds timeout) const { return reactor::Reactor::current().now() + timeout; }
  bool is_open() const { return stream != nullptr; }

  AttemptOptions options;
  reactor::Scope* scope;
  NextHop hop;
  std::unique_ptr<stream::Stream> stream;
  client::ReplyReader reader;
  client::Capabilities offered;
  std::optional<tls::Established> secured;
  std::string kept;  ///< received behind the last reply that was taken
  std::uint64_t transactions = 0;
  bool usable = false;  ///< the dialogue is where a command may follow
  bool reset_owed = false;
};

Task<Connection::Impl::Opened> Connection::Impl::try_open(bool use_tls) {
  auto socket = std::make_unique<reactor::Socket>();
  if (scope != nullptr) scope->enrol(*socket);
  reactor::Address source;
  if (hop.source && same_family(*hop.source, hop.address)) source = *hop.source;
  auto connected = co_await socket->connect(hop.address, within(options.timeouts.connect), source);
  if (!connected) {
    co_await socket->close();
    co_return Opened{.failure = trouble(AttemptStage::connect, "4.4.1", connected.error().text())};
  }
  stream = std::make_unique<stream::Stream>(std::move(socket));
  reader = {};
  kept.clear();
  secured.reset();
  usable = reset_owed = false;
  transactions = 0;

  Opened opened;
  if (hop.implicit_tls) {
    opened.failure = co_await start_tls();
    opened.tls_failed = opened.failure.has_value();
  }
  if (!opened.failure) opened = co_await greet(use_tls);
  if (opened.failure) {
    co_await end(!opened.tls_failed);
  } else {
    usable = true;
  }
  co_return opened;
}

Task<Connection::Impl::Opened> Connection::Impl::greet(bool use_tls) {
  client::OpeningTerms terms;
  terms.hello_name = options.hello_name;
  terms.lmtp = hop.lmtp;
  terms.use_starttls = use_tls;
  terms.tls_required = hop.tls == TlsPolicy::encrypt || hop.tls == TlsPolicy::verify;
  terms.tls_active = stream->is_tls();
  if (hop.credentials) {
    terms.user = hop.credentials->user;
    terms.password = hop.credentials->password;
  }
  client::Opening opening(std::move(terms));
  client::OpeningStep step = opening.begin();
  for (;;) {
    if (const auto* say = std::get_if<client::Say>(&step)) {
      const AttemptStage stage = say->stage;
      auto reply = co_await converse(say->line, stage);
      if (!reply) co_return Opened{.failure = trouble(stage, "4.4.2", reply.error())};
      usable = reply->code != 421;
      step = opening.replied(*reply);
    } else if (std::holds_alternative<client::BeginTls>(step)) {
      usable = false;
      auto failure = co_await start_tls();
      if (failure) co_return Opened{.failure = std::move(failure), .tls_failed = true};
      step = opening.tls_established();
    } else if (auto* give_up = std::get_if<client::GiveUp>(&step)) {
      co_return Opened{.failure = std::move(give_up->result)};
    } else {
      offered = opening.capabilities();
      co_return Opened{};
    }
  }
}

Task<std::optional<RecipientResult>> Connection::Impl::start_tls() {
  // Octets behind the reply to STARTTLS came in the clear and would be read as if TLS had protected them.
  if (!kept.empty())
    co_return trouble(AttemptStage::tls, "4.7.5", "The server sent more than its reply to STARTTLS");
  if (!options.tls) co_return trouble(AttemptStage::tls, "4.7.5", "TLS is not set up here");
  tls::ClientTerms terms;
  terms.server_name = hop.host_name;
  terms.names = hop.tls_names;
  if (terms.names.empty()) terms.names.push_back(hop.host_name);
  terms.proof = hop.tls == TlsPolicy::verify ? tls::Proof::name : tls::Proof::none;
  reader = {};
  auto established =
      co_await stream->connect_tls(options.tls, std::move(terms), within(options.timeouts.tls));
  if (!established)
    co_return trouble(AttemptStage::tls, "4.7.5", "The TLS handshake failed: " + established.error().text());
  secured = std::move(*established);
  co_return std::nullopt;
}

Task<std::expected<ServerReply, std::string>> Connection::Impl::converse(std::string_view line,
                                                                         AttemptStage stage) {
  if (!line.empty()) {
    auto sent = co_await send_octets(line, patience(options.timeouts, stage));
    if (!sent) co_return std::unexpected(std::move(sent.error()));
  }
  auto reply = co_await read_reply(stage);
  co_return reply;
}

Task<std::expected<ServerReply, std::string>> Connection::Impl::read_reply(AttemptStage stage) {
  const Deadline deadline = within(patience(options.timeouts, stage));
  for (;;) {
    client::ReplyReader::Outcome outcome;
    if (!kept.empty()) {
      std::string_view rest = kept;
      outcome = reader.read(rest);
      kept.erase(0, kept.size() - rest.size());
    } else {
      auto received = co_await stream->receive(deadline);
      if (!received) {
        usable = false;
        co_return std::unexpected(
            fmt::format("No reply to {}: {}", client::to_string(stage), received.error().text()));
      }
      std::string_view rest = *received;
      outcome = reader.read(rest);
      kept.assign(rest);
      stream->release_input();
    }
    if (outcome == client::ReplyReader::Outcome::reply) co_return reader.take();
    if (outcome == client::ReplyReader::Outcome::broken) {
      usable = false;
      co_return std::unexpected(
          fmt::format("The server's answer is no reply: expected {}", reader.problem()));
    }
  }
}

Task<std::expected<void, std::string>> Connection::Impl::send_octets(std::string_view octets,
                                                                     std::chrono::seconds timeout) {
  auto sent = co_await stream->send(octets, within(timeout));
  if (sent) co_return std::expected<void, std::string>{};
  usable = false;
  co_return std::unexpected(sent.error().text());
}

Task<std::expected<void, std::string>> Connection::Impl::send_body(const client::SendBody& how,
                                                                   const OutboundMessage& message) {
  const std::chrono::seconds timeout = options.timeouts.data_block;
  if (how.nothing) {
    auto sent = co_await send_octets(".\r\n", timeout);
    co_return sent;
  }
  if (how.chunked) {
    std::string first = how.lines;
    first.append(message.head);
    auto sent = co_await send_octets(first, timeout);
    // In pieces, so that each has its deadline and not all of them one (§4.5.3.2.5).
    std::string_view rest = message.content;
    while (sent && !rest.empty()) {
      const std::string_view piece = rest.substr(0, client::DataEncoder::kPieceOctets);
      rest.remove_prefix(piece.size());
      sent = co_await send_octets(piece, timeout);
    }
    co_return sent;
  }
  client::DataEncoder encoder(message.head, message.content);
  std::string piece;
  piece.reserve(std::min<std::uint64_t>(message.octets() + 256, client::DataEncoder::kPieceOctets * 2));
  while (encoder.next(piece)) {
    auto sent = co_await send_octets(piece, timeout);
    if (!sent) co_return sent;
  }
  co_return std::expected<void, std::string>{};
}

Task<void> Connection::Impl::transact(client::TransactionDialogue& dialogue, const OutboundMessage& message) {
  for (;;) {
    client::TransactionStep step = dialogue.next();
    if (const auto* group = std::get_if<client::SayGroup>(&step)) {
      auto sent = co_await send_octets(group->lines, options.timeouts.mail);
      if (!sent) dialogue.lost(sent.error());
    } else if (const auto* await = std::get_if<client::AwaitReply>(&step)) {
      auto reply = co_await read_reply(await->stage);
      if (reply) {
        dialogue.replied(*reply);
      } else {
        dialogue.lost(reply.error());
      }
    } else if (const auto* body = std::get_if<client::SendBody>(&step)) {
      auto sent = co_await send_body(*body, message);
      if (sent) {
        dialogue.body_sent();
      } else {
        dialogue.lost(sent.error());
      }
    } else {
      co_return;
    }
  }
}

Task<void> Connection::Impl::end(bool polite) {
  if (!stream) co_return;
  if (polite && std::exchange(usable, false) && kept.empty()) {
    auto sent = co_await send_octets("QUIT\r\n", options.timeouts.quit);
    usable = false;
    // RFC 5321 §4.1.1.10: the reply is awaited, but not for long.
    if (sent) {
      auto received = co_await stream->receive(within(options.timeouts.quit));
      (void)received;  // whatever it says, the connection ends
    }
  }
  usable = false;
  co_await stream->close();
  stream.reset();
}

Connection::Connection(AttemptOptions options, reactor::Scope* scope)
    : impl_(std::make_unique<Impl>(std::move(options), scope)) {}

Connection::~Connection() {
  POSTERN_CHECK(!impl_->is_open());
}

Task<std::expected<void, RecipientResult>> Connection::open(NextHop hop) {
  Impl& self = *impl_;
  POSTERN_CHECK(!self.is_open());
  self.hop = std::move(hop);
  const bool use_tls = self.hop.tls != TlsPolicy::none && self.options.tls != nullptr;
  auto opened = co_await self.try_open(use_tls);
  // RFC 7435 §3: whoever asks for no proof gains nothing from a broken handshake.
  if (opened.failure && opened.tls_failed && self.hop.tls == TlsPolicy::may && !self.hop.implicit_tls)
    opened = co_await self.try_open(false);
  if (opened.failure) co_return std::unexpected(std::move(*opened.failure));
  co_return std::expected<void, RecipientResult>{};
}

Task<std::vector<RecipientResult>> Connection::send(const OutboundMessage& message) {
  Impl& self = *impl_;
  const std::size_t count = message.recipients.size();
  if (!self.is_open() || !self.usable)
    co_return std::vector<RecipientResult>(count,
                                           trouble(AttemptStage::mail, "4.4.2", "The connection is closed"));

  const client::Survey survey = client::Survey::of(message.head, message.content);
  client::EnvelopePlan plan = client::plan_envelope(message, survey, self.offered, false);
  if (plan.refusal) co_return std::vector<RecipientResult>(count, std::move(*plan.refusal));
  ++self.transactions;
  client::TransactionDialogue dialogue(std::move(plan), self.offered.pipelining, self.hop.lmtp,
                                       self.offered.dsn, message.octets(), self.reset_owed);
  co_await self.transact(dialogue, message);
  self.reset_owed = dialogue.reset_owed();
  if (dialogue.unusable()) self.usable = false;
  co_return std::move(dialogue).results();
}

bool Connection::reusable() const {
  const Impl& self = *impl_;
  if (!self.is_open() || !self.usable || !self.kept.empty()) return false;
  if (self.offered.transactions_max && self.transactions >= *self.offered.transactions_max)
    return false;                                 // RFC 9422
  return !self.stream->socket().input_waiting();  // a farewell, or the end
}

Task<void> Connection::close() {
  co_await impl_->end(true);
}

const NextHop& Connection::hop() const {
  return impl_->hop;
}

std::optional<tls::Established> Connection::tls() const {
  return impl_->secured;
}

bool Connection::tls_verified() const {
  return impl_->secured && impl_->secured->verified;
}

std::size_t Connection::recipients_max() const {
  const auto& announced = impl_->offered.recipients_max;
  return announced ? static_cast<std::size_t>(*announced) : kRecipientsMax;
}

}  // namespace postern::delivery
