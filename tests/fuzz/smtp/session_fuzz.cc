// Any octets to a session, in any state, while a house decides by chance: every reply is whole, no message makes two
// transactions, memory is given back, the visit ends; and all that is the same whether the octets come in one piece or in
// many. The first octet chooses the options, the next two the house's chance.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/smtp/session.h"

namespace {

using namespace postern::smtp;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Complete lines only, each beginning with a code, printable ASCII, at most 512 octets; the last one ends its reply.
void check_replies(std::string_view output) {
  bool last = true;
  while (!output.empty()) {
    const std::size_t end = output.find("\r\n");
    require(end != std::string_view::npos && end >= 3 && end <= 510);
    const std::string_view line = output.substr(0, end);
    for (const char c : line) require(c >= ' ' && c <= '~');
    require(line[0] >= '2' && line[0] <= '5' && (line.size() == 3 || line[3] == ' ' || line[3] == '-'));
    last = line.size() == 3 || line[3] == ' ';
    output.remove_prefix(end + 2);
  }
  require(last);
}

/// No CR or LF that is no CRLF: what is stored can be split nowhere else.
void check_lines(std::string_view body) {
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] == '\r') require(i + 1 < body.size() && body[i + 1] == '\n');
    if (body[i] == '\n') require(i > 0 && body[i - 1] == '\r');
  }
}

struct Outcome {
  std::string output, messages, cause;
  unsigned errors = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

class Visit {
 public:
  Visit(const SessionOptions& options, unsigned chance, unsigned pieces, BodyBudget* budget)
      : session_(options, {}, budget), options_(options), chance_(chance), cuts_(pieces), pieces_(pieces) {}

  Outcome run(std::string_view input) {
    std::string fed;
    std::size_t position = 0;
    std::size_t steps = 0;
    for (;;) {
      require(++steps <= 8 * input.size() + 64);
      const Step step = session_.next();
      if (const auto* ask = std::get_if<Ask>(&step)) {
        if (pieces_ > 0 && cuts_() % 2 == 0) {
          session_.keep_input();
          std::ranges::fill(fed, '#');
        }
        answer(ask->stage);
        continue;
      }
      const std::string group = session_.take_output();
      check_replies(group);
      outcome_.output += group;
      if (const auto* close = std::get_if<Close>(&step)) {
        outcome_.cause = close->cause;
        break;
      }
      if (std::holds_alternative<StartTls>(step)) {
        position -= session_.rest_of_input().size();  // the client of this model says it again, inside TLS
        session_.tls_established();
        require(session_.mail() == nullptr && session_.helo().empty());
        accepted_mail_ = false;
        continue;
      }
      if (position == input.size()) {
        session_.interrupt({421, "4.4.2", "Timeout"}, "end of input");
        continue;
      }
      const std::size_t left = input.size() - position;
      const std::size_t part = pieces_ == 0 ? left : std::min<std::size_t>(left, 1 + cuts_() % pieces_);
      fed.assign(input.substr(position, part));
      fed.shrink_to_fit();
      session_.feed(fed);
      position += part;
    }
    require(std::holds_alternative<Close>(session_.next()));
    // A reply to each command, one more for each recipient of a message, and the greetings: nothing amplifies.
    require(outcome_.output.size() <= 1024 * (session_.counts().commands + 2u * replies_ + 4));
    outcome_.errors = session_.counts().errors;
    return std::move(outcome_);
  }

 private:
  Reply decision() {
    switch (chance_() % 16) {
      case 0:
        return {550, "5.7.1", "No"};
      case 1:
        return {451, "4.7.1", "Later"};
      case 2:
        return {chance_() % 8 == 0 ? 421 : 250, "", "\x01text\nof two lines"};
      case 3:
        return {static_cast<int>(chance_() % 700), "", ""};
      case 4:
        return {250, "2.0.0", std::string(600, 'x')};
      default:
        return {250, "", ""};
    }
  }

  void answer(Stage stage) {
    ++replies_;
    if (stage == Stage::message) return answer_message();
    const std::size_t before = session_.recipients();
    if (stage == Stage::mail) require(session_.mail() == nullptr && before == 0);
    if (stage == Stage::rcpt || stage == Stage::data) require(session_.mail() != nullptr);
    if (stage == Stage::data) require(before > 0);
    session_.decide(decision(), chance_() % 64 == 0);
    if (stage == Stage::mail && session_.mail() != nullptr) accepted_mail_ = true;
    require(session_.recipients() <= options_.limits.recipients_max);
  }

  void answer_message() {
    require(accepted_mail_);  // one MAIL, one message
    accepted_mail_ = false;
    const std::size_t recipients = session_.recipients();
    require(recipients > 0);
    replies_ += static_cast<unsigned>(recipients);
    if (chance_() % 8 != 0) {
      const Transaction transaction = session_.take_transaction();
      require(transaction.recipients.size() == recipients && session_.recipients() == recipients);
      require(transaction.body.size() <= options_.limits.message_octets_max);
      if (transaction.mail.body != BodyType::binary_mime) {
        std::string_view body = transaction.body.view();
        check_lines(body);
      }
      outcome_.messages.append(transaction.mail.path.normal_form())
          .append("|")
          .append(transaction.body.view())
          .append("|");
    }
    std::vector<Reply> replies;
    for (std::size_t count = chance_() % 4 == 0 ? 1 : recipients; count > 0; --count)
      replies.push_back(decision());
    if (chance_() % 8 == 0) replies.pop_back();
    if (options_.protocol == Protocol::lmtp) return session_.decide_each(std::move(replies));
    session_.decide(decision());
  }

  Session session_;
  const SessionOptions& options_;
  std::minstd_rand chance_, cuts_;
  unsigned pieces_, replies_ = 0;
  Outcome outcome_;
  bool accepted_mail_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto flag = [&](unsigned bit) { return ((data[0] >> bit) & 1) != 0; };
  SessionOptions options;
  options.hostname = "mx.test.example";
  options.protocol = flag(0) ? Protocol::lmtp : Protocol::smtp;
  options.bare_line_endings = flag(1) ? BareLineEndings::normalize : BareLineEndings::reject;
  options.tls_available = flag(2);
  options.tls_required = flag(3) && flag(2);
  options.xclient_allowed = flag(4);
  options.local_network = flag(5);
  options.limits.message_octets_max = flag(6) ? 50 : 5000;
  options.limits.command_octets_max = flag(7) ? 64 : 2048;
  options.limits.recipients_max = 3;
  const unsigned chance = data[1] + 256u * data[2];
  const std::string_view input(reinterpret_cast<const char*>(data) + 3, size - 3);

  BodyBudget budget(6000);
  Outcome whole;
  for (const unsigned pieces : {0u, 1u, 20u}) {
    Outcome outcome;
    {
      Visit visit(options, chance + 1, pieces, &budget);
      outcome = visit.run(input);
    }
    require(budget.used() == 0);
    if (pieces == 0) whole = std::move(outcome);
    if (pieces != 0) require(outcome == whole);
  }
  return 0;
}
