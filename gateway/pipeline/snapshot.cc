#include "gateway/pipeline/snapshot.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "gateway/pipeline/policy.h"

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
  snapshot->directory = Directory(config);
  snapshot->lists = LocalLists(config.filter.allow, config.filter.block);
  snapshot->policy = make_policy(config.filter, config.blocklists, snapshot->lists);
  if (config.tls.enabled) {
    auto contexts = load_contexts(config, std::move(tickets), warnings);
    if (!contexts) return std::unexpected(std::move(contexts.error()));
    snapshot->tls = std::move(*contexts);
  }
  return snapshot;
}

}  // namespace postern::pipeline
