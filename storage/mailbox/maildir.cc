#include "storage/mailbox/maildir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "storage/mailbox/maildir_name.h"

namespace postern::storage {
namespace {

constexpr std::size_t kEntriesPerRead = 1000;
constexpr std::string_view kInbox = "INBOX";

Error file_error(const std::filesystem::path& file, std::string_view what, int error) {
  return Error{
      .code = error == ENOSPC || error == EDQUOT ? Code::no_space : Code::io,
      .context = fmt::format("{}: {}: {}", file.string(), what, std::generic_category().message(error))};
}

std::expected<void, Error> make_directory(const std::filesystem::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0) return {};
  const int error = errno;
  std::error_code ignored;
  if (error == EEXIST && std::filesystem::is_directory(directory, ignored)) return {};
  return std::unexpected(file_error(directory, "cannot be made", error));
}

std::expected<void, Error> make_maildir(const std::filesystem::path& directory) {
  for (const std::string_view part : {"", "tmp", "new", "cur"}) {
    auto made = make_directory(part.empty() ? directory : directory / part);
    if (!made) return made;
  }
  return {};
}

/// The top must be ours to fill: new, empty, or a Maildir already.
std::expected<void, Error> prepare_top(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) {
    const std::filesystem::path parent = std::filesystem::absolute(directory, error).parent_path();
    if (!error) std::filesystem::create_directories(parent, error);
    if (error) return std::unexpected(file_error(parent, "cannot be made", error.value()));
    return make_maildir(directory);
  }
  if (!std::filesystem::is_directory(directory, error))
    return std::unexpected(
        Error{.code = Code::invalid, .context = directory.string() + ": is not a directory"});
  const bool is_maildir = std::filesystem::is_directory(directory / "cur", error) &&
                          std::filesystem::is_directory(directory / "new", error);
  if (!is_maildir && !std::filesystem::is_empty(directory, error)) {
    if (error) return std::unexpected(file_error(directory, "cannot be read", error.value()));
    return std::unexpected(
        Error{.code = Code::invalid,
              .context = directory.string() + ": is neither empty nor a Maildir, and is left as it is"});
  }
  return make_maildir(directory);
}

/// CRLF becomes LF; a CR or LF that stands alone is the message's own and stays.
void to_line_feeds(std::string& text) {
  std::size_t out = 0;
  for (std::size_t in = 0; in < text.size(); ++in) {
    if (text[in] == '\r' && in + 1 < text.size() && text[in + 1] == '\n') continue;
    text[out++] = text[in];
  }
  text.resize(out);
}

std::expected<void, Error> write_file(const std::filesystem::path& file, std::string_view octets,
                                      std::int64_t seconds) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return std::unexpected(file_error(file, "cannot be made", errno));
  int error = 0;
  while (!octets.empty() && error == 0) {
    const ssize_t written = ::write(descriptor, octets.data(), octets.size());
    if (written >= 0) {
      octets.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  // Readers take the file's time for the time of arrival.
  const struct timespec time{.tv_sec = seconds, .tv_nsec = 0};
  const struct timespec times[2] = {time, time};
  if (error == 0 && ::futimens(descriptor, times) != 0) error = errno;
  if (::close(descriptor) != 0 && error == 0) error = errno;
  if (error == 0) return {};
  (void)::unlink(file.c_str());  // half a message is worse than none
  return std::unexpected(file_error(file, "cannot be written", error));
}

/// The unique parts of the names in new/ and cur/, which end at the colon (there the reader's flags begin).
std::expected<std::unordered_set<std::string>, Error> names_in(const std::filesystem::path& directory) {
  std::unordered_set<std::string> names;
  for (const std::string_view part : {"new", "cur"}) {
    std::error_code error;
    const std::filesystem::path place = directory / part;
    for (std::filesystem::directory_iterator at(place, error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = at->path().filename().string();
      names.insert(name.substr(0, name.find(':')));
    }
    if (error) return std::unexpected(file_error(place, "cannot be read", error.value()));
  }
  return names;
}

/// Sorting by name sorts by arrival. The uid tells apart two copies of one message in one folder.
std::string unique_name(const Entry& entry) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(entry.received_at).time_since_epoch().count();
  return fmt::format("{}.{}U{}.postern", seconds, entry.id.text(), entry.uid);
}

std::expected<std::uint64_t, Error> write_entry(MailboxSource& source, const Entry& entry,
                                                const std::filesystem::path& directory, bool keep_crlf) {
  auto octets = source.message(entry.id);
  if (!octets) return std::unexpected(std::move(octets.error()));
  if (!keep_crlf) to_line_feeds(*octets);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(entry.received_at).time_since_epoch().count();
  const std::string name = unique_name(entry);
  const std::string flags = maildir_flags(entry.flags);
  const std::filesystem::path temporary = directory / "tmp" / name;
  const std::filesystem::path final_name =
      flags.empty() ? directory / "new" / name : directory / "cur" / (name + ":2," + flags);
  auto written = write_file(temporary, *octets, seconds);
  if (!written) return std::unexpected(std::move(written.error()));
  if (::rename(temporary.c_str(), final_name.c_str()) != 0) {
    const int error = errno;
    (void)::unlink(temporary.c_str());
    return std::unexpected(file_error(final_name, "cannot be renamed to", error));
  }
  return octets->size();
}

/// Maildir++ marks a folder below the top with an empty file.
std::expected<void, Error> mark_folder(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "maildirfolder";
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return std::unexpected(file_error(file, "cannot be made", errno));
  (void)::close(descriptor);
  return {};
}

std::expected<void, Error> write_folder(MailboxSource& source, std::string_view mailbox,
                                        const FolderInfo& folder, const std::filesystem::path& directory,
                                        bool keep_crlf, ExportReport& report) {
  ++report.folders;
  const auto present = names_in(directory);
  if (!present) return std::unexpected(present.error());
  std::uint32_t after = 0;
  for (;;) {
    auto entries = source.entries(mailbox, folder.name, after, kEntriesPerRead);
    if (!entries) return std::unexpected(std::move(entries.error()));
    if (entries->empty()) return {};
    for (const Entry& entry : *entries) {
      if (present->contains(unique_name(entry))) {
        ++report.already_there;
        continue;
      }
      auto octets = write_entry(source, entry, directory, keep_crlf);
      if (!octets) {
        Error error = std::move(octets.error());
        // Expunged since the entry was read: the mailbox lives on while we write.
        if (error.code == Code::not_found) continue;
        return std::unexpected(
            std::move(error).with(fmt::format("folder \"{}\" uid {}", folder.name, entry.uid)));
      }
      ++report.messages;
      report.octets += *octets;
    }
    after = entries->back().uid;
  }
}

/// Everything of it is on the disk before anybody hears that it was exported, and deletes the original.
std::expected<void, Error> sync_tree(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(file_error(directory, "cannot be opened", errno));
  const int error = ::syncfs(descriptor) == 0 ? 0 : errno;
  (void)::close(descriptor);
  if (error == 0) return {};
  return std::unexpected(file_error(directory, "cannot be synced", error));
}

}  // namespace

std::expected<ExportReport, Error> export_maildir(MailboxSource& source, std::string_view mailbox,
                                                  const std::filesystem::path& directory, bool keep_crlf) {
  const std::string where = fmt::format("mailbox \"{}\"", mailbox);
  auto folders = source.folders(mailbox);
  if (!folders) return std::unexpected(std::move(folders.error()).with(where));
  auto prepared = prepare_top(directory);
  if (!prepared) return std::unexpected(std::move(prepared.error()).with(where));
  ExportReport report;
  for (const FolderInfo& folder : *folders) {
    const bool top = folder.name == kInbox;
    const std::filesystem::path place = top ? directory : directory / maildir_folder_name(folder.name);
    if (!top) {
      auto made = make_maildir(place);
      if (made) made = mark_folder(place);
      if (!made) return std::unexpected(std::move(made.error()).with(where));
    }
    auto written = write_folder(source, mailbox, folder, place, keep_crlf, report);
    if (!written) return std::unexpected(std::move(written.error()).with(where));
  }
  auto synced = sync_tree(directory);
  if (!synced) return std::unexpected(std::move(synced.error()).with(where));
  return report;
}

}  // namespace postern::storage
