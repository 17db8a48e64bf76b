#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gateway/reactor/sockaddr.h"
#include "tests/unit/gateway/reactor/support.h"

namespace postern::reactor {
namespace {

using std::chrono::milliseconds;
using testing::in;
using testing::outcome;

Address at(std::string_view text) {
  return *Address::parse(text);
}

/// A plain client, connected when this returns (the kernel's queue answers).
int connect_to(const Address& address) {
  const KernelAddress kernel = to_kernel(address);
  const int descriptor = ::socket(kernel.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(descriptor, kernel.get(), kernel.length) != 0) {
    ::close(descriptor);
    return -1;
  }
  return descriptor;
}

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "postern_listener_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

Task<void> accepts_many() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  EXPECT_NE(listener.local().port, 0);
  std::vector<int> clients, servers;
  for (int i = 0; i < 300; ++i) clients.push_back(connect_to(listener.local()));
  for (int i = 0; i < 300; ++i) {
    const auto accepted = co_await listener.accept();
    EXPECT_EQ(outcome(accepted), "ok");
    if (!accepted) break;
    servers.push_back(accepted->descriptor);
    EXPECT_EQ(accepted->local, listener.local());
    EXPECT_EQ(accepted->peer, *local_address(clients[static_cast<std::size_t>(i)]));
  }
  int no_delay = 0;
  socklen_t length = sizeof no_delay;
  EXPECT_EQ(::getsockopt(servers.back(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
  EXPECT_NE(no_delay, 0);
  EXPECT_NE(::fcntl(servers.back(), F_GETFD) & FD_CLOEXEC, 0);
  for (const int descriptor : clients) ::close(descriptor);
  for (const int descriptor : servers) ::close(descriptor);
  co_await listener.close();
  co_await listener.close();
  EXPECT_EQ(connect_to(listener.local()), -1);
}

TEST(Listener, AcceptsClientsInOrderWithTheirAddresses) {
  test::run(accepts_many());
}

Task<void> any_address() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("0.0.0.0:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  Address to = listener.local();
  to.ip = *filters::Ip::parse("127.0.0.77");
  const int client = connect_to(to);
  const auto accepted = co_await listener.accept();
  EXPECT_EQ(outcome(accepted), "ok");
  if (accepted) {
    EXPECT_EQ(accepted->local, to);  // where the client came to, not where we listen
    ::close(accepted->descriptor);
  }
  ::close(client);
  co_await listener.close();
}

TEST(Listener, KnowsWhereTheClientCameTo) {
  test::run(any_address());
}

Task<void> pending_is_bounded() {
  // Nobody fetches: the listener takes a bounded number and leaves the rest to the kernel's queue, and nobody
  // is lost.
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  std::vector<int> clients;
  constexpr int kClients = 1500;
  for (int i = 0; i < kClients; ++i) clients.push_back(connect_to(listener.local()));
  int accepted_count = 0;
  while (accepted_count < kClients) {
    auto accepted = co_await listener.accept();
    if (!accepted) break;
    ::close(accepted->descriptor);
    ++accepted_count;
    if (accepted_count % 100 == 0) co_await Reactor::current().yield();
  }
  EXPECT_EQ(accepted_count, kClients);
  for (const int descriptor : clients) ::close(descriptor);
  co_await listener.close();
}

TEST(Listener, LosesNobodyWhenItsOwnQueueIsFull) {
  test::run(pending_is_bounded());
}

/// How many of `clients` new ones each listener of the group gets.
Task<void> steered(unsigned members, std::vector<int> expected) {
  constexpr int kClients = 60;
  std::vector<std::unique_ptr<Listener>> group;
  const ListenOptions options;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    group.push_back(std::make_unique<Listener>());
    const auto bound = group.back()->bind(i == 0 ? at("127.0.0.1:0") : group.front()->local(), options);
    EXPECT_EQ(outcome(bound), "ok");
  }
  EXPECT_EQ(outcome(steer(group.front()->descriptor(), 1)), "ok");
  const auto set = steer(group.back()->descriptor(), members);
  EXPECT_EQ(outcome(set), "ok");
  std::vector<int> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(connect_to(group.front()->local()));
  std::vector<int> got(expected.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    pollfd readable{.fd = group[i]->descriptor(), .events = POLLIN, .revents = 0};
    while (::poll(&readable, 1, 0) == 1) {
      const int client = ::accept4(readable.fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) break;
      ++got[i];
      ::close(client);
    }
  }
  int all = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    all += got[i];
    EXPECT_EQ(got[i] > 0, expected[i] > 0) << "listener " << i << " got " << got[i];
  }
  EXPECT_EQ(all, kClients);
  for (const int descriptor : clients) ::close(descriptor);
  for (auto& listener : group) co_await listener->close();
}

TEST(Steering, AllToTheFirst) {
  test::run(steered(1, {1, 0, 0}));
}
TEST(Steering, ByChanceAmongTheFirstTwo) {
  test::run(steered(2, {1, 1, 0}));
}
TEST(Steering, ToAll) {
  test::run(steered(3, {1, 1, 1}));
}
TEST(Steering, ByTheKernelsHash) {
  test::run(steered(0, {1, 1, 1}));
}
TEST(Steering, SaysWhatIsNoListener) {
  const auto set = steer(-1, 1);
  ASSERT_FALSE(set.has_value());
  EXPECT_NE(set.error().text().find("SO_ATTACH_REUSEPORT_CBPF"), std::string::npos);
}

Task<void> cancels(bool by_scope) {
  Scope tasks, owner;
  Listener listener;
  if (by_scope) owner.enrol(listener);
  const ListenOptions options;
  const auto bound = listener.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  std::string result;
  const auto acceptor = [](Listener* from, std::string* into) -> Task<void> {
    const auto accepted = co_await from->accept();
    *into = outcome(accepted);
  };
  tasks.spawn(acceptor(&listener, &result));
  co_await Reactor::current().yield();
  if (by_scope) {
    owner.cancel();
  } else {
    listener.cancel();
  }
  co_await tasks.join();
  EXPECT_EQ(result, "cancelled");
  const auto again = co_await listener.accept();
  EXPECT_EQ(outcome(again), "cancelled");
  co_await listener.close();
}

TEST(Listener, CancelEndsAcceptingNowAndLater) {
  for (const bool by_scope : {false, true}) {
    SCOPED_TRACE(by_scope);
    test::run(cancels(by_scope));
  }
}

Task<void> closes_under_an_acceptor() {
  Scope tasks;
  auto listener = std::make_unique<Listener>();
  const ListenOptions options;
  const auto bound = listener->bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  const int early = connect_to(listener->local());
  std::string result;
  const auto acceptor = [](Listener* from, std::string* into) -> Task<void> {
    for (;;) {
      const auto accepted = co_await from->accept();
      *into = outcome(accepted);
      if (!accepted) co_return;
      ::close(accepted->descriptor);
    }
  };
  tasks.spawn(acceptor(listener.get(), &result));
  co_await Reactor::current().yield();
  co_await listener->close();
  listener.reset();  // nobody may be inside any more
  EXPECT_EQ(result, "cancelled");
  co_await tasks.join();
  ::close(early);
}

TEST(Listener, CloseWaitsForTheAcceptor) {
  test::run(closes_under_an_acceptor());
}

Task<void> port_in_use() {
  Listener first, same_core_group, second, exclusive;
  const ListenOptions options;
  const auto bound = first.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  const Address taken = first.local();
  const auto shared = same_core_group.bind(taken, options);
  EXPECT_EQ(outcome(shared), "ok");  // SO_REUSEPORT: the next core

  ListenOptions refuse;
  refuse.refuse_shared = true;
  const auto refused = second.bind(taken, refuse);
  EXPECT_EQ(outcome(refused), "address in use");
  if (!refused) {
    EXPECT_EQ(refused.error().text(), "bind " + taken.text() + ": address in use");
  }
  ListenOptions alone;
  alone.reuse_port = false;
  const auto also_refused = exclusive.bind(taken, alone);
  EXPECT_EQ(outcome(also_refused), "address in use");
  co_await first.close();
  co_await same_core_group.close();
  const auto now_free = second.bind(taken, refuse);
  EXPECT_EQ(outcome(now_free), "ok");
  co_await second.close();
}

TEST(Listener, SaysWhenThePortIsTaken) {
  test::run(port_in_use());
}

Task<void> foreign_address() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("203.0.113.77:0"), options);
  EXPECT_FALSE(bound.has_value());
  if (!bound) {
    EXPECT_EQ(bound.error().system_error, EADDRNOTAVAIL);
  }
  EXPECT_EQ(listener.descriptor(), -1);
  co_await listener.close();
}

TEST(Listener, SaysWhenTheAddressIsNotOurs) {
  test::run(foreign_address());
}

// The undefined-behaviour sanitizer opens a pipe to look at an object's type, and takes its failure for a
// wrong object.
#if !__has_feature(undefined_behavior_sanitizer)
Task<void> out_of_descriptors(ReactorCounters* counters) {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  Scope scope;
  std::string result;
  const auto acceptor = [](Listener* from, std::string* into) -> Task<void> {
    const auto accepted = co_await from->accept();
    *into = outcome(accepted);
    if (accepted) ::close(accepted->descriptor);
  };
  const int client = connect_to(listener.local());
  rlimit before{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  scope.spawn(acceptor(&listener, &result));
  const auto slept = co_await Reactor::current().sleep_until(in(milliseconds(150)));
  EXPECT_TRUE(slept.has_value());
  EXPECT_EQ(result, "");  // not an error, not a busy loop
  *counters = Reactor::current().counters();
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  co_await scope.join();
  EXPECT_EQ(result, "ok");
  ::close(client);
  co_await listener.close();
}

TEST(Listener, PausesWhenDescriptorsRunOut) {
  ReactorCounters counters;
  test::run(out_of_descriptors(&counters));
  EXPECT_GE(counters.accept_pauses, 1U);
  EXPECT_LE(counters.accept_pauses, 3U);
}
#endif

Task<void> unix_listener(std::filesystem::path path) {
  const Address address = at("unix:" + path.string());
  Listener listener;
  ListenOptions options;
  options.unix_mode = 0622;
  const auto bound = listener.bind(address, options);
  EXPECT_EQ(outcome(bound), "ok");
  EXPECT_EQ(listener.local(), address);
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0622U);

  Listener second;
  const auto refused = second.bind(address, options);
  EXPECT_EQ(outcome(refused), "address in use");

  Listener sharing;
  const auto shared = sharing.share(listener.descriptor());
  EXPECT_EQ(outcome(shared), "ok");
  EXPECT_EQ(sharing.local(), address);
  const int client = connect_to(address);
  EXPECT_GE(client, 0);
  const auto accepted = co_await sharing.accept();
  EXPECT_EQ(outcome(accepted), "ok");
  if (accepted) {
    EXPECT_EQ(accepted->local, address);
    EXPECT_EQ(accepted->peer, Address());
    ::close(accepted->descriptor);
  }
  ::close(client);
  co_await sharing.close();
  EXPECT_TRUE(std::filesystem::exists(path));  // only who bound it removes it
  co_await listener.close();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listener, UnixSocketHasItsModeIsSharedAndRemoved) {
  const Folder folder;
  test::run(unix_listener(folder / "lmtp"));
}

Task<void> stale_file(std::filesystem::path path) {
  const Address address = at("unix:" + path.string());
  const KernelAddress kernel = to_kernel(address);
  const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::bind(dead, kernel.get(), kernel.length), 0);
  ::close(dead);
  EXPECT_TRUE(std::filesystem::exists(path));
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(address, options);
  EXPECT_EQ(outcome(bound), "ok");

  // Somebody else takes the path over: then it is not ours to remove.
  std::filesystem::remove(path);
  std::ofstream(path) << "another's";
  co_await listener.close();
  EXPECT_TRUE(std::filesystem::exists(path));

  const auto refused = listener.bind(address, options);
  EXPECT_EQ(outcome(refused), "address in use");
  EXPECT_TRUE(std::filesystem::exists(path));
  if (!refused) {
    EXPECT_NE(refused.error().text().find("not a socket"), std::string::npos) << refused.error().text();
  }
}

TEST(Listener, ReplacesAStaleUnixSocketAndNothingElse) {
  const Folder folder;
  test::run(stale_file(folder / "lmtp"));
}

Task<void> bad_paths(std::filesystem::path folder) {
  Listener listener;
  const ListenOptions options;
  Address address;
  address.path = (folder / "missing" / "lmtp").string();
  const auto missing = listener.bind(address, options);
  EXPECT_FALSE(missing.has_value());
  if (!missing) {
    EXPECT_EQ(missing.error().system_error, ENOENT);
  }
  address.path = std::string(200, 'p');
  const auto too_long = listener.bind(address, options);
  EXPECT_FALSE(too_long.has_value());
  if (!too_long) {
    EXPECT_EQ(too_long.error().system_error, ENAMETOOLONG);
  }
  co_await listener.close();
}

TEST(Listener, SaysWhatIsWrongWithAPath) {
  const Folder folder;
  test::run(bad_paths(folder / ""));
}

Task<void> share_refuses() {
  Listener listener;
  const int plain = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto not_listening = listener.share(plain);
  EXPECT_FALSE(not_listening.has_value());
  ::close(plain);
  const int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto not_a_socket = listener.share(file);
  EXPECT_FALSE(not_a_socket.has_value());
  ::close(file);

  // Socket activation may hand over a non-blocking one.
  const int activated = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const KernelAddress kernel = to_kernel(at("127.0.0.1:0"));
  EXPECT_EQ(::bind(activated, kernel.get(), kernel.length), 0);
  EXPECT_EQ(::listen(activated, 10), 0);
  const auto shared = listener.share(activated);
  EXPECT_EQ(outcome(shared), "ok");
  const int client = connect_to(listener.local());
  const auto accepted = co_await listener.accept();
  EXPECT_EQ(outcome(accepted), "ok");
  if (accepted) ::close(accepted->descriptor);
  ::close(client);
  ::close(activated);
  co_await listener.close();
}

TEST(Listener, SharesListeningSocketsOnly) {
  test::run(share_refuses());
}

Task<void> client_gone_before_accept() {
  Listener listener;
  const ListenOptions options;
  const auto bound = listener.bind(at("127.0.0.1:0"), options);
  EXPECT_EQ(outcome(bound), "ok");
  for (int i = 0; i < 5; ++i) {
    const int impatient = connect_to(listener.local());
    const linger now{.l_onoff = 1, .l_linger = 0};
    EXPECT_EQ(::setsockopt(impatient, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    ::close(impatient);  // RST while in our queue
  }
  const int patient = connect_to(listener.local());
  const auto accepted = co_await listener.accept();
  EXPECT_EQ(outcome(accepted), "ok");
  if (accepted) {
    EXPECT_EQ(accepted->peer, *local_address(patient));
    ::close(accepted->descriptor);
  }
  ::close(patient);
  co_await listener.close();
}

TEST(Listener, SkipsClientsThatAreGoneAlready) {
  test::run(client_gone_before_accept());
}

}  // namespace
}  // namespace postern::reactor
