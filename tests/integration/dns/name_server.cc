#include "tests/integration/dns/name_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/support/dns_packet.h"

namespace postern::test {
namespace {

constexpr auto kStartTime = std::chrono::seconds(20);

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  (void)::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

/// The port bound, or 0.
std::uint16_t bound_port(int kind, const std::string& ip, std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, kind | SOCK_CLOEXEC, 0);
  sockaddr_in address = address_of(ip, port);
  socklen_t size = sizeof address;
  const bool done = ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(descriptor);
  return done ? ntohs(address.sin_port) : 0;
}

/// The child's side of fork(): never returns.
[[noreturn]] void become(const std::vector<std::string>& words, const std::filesystem::path& folder,
                         const std::filesystem::path& output) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
  (void)::signal(SIGPIPE, SIG_DFL);
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  (void)::dup2(nothing, 0);
  (void)::dup2(file, 1);
  (void)::dup2(file, 2);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  if (::chdir(folder.c_str()) == 0) ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

std::optional<std::string> find_program(std::string_view name) {
  for (const std::string_view folder :
       {"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"}) {
    std::string path = fmt::format("{}/{}", folder, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return std::nullopt;
}

bool run_program(const std::vector<std::string>& words, const std::filesystem::path& folder,
                 const std::filesystem::path& output) {
  const pid_t process = ::fork();
  if (process == 0) become(words, folder, output);
  int status = 0;
  return process > 0 && ::waitpid(process, &status, 0) == process && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "postern-dns-XXXXXX").string();
  if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port(const std::string& ip) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    const std::uint16_t port = bound_port(SOCK_DGRAM, ip, 0);
    if (port != 0 && bound_port(SOCK_STREAM, ip, port) != 0) return port;
  }
  return 0;
}

bool can_bind(const std::string& ip, std::uint16_t port) {
  return bound_port(SOCK_DGRAM, ip, port) != 0 && bound_port(SOCK_STREAM, ip, port) != 0;
}

NameServer::NameServer(const Options& options)
    : ip_(options.ip), port_(options.port != 0 ? options.port : free_port(options.ip)) {
  if (port_ == 0 || folder_.path().empty() || options.zones.empty()) {
    trouble_ = "no port, no folder or no zones";
    return;
  }
  start(options.zones);
  const auto until = std::chrono::steady_clock::now() + kStartTime;
  while (!answers(options.zones.back().name)) {
    if (std::chrono::steady_clock::now() > until || ::waitpid(process_, nullptr, WNOHANG) == process_) {
      trouble_ =
          "nsd does not answer: " + content(folder_.path() / "output") + content(folder_.path() / "log");
      return;
    }
  }
}

NameServer::~NameServer() {
  if (process_ <= 0) return;
  (void)::kill(process_, SIGTERM);
  (void)::waitpid(process_, nullptr, 0);
}

void NameServer::start(const std::vector<Zone>& zones) {
  const std::string folder = folder_.path().string();
  std::ofstream configuration(folder_.path() / "nsd.conf");
  configuration << "server:\n"
                << "  ip-address: " << ip_ << "@" << port_ << "\n"
                << "  username: \"\"\n  chroot: \"\"\n  pidfile: \"\"\n  database: \"\"\n  do-ip6: no\n"
                << "  server-count: 1\n  rrl-ratelimit: 0\n  verbosity: 1\n"
                << "  zonesdir: \"" << folder << "\"\n  xfrdir: \"" << folder << "\"\n"
                << "  zonelistfile: \"" << folder << "/zone.list\"\n"
                << "  xfrdfile: \"" << folder << "/xfrd.state\"\n"
                << "  logfile: \"" << folder << "/log\"\n"
                << "remote-control:\n  control-enable: no\n";
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const bool is_path = zones[i].file.starts_with('/');
    const std::string path = is_path ? zones[i].file : fmt::format("{}/zone{}", folder, i);
    if (!is_path) std::ofstream(path) << zones[i].file;
    configuration << "zone:\n  name: \"" << zones[i].name << "\"\n  zonefile: \"" << path << "\"\n";
  }
  configuration.close();
  const std::vector<std::string> words = {*find_program("nsd"), "-d", "-c", folder + "/nsd.conf"};
  process_ = ::fork();
  if (process_ == 0) become(words, folder_.path(), folder_.path() / "output");
}

/// Asks for the zone's SOA.
bool NameServer::answers(const std::string& zone) const {
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = address_of(ip_, port_);
  DnsPacket question(1);
  question.question(zone == "." ? "" : zone, DnsPacket::kSoa);
  std::string octets = question.octets();
  octets[2] = octets[3] = 0;  // a query
  bool answered = false;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(descriptor, octets.data(), octets.size(), 0) > 0) {
    pollfd ready{.fd = descriptor, .events = POLLIN, .revents = 0};
    std::array<char, 2048> reply{};
    constexpr int kPatienceMs = 100;
    if (::poll(&ready, 1, kPatienceMs) == 1) {
      const ssize_t size = ::recv(descriptor, reply.data(), reply.size(), 0);
      answered = size > 12 && (reply[3] & 15) == 0 && reply[7] == 1;
    }
  }
  ::close(descriptor);
  if (!answered) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return answered;
}

}  // namespace postern::test
