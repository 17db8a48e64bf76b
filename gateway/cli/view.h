#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gateway/cli/command_line.h"
#include "gateway/config/config.h"
#include "gateway/control/client.h"
#include "gateway/control/exit_codes.h"
#include "gateway/control/json.h"
#include "storage/mailbox/maildir.h"

namespace postern::cli {

/// The store as the verbs see it: asked through the control socket, or opened for reading. Blocking.
class View : public storage::MailboxSource {
 public:
  virtual std::expected<std::vector<storage::MailboxInfo>, storage::Error> mailboxes() = 0;
  /// The decision record of a message with its envelope.
  virtual std::expected<control::Json, storage::Error> explanation(const storage::MessageId& id) = 0;
  virtual std::expected<storage::VerifyReport, storage::Error> verify() = 0;
  /// The counters of DMARC's aggregate reports, as the API has them; days as 2026-11-24, "": from the first, to the last.
  virtual std::expected<control::Json, storage::Error> dmarc_counters(const std::string& first,
                                                                      const std::string& last) = 0;
};

/// A verb that cannot go on: a sentence and the exit code.
struct Stop {
  int exit_code = control::kInternal;
  std::string sentence;
};

/// Reads the manifest. Its problems are printed and make a Stop, unless the server that it names runs: then that one, which
/// has a manifest that works, is asked all the same.
std::expected<config::Config, Stop> load_manifest(const std::filesystem::path& file);

/// The running server, else the store itself.
std::expected<std::unique_ptr<View>, Stop> open_view(const config::Config& config);
/// The store itself, for reading; refused while a server has it.
std::expected<std::unique_ptr<storage::Store>, Stop> open_store(const config::Config& config);

/// A server that cannot be asked, as a Stop; kUnavailable when none runs.
Stop stop_of(const control::ClientError& error);
Stop stop_of(const storage::Error& error);

/// Prints the sentence, if there is one, and gives the code.
int fail(const Stop& stop);

}  // namespace postern::cli
