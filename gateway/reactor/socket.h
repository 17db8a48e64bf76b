#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "filters/ip.h"
#include "gateway/reactor/reactor.h"

namespace postern::reactor {

/// "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/postern/lmtp". The port is 0-65535.
struct Address {
  filters::Ip ip;  ///< empty for a Unix socket
  std::uint16_t port = 0;
  std::string path;  ///< Unix socket
  bool is_unix() const { return !path.empty(); }
  std::string text() const;
  static std::expected<Address, Error> parse(std::string_view text);
  friend bool operator==(const Address&, const Address&) = default;
};

/// One connected stream socket on this core. At most one receive and one send at a time. The destructor
/// checks that nothing is in flight: co_await close() first. Enrol it in a scope to have it cancelled with
/// the scope.
class Socket final : public Cancellable {
 public:
  Socket();
  Socket(Socket&&) = delete;
  ~Socket() override;

  /// Takes over a connected descriptor (from Listener, socketpair in tests, connect()).
  void adopt(int descriptor, Address local, Address peer);
  /// Connects, optionally from a source address.
  Task<std::expected<void, Error>> connect(Address to, Deadline deadline, Address from = {});

  /// Waits for octets: a view into a provided buffer of this core, never empty, valid until release_input()
  /// or the next receive(), whichever comes first; the caller must not hold it across another await. Not
  /// calling receive() is the back-pressure. Errors: timed_out, end_of_stream, reset, cancelled.
  Task<std::expected<std::string_view, Error>> receive(Deadline deadline);
  /// Gives the provided buffer back to the ring; does nothing when none is held.
  void release_input() noexcept;
  /// Octets wait in the kernel now, or the peer has closed (one non-blocking system call; for the
  /// early-talker check).
  bool input_waiting() const;
  /// Sends all of it (MSG_WAITALL); the octets must stay until the task is done. `last`: close() follows at
  /// once, so the octets may wait for it and leave with the end of the connection in one packet.
  Task<std::expected<void, Error>> send(std::string_view octets, Deadline deadline, bool last = false);

  /// Ends a waiting receive with Errc::cancelled, or with octets that have arrived meanwhile: none are lost.
  /// The socket stays usable. Does nothing when none waits.
  void cancel_receive() noexcept;
  /// Ends all operations, now and later, with Errc::cancelled.
  void cancel() noexcept override;
  /// Cancels what is in flight, waits for it, closes. Idempotent. Unread octets that have arrived over TCP
  /// are thrown away first, so that the last reply is not followed by a reset. `reset`: abortive close (RST)
  /// for garbage talkers.
  Task<void> close(bool reset = false);

  bool is_open() const;
  const Address& local() const;
  const Address& peer() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = true;      ///< one listener per core on the same address
  bool refuse_shared = false;  ///< first look whether anybody listens there already, which SO_REUSEPORT
                               ///< hides: for the first core's listener only
  unsigned unix_mode = 0660;   ///< of a Unix socket's file; a stale file nobody listens on is replaced
};

/// What accept() gives: a descriptor to adopt.
struct Accepted {
  int descriptor = -1;
  Address local, peer;
};

/// One listening socket on this core: multishot accept, re-armed as needed. For a Unix socket, whose file
/// cannot be shared by SO_REUSEPORT, one core binds and others listen on share().
class Listener final : public Cancellable {
 public:
  Listener();
  ~Listener() override;
  /// address_in_use, permission …: context names the address.
  std::expected<void, Error> bind(const Address& address, const ListenOptions& options);
  /// Listens on a descriptor somebody else bound (socket activation, another core's Unix socket); it is
  /// duplicated.
  std::expected<void, Error> share(int descriptor);
  int descriptor() const;
  const Address& local() const;  ///< with the port the kernel picked

  /// The next client. Out of descriptors (EMFILE) is retried with a pause and counted; it is not an error
  /// here.
  Task<std::expected<Accepted, Error>> accept();
  void cancel() noexcept override;
  Task<void> close();  ///< removes the file of a Unix socket that bind() made

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// New clients of an address that several listeners share by SO_REUSEPORT go to the first `members` of them, in the order they
/// were bound, by chance among those; 0: to all of them, by the kernel's hash of the connection. Clients that were accepted or
/// wait already stay where they are. `listener`: any of them. Any thread. Errors: a kernel or sandbox that takes no
/// classic BPF program (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5); everything then is as before.
std::expected<void, Error> steer(int listener, unsigned members);

}  // namespace postern::reactor
