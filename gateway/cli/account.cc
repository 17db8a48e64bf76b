// `postern account passwd ADDRESS`: the password in the first line of standard input, or typed twice at a terminal.
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "gateway/cli/command_line.h"
#include "gateway/cli/output.h"
#include "gateway/cli/view.h"
#include "gateway/pipeline/credentials.h"
#include "gateway/pipeline/directory.h"
#include "gateway/smtp/address.h"
#include "gateway/smtp/sasl/message.h"
#include "gateway/smtp/sasl/secret.h"

namespace postern::cli {
namespace {

namespace sasl = smtp::sasl;

struct Options {
  Common common;
  std::string address;
  bool no_scram = false, remove = false;
};

/// One line; at a terminal nothing of it is shown.
std::optional<std::string> read_secret(std::string_view prompt) {
  termios before{};
  const bool terminal = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    (void)std::fprintf(stderr, "%s: ", std::string(prompt).c_str());
  }
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (terminal) {
    (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)std::fputc('\n', stderr);
  }
  if (!read) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::optional<std::string> fresh_salt() {
  std::string salt(sasl::kSaltOctets, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), static_cast<int>(salt.size())) != 1)
    return std::nullopt;
  return salt;
}

/// In one step, readable by its owner only.
std::optional<std::string> replace_file(const std::filesystem::path& file, const std::string& text) {
  const std::string next = file.string() + ".new";
  const int descriptor = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return fmt::format("{}: {}", next, std::strerror(errno));
  struct stat old{};
  // A server that runs under an account of its own must still be able to read it.
  if (::stat(file.c_str(), &old) == 0) (void)!::fchown(descriptor, old.st_uid, old.st_gid);
  std::string_view rest = text;
  bool fine = true;
  while (fine && !rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    fine = written > 0;
    if (fine) rest.remove_prefix(static_cast<std::size_t>(written));
  }
  fine = fine && ::fsync(descriptor) == 0;
  fine = ::close(descriptor) == 0 && fine;
  if (!fine || ::rename(next.c_str(), file.c_str()) != 0)
    return fmt::format("{}: {}", file.string(), std::strerror(errno));
  return std::nullopt;
}

/// The account's own address, also for an alias; nothing when there is none.
std::optional<std::string> account_of(const config::Config& config, const std::string& address) {
  auto mailbox = smtp::parse_mailbox(address, true);
  if (!mailbox) return std::nullopt;
  smtp::Path path;
  path.mailbox = std::move(*mailbox);
  auto found = pipeline::Directory(config).resolve(path);
  if (found.kind != pipeline::Resolution::Kind::mailbox) return std::nullopt;
  return std::move(found.mailbox);
}

int passwd(const Options& options) {
  auto config = load_manifest(options.common.config);
  if (!config) return fail(config.error());
  const std::filesystem::path& file = config->submission.credentials;
  if (file.empty())
    return fail({.exit_code = control::kConfig, .sentence = "the manifest has no [submission] credentials"});
  const auto account = account_of(*config, options.address);
  if (!account)
    return fail(
        {.exit_code = control::kNoInput, .sentence = options.address + " is no account of the manifest"});

  std::string line;
  if (!options.remove) {
    const auto password = read_secret("Password for " + *account);
    if (!password || !sasl::is_credential(*password, sasl::kPasswordOctetsMax))
      return fail({.exit_code = control::kBadData, .sentence = "a password is UTF-8, 1 to 1024 octets"});
    if (::isatty(STDIN_FILENO) == 1 && read_secret("Again") != password)
      return fail(
          {.exit_code = control::kBadData, .sentence = "the two are not the same; nothing has changed"});
    const auto salt = fresh_salt(), scram_salt = fresh_salt();
    if (!salt || !scram_salt)
      return fail({.exit_code = control::kTemporary, .sentence = "OpenSSL has no random octets"});
    line = *account + " " + sasl::make_scrypt(*password, *salt);
    if (!options.no_scram) line += " " + sasl::to_text(sasl::make_scram(*password, *scram_salt));
  }
  std::ifstream in(file, std::ios::binary);
  const std::string before(std::istreambuf_iterator<char>(in), {});
  if (const auto problem = replace_file(file, pipeline::Credentials::replaced(before, *account, line)))
    return fail({.exit_code = control::kIo, .sentence = *problem});
  print(fmt::format("{}: {}; `postern reload` makes it count\n", *account,
                    options.remove ? "has no password any more" : "has a new password"));
  return control::kOk;
}

}  // namespace

void add_account(CLI::App& app, Action& chosen) {
  CLI::App* const group = app.add_subcommand("account", "The accounts' passwords");
  group->require_subcommand(1);
  CLI::App* const verb =
      group->add_subcommand("passwd", "Set the password for submission, from standard input");
  auto options = std::make_shared<Options>();
  add_config(*verb, options->common);
  verb->add_option("ADDRESS", options->address, "The account")->required();
  verb->add_flag("--no-scram", options->no_scram,
                 "Keep scrypt only: SCRAM's own form is cheaper to guess for whoever steals the file");
  verb->add_flag("--remove", options->remove, "Take the password away");
  verb->callback([options, &chosen] { chosen = [options] { return passwd(*options); }; });
}

}  // namespace postern::cli
