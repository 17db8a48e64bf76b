#include "filters/authentication/crypto/public_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "filters/authentication/dkim/sign.h"
#include "filters/authentication/dkim/signature.h"
#include "filters/idn.h"
#include "gateway/cli/command_line.h"
#include "gateway/cli/message_file.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"

namespace postern::cli {
namespace {

using filters::crypto::KeyType;
using filters::crypto::PrivateKey;

/// RFC 8301 §3.2 wants signers to use 2048 and verifiers to take 4096.
constexpr unsigned kRsaBitsMin = 2048, kRsaBitsMax = 4096;
/// RFC 1035 §3.3: of one character-string.
constexpr std::size_t kCharacterStringOctetsMax = 255;

struct Options {
  std::string type = "rsa";
  unsigned bits = kRsaBitsMin;
  std::string domain, selector, out;
  std::vector<std::string> files;
  bool json = false;
};

Stop usage(std::string sentence) {
  return {.exit_code = control::kUsage, .sentence = std::move(sentence)};
}

/// Where the public key of a domain stands in DNS. Checked: both are names.
std::expected<std::string, Stop> record_name(const std::string& domain, const std::string& selector) {
  if (!filters::ascii_domain(domain))
    return std::unexpected(usage(fmt::format("--domain: \"{}\" is no domain", printable(domain))));
  auto name = filters::dkim::key_name(selector, domain);
  if (selector.empty() || !name)
    return std::unexpected(usage(fmt::format("--selector: \"{}\" makes no name", printable(selector))));
  return std::move(*name);
}

/// Whoever reads the file later knows what it is for. OpenSSL skips what stands in front of the key (RFC 7468 §2).
std::string file_text(const Options& options, const PrivateKey& key) {
  return fmt::format("domain: {}\nselector: {}\n{}", options.domain, options.selector, key.pem());
}

/// The value behind "name: " in one of the lines in front of the key; "" when it is not there.
std::string noted(std::string_view text, std::string_view name) {
  std::string_view front = text.substr(0, text.find("-----BEGIN"));
  while (!front.empty()) {
    const std::size_t end = front.find('\n');
    std::string_view line = front.substr(0, end);
    front = end == std::string_view::npos ? std::string_view() : front.substr(end + 1);
    if (!line.starts_with(name) || !line.substr(name.size()).starts_with(": ")) continue;
    line.remove_prefix(name.size() + 2);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return std::string(line);
  }
  return {};
}

Stop system_stop(const std::string& name, int error) {
  const int code = error == EACCES || error == EPERM ? control::kPermission : control::kCannotCreate;
  return {.exit_code = code, .sentence = fmt::format("{}: {}", name, std::generic_category().message(error))};
}

/// For our eyes only, and never in place of a key that is in use.
std::expected<void, Stop> write_new(const std::string& name, std::string_view text) {
  const int file = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return std::unexpected(system_stop(name, errno));
  int error = 0;
  while (!text.empty() && error == 0) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno != EINTR) error = errno;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (error == 0 && ::fsync(file) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  if (error == 0) return {};
  (void)::unlink(name.c_str());  // half a key is none
  return std::unexpected(system_stop(name, error));
}

/// A TXT record as zone files have it; long texts in several character-strings, which verifiers put together again (RFC 6376
/// §3.6.2.2).
std::string zone_line(std::string_view name, std::string_view text) {
  std::string strings;
  for (std::size_t at = 0; at < text.size(); at += kCharacterStringOctetsMax)
    strings += fmt::format(" \"{}\"", text.substr(at, kCharacterStringOctetsMax));
  const bool several = text.size() > kCharacterStringOctetsMax;
  return fmt::format("{}. IN TXT{}{}{}", name, several ? " (" : "", strings, several ? " )" : "");
}

control::Json record_json(const std::string& name, const std::string& file, const PrivateKey& key) {
  const std::string record = filters::dkim::key_record(key);
  return {{"file", file},
          {"name", name},
          {"type", key.type() == KeyType::rsa ? "rsa" : "ed25519"},
          {"record", record},
          {"zone_line", zone_line(name, record)}};
}

int keygen(const Options& options) {
  const auto name = record_name(options.domain, options.selector);
  if (!name) return fail(name.error());
  const bool rsa = options.type == "rsa";
  if (rsa && (options.bits < kRsaBitsMin || options.bits > kRsaBitsMax))
    return fail(usage(fmt::format("--bits: {} to {}", kRsaBitsMin, kRsaBitsMax)));
  const auto key = PrivateKey::generate(rsa ? KeyType::rsa : KeyType::ed25519, options.bits);
  if (!key) return fail({.exit_code = control::kSystem, .sentence = key.error()});
  const auto written = write_new(options.out, file_text(options, **key));
  if (!written) return fail(written.error());
  const control::Json record = record_json(*name, options.out, **key);
  if (options.json)
    print_json(record);
  else
    print(text_of(record, "zone_line") + "\n");
  return control::kOk;
}

std::expected<control::Json, Stop> record_of(const Options& options, const std::string& file) {
  const auto text = read_message(file);
  if (!text) return std::unexpected(text.error());
  const auto key = PrivateKey::from_pem(*text);
  if (!key)
    return std::unexpected(
        Stop{.exit_code = control::kBadData, .sentence = fmt::format("{}: {}", file, key.error())});
  const std::string domain = options.domain.empty() ? noted(*text, "domain") : options.domain;
  const std::string selector = options.selector.empty() ? noted(*text, "selector") : options.selector;
  if (domain.empty() || selector.empty())
    return std::unexpected(
        usage(fmt::format("{} does not say whose key it is: --domain and --selector are needed", file)));
  const auto name = record_name(domain, selector);
  if (!name) return std::unexpected(name.error());
  return record_json(*name, file, **key);
}

/// All that can be read, and the first trouble as the exit code.
int records(const Options& options) {
  int code = control::kOk;
  control::Json all = control::Json::array();
  for (const std::string& file : options.files) {
    auto record = record_of(options, file);
    if (record) {
      all.push_back(std::move(*record));
    } else {
      const int one = fail(record.error());
      if (code == control::kOk) code = one;
    }
  }
  if (options.json) print_json(all);
  for (const control::Json& record : all)
    if (!options.json) print(text_of(record, "zone_line") + "\n");
  return code;
}

}  // namespace

void add_dkim(CLI::App& app, Action& chosen) {
  CLI::App* const parent = app.add_subcommand("dkim", "Keys that sign mail, and their records in DNS");
  parent->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* const make =
      parent->add_subcommand("keygen", "Make a key (file mode 0600, never over another) and show its record");
  make->add_option("--type", options->type, "rsa or ed25519")
      ->check(CLI::IsMember({"rsa", "ed25519"}))
      ->capture_default_str();
  make->add_option("--bits", options->bits, "Size of an RSA key, 2048 to 4096")->capture_default_str();
  make->add_option("--domain", options->domain, "Domain that signs")->type_name("DOMAIN")->required();
  make->add_option("--selector", options->selector, "Name of the key below it")
      ->type_name("NAME")
      ->required();
  make->add_option("--out", options->out, "File for the private key")->type_name("FILE")->required();
  make->add_flag("--json", options->json, "JSON on standard output, for programs");
  make->callback([options, &chosen] { chosen = [options] { return keygen(*options); }; });

  CLI::App* const show =
      parent->add_subcommand("record", "The TXT record of each key, as a line of a zone file");
  show->add_option("FILE", options->files, "Private key in PEM")->type_name("")->required();
  show->add_option("--domain", options->domain, "Domain, where the file does not say")->type_name("DOMAIN");
  show->add_option("--selector", options->selector, "Selector, where the file does not say")
      ->type_name("NAME");
  show->add_flag("--json", options->json, "JSON on standard output, for programs");
  show->callback([options, &chosen] { chosen = [options] { return records(*options); }; });
}

}  // namespace postern::cli
