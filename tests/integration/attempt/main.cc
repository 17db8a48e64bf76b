// One connection to a next hop and the messages on it, as JSON on standard input says; what became of them as JSON on standard
// output.
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "filters/authentication/crypto/base64.h"
#include "gateway/delivery/attempt.h"
#include "gateway/reactor/reactor.h"

namespace {

namespace delivery = postern::delivery;
namespace reactor = postern::reactor;
using nlohmann::json;

delivery::TlsPolicy policy_of(const std::string& word) {
  if (word == "none") return delivery::TlsPolicy::none;
  if (word == "encrypt") return delivery::TlsPolicy::encrypt;
  return word == "verify" ? delivery::TlsPolicy::verify : delivery::TlsPolicy::may;
}

delivery::NextHop hop_of(const json& text) {
  delivery::NextHop hop;
  hop.host_name = text.value("host", "");
  if (auto address = reactor::Address::parse(text.at("address").get<std::string>())) hop.address = *address;
  hop.lmtp = text.value("lmtp", false);
  hop.implicit_tls = text.value("implicit_tls", false);
  hop.tls = policy_of(text.value("tls", "may"));
  hop.tls_names = text.value("names", std::vector<std::string>{});
  if (text.contains("source")) {
    if (auto source = reactor::Address::parse(text.at("source").get<std::string>())) hop.source = *source;
  }
  if (text.contains("user"))
    hop.credentials = delivery::Credentials{.user = text.at("user"), .password = text.at("password")};
  return hop;
}

struct Stored {
  std::string head, content;
};

delivery::OutboundMessage message_of(const json& text) {
  auto stored = std::make_shared<Stored>();
  stored->head = text.value("head", "");
  stored->content = postern::filters::crypto::decode_base64(text.value("content", "")).value_or("");
  delivery::OutboundMessage message;
  message.mail_from = text.value("from", "");
  for (const json& to : text.at("to")) {
    message.recipients.push_back({.address = to.at("address"),
                                  .notify = to.value("notify", std::uint8_t{0}),
                                  .orcpt = to.value("orcpt", "")});
  }
  message.envid = text.value("envid", "");
  message.smtputf8 = text.value("smtputf8", false);
  const std::string body = text.value("body", "7bit");
  message.body = body == "binary" ? postern::smtp::BodyType::binary_mime
                 : body == "8bit" ? postern::smtp::BodyType::eight_bit_mime
                                  : postern::smtp::BodyType::seven_bit;
  message.head = stored->head;
  message.content = stored->content;
  message.owner = stored;
  return message;
}

json shown(const delivery::RecipientResult& result) {
  using Kind = delivery::RecipientResult::Kind;
  return {{"kind", result.kind == Kind::delivered   ? "delivered"
                   : result.kind == Kind::permanent ? "permanent"
                                                    : "temporary"},
          {"stage", postern::smtp::client::to_string(result.stage)},
          {"code", result.code},
          {"enhanced", result.enhanced},
          {"text", result.text},
          {"in_doubt", result.in_doubt},
          {"dsn_passed_on", result.dsn_passed_on}};
}

delivery::AttemptTimeouts timeouts_of(const json& text) {
  const std::chrono::seconds all(text.value("timeout_s", 20));
  delivery::AttemptTimeouts timeouts{.connect = all,
                                     .greeting = all,
                                     .hello = all,
                                     .tls = all,
                                     .mail = all,
                                     .rcpt = all,
                                     .data_start = all,
                                     .data_block = all,
                                     .data_end = all};
  return timeouts;
}

reactor::Task<void> run(const json& order, json& out) {
  delivery::AttemptOptions options;
  options.hello_name = order.value("hello", "client.test.example");
  options.timeouts = timeouts_of(order);
  auto context = postern::tls::ClientContext::load(order.value("authorities", ""));
  if (context) options.tls = *context;
  delivery::Connection connection(options);
  auto opened = co_await connection.open(hop_of(order.at("hop")));
  if (!opened) {
    out["failure"] = shown(opened.error());
    co_return;
  }
  if (const auto tls = connection.tls())
    out["tls"] = {{"version", tls->version}, {"verified", connection.tls_verified()}};
  out["messages"] = json::array();
  for (const json& text : order.at("messages")) {
    const delivery::OutboundMessage message = message_of(text);
    const auto results = co_await connection.send(message);
    json list = json::array();
    for (const auto& result : results) list.push_back(shown(result));
    out["messages"].push_back({{"results", std::move(list)}, {"reusable", connection.reusable()}});
  }
  co_await connection.close();
}

}  // namespace

int main() {
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  const json order = json::parse(input);
  auto made = reactor::Reactor::create({.submission_entries = 64, .completion_entries = 1024, .buffers = 64});
  if (!made) {
    std::cerr << made.error().text() << "\n";
    return 77;  // no io_uring here: the test is skipped
  }
  json out = json::object();
  made.value()->run(run(order, out));
  std::cout << out.dump() << "\n";
  return 0;
}
