#include "storage/training/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

#include "storage/crc32c.h"

namespace postern::storage::training {
namespace {

constexpr std::string_view kMagic = "PMODEL1\n";
constexpr std::string_view kSecretName = "secret", kSnapshotName = "snapshot", kJournalPrefix = "journal.";
constexpr std::size_t kSnapshotFrame = kMagic.size() + 8 + 8 + 4;
constexpr std::size_t kRecordFrame = 8;

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i));
}

template <class T>
T get(std::string_view octets) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(octets[i])) << (8 * i));
  return value;
}

std::uint32_t checksum(std::string_view octets, std::uint32_t before = 0) {
  return crc32c_extend(before, octets.data(), octets.size());
}

/// The records of a journal up to the first that is damaged or refused; where that begins.
std::size_t walk(std::string_view octets, const std::function<bool(std::string_view)>& take) {
  std::size_t at = 0;
  while (octets.size() - at >= kRecordFrame) {
    const auto size = get<std::uint32_t>(octets.substr(at));
    if (size > Files::kRecordOctetsMax || octets.size() - at - kRecordFrame < size) break;
    const std::string_view record = octets.substr(at + kRecordFrame, size);
    if (checksum(record) != get<std::uint32_t>(octets.substr(at + 4))) break;
    if (!take(record)) break;
    at += kRecordFrame + size;
  }
  return at;
}

}  // namespace

std::expected<std::unique_ptr<Files>, Error> Files::open(const std::filesystem::path& folder,
                                                         std::vector<std::string>& warnings) {
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return std::unexpected(system_error(folder, "cannot be made", errno));
  std::unique_ptr<Files> files(new Files(folder));
  auto lock = LockFile::take(folder);
  if (!lock) return std::unexpected(std::move(lock.error()));
  files->lock_ = std::move(*lock);
  auto done = files->load_secret();
  if (done) done = files->load_snapshot(warnings);
  if (!done) return std::unexpected(std::move(done.error()));
  return files;
}

std::filesystem::path Files::journal(std::uint64_t generation) const {
  return folder_ / fmt::format("{}{}", kJournalPrefix, generation);
}

std::expected<void, Error> Files::load_secret() {
  const std::filesystem::path path = folder_ / kSecretName;
  auto octets = read_file(path);
  if (!octets && octets.error().code != Code::not_found) return std::unexpected(std::move(octets.error()));
  if (!octets) {
    octets = std::string(sizeof(Secret), '\0');
    if (::getrandom(octets->data(), octets->size(), 0) != static_cast<ssize_t>(octets->size()))
      return std::unexpected(system_error(path, "no random octets", errno));
    // Renamed into place whole: half a secret would make all that is learned later worthless.
    const std::filesystem::path fresh = folder_ / "secret.new";
    auto file = File::open(fresh, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file) return std::unexpected(std::move(file.error()));
    auto done = file->write(*octets, fresh);
    if (done) done = file->sync(fresh);
    if (done) done = rename_file(fresh, path);
    if (done) done = sync_folder(folder_);
    if (!done) return done;
  }
  if (octets->size() != sizeof(Secret))
    return std::unexpected(
        Error{.code = Code::corrupt,
              .context = fmt::format(
                  "{}: has {} octets instead of {}: what was learned with it cannot be read; restore it, "
                  "or remove the folder and train anew",
                  path.string(), octets->size(), sizeof(Secret))});
  for (std::size_t i = 0; i < secret_.size(); ++i)
    secret_[i] = get<std::uint64_t>(std::string_view(*octets).substr(8 * i));
  return {};
}

std::expected<void, Error> Files::load_snapshot(std::vector<std::string>& warnings) {
  const std::filesystem::path path = folder_ / kSnapshotName;
  auto octets = read_file(path);
  if (!octets) {
    if (octets.error().code != Code::not_found) return std::unexpected(std::move(octets.error()));
    rebuild_ = true;  // there never was one, or somebody took it away: whatever journals there are count
    const auto found = journals();
    generation_ = found.empty() ? 0 : found.back();
    return {};
  }
  const std::string_view whole = *octets;
  const bool framed = whole.size() >= kSnapshotFrame && whole.starts_with(kMagic);
  const bool sound =
      framed && get<std::uint64_t>(whole.substr(whole.size() - 12)) == whole.size() - kSnapshotFrame &&
      checksum(whole.substr(0, whole.size() - 4)) == get<std::uint32_t>(whole.substr(whole.size() - 4));
  if (!sound) {
    set_snapshot_aside(warnings);
    return {};
  }
  generation_ = get<std::uint64_t>(whole.substr(kMagic.size()));
  octets->resize(whole.size() - 12);
  octets->erase(0, kMagic.size() + 8);
  snapshot_ = std::move(*octets);
  return {};
}

void Files::set_snapshot_aside(std::vector<std::string>& warnings) {
  set_aside(folder_ / kSnapshotName,
            "the snapshot of the classifier is damaged; the journals that are kept are read instead",
            warnings);
  snapshot_.reset();
  rebuild_ = true;
  const auto found = journals();
  generation_ = found.empty() ? generation_ : std::max(generation_, found.back());
}

void Files::set_aside(const std::filesystem::path& path, std::string_view why,
                      std::vector<std::string>& warnings) const {
  std::filesystem::path aside = path;
  aside += ".damaged";
  for (unsigned i = 2; std::filesystem::exists(aside); ++i) {
    aside = path;
    aside += fmt::format(".{}.damaged", i);
  }
  const auto renamed = rename_file(path, aside);
  warnings.push_back(
      fmt::format("{}: {}{}", path.string(), why,
                  renamed ? "; it was renamed to " + aside.filename().string() : std::string()));
}

/// Their numbers, in order.
std::vector<std::uint64_t> Files::journals() const {
  std::vector<std::uint64_t> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kJournalPrefix)) continue;
    std::uint64_t number = 0;
    const char* const last = name.data() + name.size();
    const auto [stop, failure] = std::from_chars(name.data() + kJournalPrefix.size(), last, number);
    if (failure == std::errc() && stop == last) found.push_back(number);
  }
  std::ranges::sort(found);
  return found;
}

std::expected<void, Error> Files::read_journal(std::uint64_t generation,
                                               const std::function<bool(std::string_view)>& take,
                                               std::vector<std::string>& warnings) {
  const std::filesystem::path path = journal(generation);
  const auto octets = read_file(path);
  if (!octets)
    return octets.error().code == Code::not_found ? std::expected<void, Error>()
                                                  : std::unexpected(octets.error());
  const std::size_t good = walk(*octets, take);
  if (good == octets->size()) return {};
  // The rest may be a record that was being written when the machine stopped, or damage. Both are kept, neither is used.
  const std::filesystem::path rest = fmt::format("{}.from-{}", path.string(), good);
  auto file = File::open(rest, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return std::unexpected(std::move(file.error()));
  auto done = file->write(std::string_view(*octets).substr(good), rest);
  if (!done) return done;
  if (::truncate(path.c_str(), static_cast<off_t>(good)) != 0)
    return std::unexpected(system_error(path, "cannot be cut off", errno));
  set_aside(
      rest,
      fmt::format("octet {} of the journal of training and what follows is damaged: {} octets are not used",
                  good, octets->size() - good),
      warnings);
  return {};
}

std::expected<void, Error> Files::replay(const std::function<bool(std::string_view)>& take,
                                         std::vector<std::string>& warnings) {
  for (const std::uint64_t number : journals()) {
    if (number < generation_ && !rebuild_) continue;
    auto done = read_journal(number, take, warnings);
    if (!done) return done;
  }
  return open_journal();
}

void Files::for_each_kept(const std::function<bool(std::string_view)>& take) const {
  for (const std::uint64_t number : journals())
    if (const auto octets = read_file(journal(number))) (void)walk(*octets, take);
}

std::expected<void, Error> Files::open_journal() {
  const std::filesystem::path path = journal(generation_);
  auto file = File::open(path, O_WRONLY | O_CREAT | O_APPEND);
  if (!file) return std::unexpected(std::move(file.error()));
  struct stat status{};
  if (::fstat(file->descriptor(), &status) != 0)
    return std::unexpected(system_error(path, "cannot be read", errno));
  journal_ = std::move(*file);
  journal_octets_ = static_cast<std::uint64_t>(status.st_size);
  return sync_folder(folder_);
}

std::expected<void, Error> Files::append(std::string_view record) {
  if (record.size() > kRecordOctetsMax)
    return std::unexpected(Error{.code = Code::invalid, .context = "a record of training is too long"});
  std::string framed;
  framed.reserve(record.size() + kRecordFrame);
  put(framed, static_cast<std::uint32_t>(record.size()));
  put(framed, checksum(record));
  framed += record;
  auto done = journal_.write(framed, journal(generation_));
  if (done) {
    journal_octets_ += framed.size();
  } else if (::ftruncate(journal_.descriptor(), static_cast<off_t>(journal_octets_)) != 0) {
    done.error().context += "; what was begun stays and will be set aside";
  }
  return done;
}

std::expected<void, Error> Files::sync() {
  return journal_.sync(journal(generation_));
}

std::expected<void, Error> Files::replace_snapshot(const std::function<void(const Sink&)>& write) {
  const std::filesystem::path fresh = folder_ / "snapshot.new";
  auto file = File::open(fresh, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return std::unexpected(std::move(file.error()));
  constexpr std::size_t kPieceOctets = 1U << 20;
  std::string piece(kMagic);
  put(piece, generation_ + 1);
  std::uint64_t octets = 0;
  std::uint32_t crc = 0;
  std::expected<void, Error> done;
  const auto flush = [&] {
    crc = checksum(piece, crc);
    if (done) done = file->write(piece, fresh);
    piece.clear();
  };
  write([&](std::string_view more) {
    piece += more;
    octets += more.size();
    if (piece.size() >= kPieceOctets) flush();
  });
  put(piece, octets);
  flush();
  put(piece, crc);
  if (done) done = file->write(piece, fresh);
  if (done) done = file->sync(fresh);
  if (done) done = rename_file(fresh, folder_ / kSnapshotName);
  if (done) done = sync_folder(folder_);
  if (!done) return done;
  ++generation_;
  rebuild_ = false;
  done = open_journal();
  if (!done) return done;
  std::error_code ignored;
  for (const std::uint64_t number : journals())
    if (number + kJournalsKept < generation_) std::filesystem::remove(journal(number), ignored);
  return {};
}

}  // namespace postern::storage::training
