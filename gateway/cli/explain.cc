#include <fmt/format.h>

#include <memory>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/verdict.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using control::Json;

struct Options {
  Common common;
  std::string id;
};

void print_client(const Json& envelope) {
  std::string client = text_of(envelope, "ip");
  if (client.empty()) client = "a program on this machine";
  if (const std::string name = text_of(envelope, "ptr"); !name.empty()) client += " (" + name + ")";
  if (const std::string helo = text_of(envelope, "helo"); !helo.empty()) client += ", said " + helo;
  const Json& tls = member_of(envelope, "tls");
  client += ", " + text_of(envelope, "protocol");
  if (tls.is_object()) client += fmt::format(", {} {}", text_of(tls, "version"), text_of(tls, "cipher"));
  print(fmt::format("Client      {}\n", printable(client)));
}

void print_envelope(const Json& envelope) {
  const Json& received = member_of(envelope, "received_at_ms");
  if (received.is_number_integer()) {
    const std::chrono::sys_time<std::chrono::milliseconds> time(
        std::chrono::milliseconds(received.get<std::int64_t>()));
    print(fmt::format("Received    {}, {}\n", human_time(control::timestamp(time)),
                      human_octets(static_cast<std::uint64_t>(number_of(envelope, "octets")))));
  }
  print_client(envelope);
  print(fmt::format("From        <{}>\n", printable(text_of(envelope, "mail_from"))));
  for (const Json& recipient : member_of(envelope, "recipients")) {
    const std::string address = text_of(recipient, "address"), mailbox = text_of(recipient, "mailbox");
    print(fmt::format("To          <{}>{}\n", printable(address),
                      mailbox == address || mailbox.empty() ? "" : ", mailbox " + printable(mailbox)));
  }
}

int explain(const Options& options) {
  const auto id = storage::MessageId::parse(options.id);
  if (!id)
    return fail(
        {.exit_code = control::kUsage,
         .sentence = fmt::format("\"{}\" is no message id: 20 characters, as in the reply to the message",
                                 printable(options.id))});
  auto config = load_manifest(options.common.config);
  if (!config) return fail(config.error());
  auto view = open_view(*config);
  if (!view) return fail(view.error());
  const auto record = (*view)->explanation(*id);
  if (!record) return fail(stop_of(record.error()));
  if (options.common.json) {
    print_json(*record);
    return control::kOk;
  }
  print(fmt::format("Message     {}\n", id->text()));
  print_envelope(member_of(*record, "envelope"));
  print_verdict(*record);
  return control::kOk;
}

}  // namespace

void add_explain(CLI::App& app, Action& chosen) {
  CLI::App* const verb = app.add_subcommand("explain", "Why a message got its verdict");
  auto options = std::make_shared<Options>();
  add_config(*verb, options->common);
  add_json(*verb, options->common);
  verb->add_option("ID", options->id, "The id quoted in the reply, in Received and in the log")
      ->type_name("")
      ->required();
  verb->callback([options, &chosen] { chosen = [options] { return explain(*options); }; });
}

}  // namespace postern::cli
