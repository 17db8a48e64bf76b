#include "gateway/pipeline/snapshot.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "gateway/config/values.h"
#include "gateway/pipeline/list_keeper.h"
#include "gateway/pipeline/policy.h"
#include "gateway/pipeline/rules.h"

namespace postern::pipeline {
namespace {

constexpr std::string_view kSelfSignedCertificate = "self-signed.pem";
constexpr std::string_view kSelfSignedKey = "self-signed.key";

/// Beside the database's own files, in the folder that is private to us.
std::expected<std::vector<tls::CertificateFiles>, std::string> self_signed(
    const config::Config& config, std::vector<std::string>* warnings) {
  const std::filesystem::path& folder = config.store.path;
  const tls::CertificateFiles files{.certificate = folder / kSelfSignedCertificate,
                                    .key = folder / kSelfSignedKey};
  std::error_code error;
  std::filesystem::create_directories(folder.parent_path(), error);
  // Mail is private: the folder is born with its mode, as the store itself would make it.
  if (!error && ::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    error = std::error_code(errno, std::generic_category());
  if (error)
    return std::unexpected(fmt::format("{}: the folder for the self-signed certificate cannot be made: {}",
                                       folder.string(), error.message()));
  auto made = tls::ensure_self_signed(files, config.hostname);
  if (!made) return std::unexpected(std::move(made.error()));
  if (warnings != nullptr)
    warnings->push_back(
        fmt::format("[tls] names no certificate: the self-signed {} is used, which no client can verify",
                    files.certificate.string()));
  return std::vector{files};
}

std::expected<Directory::Lists, std::string> load_recipients(const config::Config& config) {
  constexpr std::string_view kFile = "file=";
  Directory::Lists lists;
  for (const config::DomainConfig& domain : config.domains) {
    if (!domain.recipients.starts_with(kFile)) continue;
    const std::string ascii = config::ascii_domain(domain.name).value_or(domain.name);
    auto list = RecipientList::load(domain.recipients.substr(kFile.size()), ascii);
    if (!list) return std::unexpected(fmt::format("recipients of {}: {}", domain.name, list.error()));
    lists.emplace(ascii, std::move(*list));
  }
  return lists;
}

/// The first line of the file.
std::expected<std::string, std::string> load_password(const std::filesystem::path& file) {
  std::string password;
  if (file.empty()) return password;
  std::ifstream in(file);
  if (!std::getline(in, password))
    return std::unexpected(fmt::format("relay.password_file: {} cannot be read, or is empty", file.string()));
  if (password.ends_with('\r')) password.pop_back();
  return password;
}

std::expected<std::shared_ptr<const tls::Contexts>, std::string> load_contexts(
    const config::Config& config, std::shared_ptr<tls::TicketKeys> tickets,
    std::vector<std::string>* warnings) {
  std::vector<tls::CertificateFiles> files;
  for (const config::CertificateConfig& entry : config.tls.certificates)
    files.push_back({.certificate = entry.certificate, .key = entry.key});
  if (files.empty()) {
    auto made = self_signed(config, warnings);
    if (!made) return std::unexpected(std::move(made.error()));
    files = std::move(*made);
  }
  return tls::Contexts::load(files, std::move(tickets), warnings);
}

}  // namespace

std::expected<std::shared_ptr<const Snapshot>, std::string> make_snapshot(
    const config::Config& config, std::shared_ptr<tls::TicketKeys> tickets,
    std::vector<std::string>* warnings) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->config = config;
  auto recipients = load_recipients(config);
  if (!recipients) return std::unexpected(std::move(recipients.error()));
  snapshot->directory = Directory(config, std::move(*recipients));
  auto password = load_password(config.relay.password_file);
  if (!password) return std::unexpected(std::move(password.error()));
  snapshot->routes = delivery::Routes(config, std::move(*password));
  auto client_tls = tls::ClientContext::load();
  if (!client_tls) return std::unexpected(std::move(client_tls.error()));
  snapshot->client_tls = std::move(*client_tls);
  snapshot->lists = LocalLists(config.filter.allow, config.filter.block);
  if (auto read = snapshot->lists.read_files(config.filter.allow, config.filter.block); !read)
    return std::unexpected(std::move(read.error()));
  if (std::string bad = bad_lines_of(*snapshot->lists.files()); warnings != nullptr && !bad.empty())
    warnings->push_back(std::move(bad));
  std::shared_ptr<const filters::rules::RuleSet> rules;
  if (config.filter.enabled) {
    auto loaded = load_rules(config, warnings);
    if (!loaded) return std::unexpected(std::move(loaded.error()));
    rules = *std::move(loaded);
  }
  snapshot->policy = make_policy(config.filter, config.blocklists, snapshot->lists, std::move(rules));
  snapshot->own_policy = snapshot->policy;
  snapshot->own_policy.enabled = false;
  auto credentials = config.submission.credentials.empty() ? Credentials::parse({}, {})
                                                           : Credentials::load(config.submission.credentials);
  if (!credentials) return std::unexpected(std::move(credentials.error()));
  snapshot->credentials = std::move(*credentials);
  auto signers = Signers::load(config.signing);
  if (!signers) return std::unexpected(std::move(signers.error()));
  snapshot->signers = std::move(*signers);
  if (config.tls.enabled) {
    auto contexts = load_contexts(config, std::move(tickets), warnings);
    if (!contexts) return std::unexpected(std::move(contexts.error()));
    snapshot->tls = std::move(*contexts);
  }
  return snapshot;
}

}  // namespace postern::pipeline
