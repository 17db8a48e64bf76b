#include "gateway/pipeline/rules.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include "filters/rules/language.h"
#include "filters/rules/spamassassin.h"

namespace postern::pipeline {
namespace {

constexpr std::size_t kCacheOctetsMax = 512U << 20;
constexpr std::size_t kCachesMax = 8;  // sets of rules that were in force once

/// The octets of a file; nothing and errno where it cannot be read, EFBIG where it is too large.
std::optional<std::string> read_file(const std::filesystem::path& name, std::size_t octets_max) {
  std::FILE* const file = std::fopen(name.c_str(), "rbe");
  if (file == nullptr) return std::nullopt;
  std::string octets, piece(1U << 16, '\0');
  std::size_t got = 0;
  while ((got = std::fread(piece.data(), 1, piece.size(), file)) > 0 && octets.size() <= octets_max)
    octets.append(piece, 0, got);
  const int error = std::ferror(file) != 0 ? errno : octets.size() > octets_max ? EFBIG : 0;
  (void)std::fclose(file);
  errno = error;
  if (error != 0) return std::nullopt;
  return octets;
}

/// FNV-1a: a name for what is compared in full before it is used.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

constexpr std::string_view kCachePrefix = "rules-", kCacheSuffix = ".cache";

/// Whole or not at all; what is there already stays where it fails. Octets that nobody can read are no loss: the cache is only faster.
bool write_cache(const std::filesystem::path& file, std::string_view octets) {
  const std::filesystem::path part = file.string() + fmt::format(".{}", ::getpid());
  std::FILE* const out = std::fopen(part.c_str(), "wbxe");
  if (out == nullptr) return false;
  const bool written = std::fwrite(octets.data(), 1, octets.size(), out) == octets.size();
  const bool closed = std::fclose(out) == 0;
  std::error_code error;
  if (written && closed) std::filesystem::rename(part, file, error);
  if (!written || !closed || error) std::filesystem::remove(part, error);
  return written && closed && !error;
}

/// The oldest go.
void tidy(const std::filesystem::path& folder) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> caches;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kCachePrefix) && name.ends_with(kCacheSuffix))
      caches.emplace_back(entry.last_write_time(error), entry.path());
  }
  std::ranges::sort(caches);
  for (std::size_t i = 0; i + kCachesMax < caches.size(); ++i)
    std::filesystem::remove(caches[i].second, error);
}

std::filesystem::path cache_folder(const config::Config& config) {
  return config.filter.rules.cache.empty() ? config.store.path : config.filter.rules.cache;
}

std::string and_more(const std::vector<filters::rules::Problem>& problems) {
  const std::string first = problems.front().text();
  return problems.size() == 1
             ? first
             : fmt::format("{} (and {} more: see `postern rules check`)", first, problems.size() - 1);
}

}  // namespace

std::filesystem::path rules_folder(const config::Config& config) {
  const config::RulesConfig& rules = config.filter.rules;
  if (!rules.folder.empty()) return rules.folder;
  std::error_code error;
  const std::filesystem::path beside = config.file.parent_path() / "rules";
  return std::filesystem::is_directory(beside, error) ? beside : std::filesystem::path();
}

void read_rule_file(const std::filesystem::path& file, RuleFiles& into) {
  const auto text = read_file(file, kRuleFileOctetsMax);
  if (!text) {
    into.problems.push_back(
        {.place = {.file = file.string()}, .what = std::generic_category().message(errno)});
    return;
  }
  into.files.push_back(file);
  const bool foreign = file.extension() == ".cf" || file.extension() == ".pre";
  auto problems = foreign ? filters::rules::import_spamassassin(*text, file.string(), into.book)
                          : filters::rules::read_rules(*text, file.string(), into.book);
  auto& list = foreign ? into.skipped : into.problems;
  std::ranges::move(problems, std::back_inserter(list));
}

RuleFiles read_rule_files(const config::Config& config) {
  RuleFiles read;
  std::vector<std::filesystem::path> files;
  if (const std::filesystem::path folder = rules_folder(config); !folder.empty()) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error))
      if (entry->path().extension() == ".rules") files.push_back(entry->path());
    if (error) read.problems.push_back({.place = {.file = folder.string()}, .what = error.message()});
    std::ranges::sort(files);
  }
  for (const std::filesystem::path& file : files) read_rule_file(file, read);
  for (const std::string& file : config.filter.rules.spamassassin) {
    const auto text = read_file(file, kRuleFileOctetsMax);
    if (!text) {
      read.problems.push_back({.place = {.file = file}, .what = std::generic_category().message(errno)});
      continue;
    }
    read.files.emplace_back(file);
    auto skipped = filters::rules::import_spamassassin(*text, file, read.book);
    std::ranges::move(skipped, std::back_inserter(read.skipped));
  }
  return read;
}

filters::rules::Settings rule_settings(const config::RulesConfig& config) {
  filters::rules::Settings settings;
  settings.profile = config.profile;
  for (const auto& [name, points] : config.scores) {
    double score = 0;
    if (filters::rules::read_score(points, score)) settings.scores.emplace(name, score);
  }
  settings.disabled.insert(config.disabled.begin(), config.disabled.end());
  for (const auto& [name, domain] : config.protected_names)
    if (auto made = filters::rules::protected_name(name, domain))
      settings.protected_names.push_back(*std::move(made));
  return settings;
}

std::expected<std::shared_ptr<const filters::rules::RuleSet>, std::string> load_rules(
    const config::Config& config, std::vector<std::string>* warnings) {
  const auto warn = [warnings](std::string text) {
    if (warnings != nullptr) warnings->push_back(std::move(text));
  };
  if (!config.filter.rules.enabled) return nullptr;
  RuleFiles read = read_rule_files(config);
  if (!read.problems.empty()) return std::unexpected(and_more(read.problems));
  if (!read.skipped.empty())
    warn(fmt::format("{} lines of SpamAssassin's rules were not taken, the first at {}", read.skipped.size(),
                     read.skipped.front().text()));
  if (read.book.rules.empty()) {
    // Where nobody asked for rules nothing is amiss.
    if (!config.filter.rules.folder.empty() || !config.filter.rules.spamassassin.empty())
      warn("[filter.rules] names no file with rules: what messages say is not judged");
    return nullptr;
  }
  filters::rules::Settings settings = rule_settings(config.filter.rules);
  const std::filesystem::path folder = cache_folder(config);
  const std::string key = filters::rules::RuleSet::key_of(read.book, settings);
  const std::filesystem::path file =
      folder / fmt::format("{}{:016x}{}", kCachePrefix, hash_of(key), kCacheSuffix);
  if (auto cached = read_file(file, kCacheOctetsMax)) settings.cached = *std::move(cached);
  auto set = filters::rules::RuleSet::compile(std::move(read.book), settings);
  if (!set) return std::unexpected(and_more(set.error()));
  for (const std::string& name : (*set)->unknown())
    warn(fmt::format("[filter.rules] names {}, which is no rule", name));
  if (!(*set)->restored()) {
    std::error_code error;
    const bool there = std::filesystem::is_directory(folder, error) || ::mkdir(folder.c_str(), 0700) == 0;
    if (!there || !write_cache(file, (*set)->cache()))
      warn(fmt::format("{}: compiled rules cannot be kept there: each start compiles them anew",
                       folder.string()));
    tidy(folder);
  }
  return *std::move(set);
}

}  // namespace postern::pipeline
