#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string_view>

#include "storage/store.h"

namespace postern::storage {

struct ExportReport {
  std::uint64_t folders = 0;
  std::uint64_t messages = 0, octets = 0;  ///< written
  std::uint64_t already_there = 0;         ///< from an earlier export; left as the reader has them
};

/// What Maildir export needs of a mailbox; implemented by the store itself and by the command line over the
/// control socket.
class MailboxSource {
 public:
  virtual ~MailboxSource() = default;
  virtual std::expected<std::vector<FolderInfo>, Error> folders(std::string_view mailbox) = 0;
  virtual std::expected<std::vector<Entry>, Error> entries(std::string_view mailbox, std::string_view folder,
                                                           std::uint32_t after, std::size_t count) = 0;
  virtual std::expected<std::string, Error> message(const MessageId& id) = 0;
};

/// Writes a mailbox as a Maildir++ tree (INBOX is the top, other folders are `.Name`, hierarchy separator
/// '.'): new mail in new/, seen mail in cur/ with its flags. Line ends become LF, as Maildir readers
/// expect, unless keep_crlf. Written to tmp/ and renamed, and on the disk when this returns. `directory` is
/// made; one that exists must be empty or a Maildir. A message has the same name in every export, so a
/// second one into the same Maildir adds what has come since, and a copy that its reader has moved or
/// marked is not made again.
std::expected<ExportReport, Error> export_maildir(MailboxSource& source, std::string_view mailbox,
                                                  const std::filesystem::path& directory,
                                                  bool keep_crlf = false);

}  // namespace postern::storage
