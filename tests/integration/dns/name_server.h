#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::test {

/// The path of a program, or nothing where it is not installed.
std::optional<std::string> find_program(std::string_view name);

/// Runs a program in a folder until it ends; true when it succeeded. What it says goes to `output`, a file.
bool run_program(const std::vector<std::string>& words, const std::filesystem::path& folder,
                 const std::filesystem::path& output);

/// A folder that goes with the object.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// An authoritative server: nsd in the foreground, on an address of 127/8, with zone files of the test's. Ends
/// with the object.
class NameServer {
 public:
  struct Zone {
    std::string name;
    std::string file;  ///< the zone file's text, or the path of one that exists
  };
  struct Options {
    std::string ip = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: a free one
    std::vector<Zone> zones;
  };
  static bool installed() { return find_program("nsd").has_value(); }

  explicit NameServer(const Options& options);
  ~NameServer();
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;

  /// "": it answers; else what went wrong.
  const std::string& trouble() const { return trouble_; }
  /// "IP:PORT".
  std::string address() const { return ip_ + ":" + std::to_string(port_); }

 private:
  void start(const std::vector<Zone>& zones);
  bool answers(const std::string& zone) const;

  ScratchFolder folder_;
  std::string ip_;
  std::uint16_t port_;
  pid_t process_ = -1;
  std::string trouble_;
};

/// A port that nobody listens to now, of UDP and TCP; 0 when the address cannot be bound.
std::uint16_t free_port(const std::string& ip);
/// Whether the port can be bound, of UDP and TCP.
bool can_bind(const std::string& ip, std::uint16_t port);

}  // namespace postern::test
