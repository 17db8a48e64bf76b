#include "gateway/admin/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/support/run_task.h"

namespace postern::admin {
namespace {

using reactor::Reactor;
using reactor::Task;

reactor::Deadline soon() {
  return Reactor::current().now() + std::chrono::seconds(20);
}

/// Echoes method, path and body; /long is an answer larger than one send's buffer.
Task<Response> echo(const Request& request) {
  co_await Reactor::current().yield();  // as a handler that asks a worker
  Response response;
  response.body = request.path == "/long" ? std::string(300'000, 'x')
                                          : request.method + " " + request.path + " " + request.body;
  co_return response;
}

/// A server on a Unix socket, and a client that sends a text and reads until the end or until `enough` likes what came.
struct Talk {
  std::string sends;
  std::function<bool(const std::string&)> enough = [](const std::string&) { return false; };
};

Task<void> say(const reactor::Address& address, const Talk& talk, std::string& heard) {
  reactor::Socket socket;
  const auto deadline = soon();
  auto connected = co_await socket.connect(address, deadline);
  EXPECT_TRUE(connected.has_value());
  auto sent = co_await socket.send(talk.sends, deadline);
  (void)sent;  // a server that refuses early may be gone
  while (!talk.enough(heard)) {
    auto got = co_await socket.receive(deadline);
    if (!got) break;
    heard += *got;
    socket.release_input();
  }
  co_await socket.close();
}

std::string answer_to(const Talk& talk, ServerLimits limits = ServerLimits()) {
  std::string folder = (std::filesystem::temp_directory_path() / "admin-XXXXXX").string();
  EXPECT_NE(::mkdtemp(folder.data()), nullptr);
  reactor::Address address;
  address.path = folder + "/socket";
  std::string heard;
  constexpr auto kMain = [](const reactor::Address& at, const Talk& what, ServerLimits bounds,
                            std::string& out) -> Task<void> {
    reactor::Scope scope;
    reactor::Listener listener;
    Server server(echo, bounds);
    const auto bound = listener.bind(at, reactor::ListenOptions());
    EXPECT_TRUE(bound.has_value());
    scope.spawn(server.serve(listener, scope));
    co_await say(at, what, out);
    scope.cancel();
    co_await scope.join();
    co_await listener.close();
  };
  test::run(kMain(address, talk, limits, heard));
  std::filesystem::remove_all(folder);
  return heard;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(AdminServer, AnswersAndCloses) {
  const std::string heard =
      answer_to({.sends = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"});
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK\r\n")) << heard;
  EXPECT_TRUE(heard.ends_with("\r\n\r\nPOST /x hi")) << heard;
}

TEST(AdminServer, KeepsTheConnectionForRequestsSentTogether) {
  const std::string heard =
      answer_to({.sends = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                          "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"});
  EXPECT_EQ(count(heard, "HTTP/1.1 200 OK"), 3U) << heard;
  EXPECT_LT(heard.find("GET /1"), heard.find("GET /2"));
  EXPECT_TRUE(heard.ends_with("GET /3 ")) << heard;
}

TEST(AdminServer, HeadHasTheLengthAndNoBody) {
  const std::string heard =
      answer_to({.sends = "HEAD /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"});
  EXPECT_NE(heard.find("Content-Length: 300000\r\n"), std::string::npos) << heard.substr(0, 500);
  EXPECT_TRUE(heard.ends_with("\r\n\r\n"));
}

TEST(AdminServer, SendsLongAnswersWhole) {
  const std::string heard =
      answer_to({.sends = "GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"});
  const std::size_t body = heard.find("\r\n\r\n") + 4;
  EXPECT_EQ(heard.size() - body, 300'000U);
}

TEST(AdminServer, SaysContinueToThoseWhoWaitForIt) {
  // All at once, as the client may: the interim answer comes only when the body is not there yet.
  const auto enough = [](const std::string& heard) { return heard.ends_with("100 Continue\r\n\r\n"); };
  const std::string heard =
      answer_to({.sends = "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
                 .enough = enough});
  EXPECT_EQ(heard, "HTTP/1.1 100 Continue\r\n\r\n");
}

struct Refused {
  std::string_view name, sends, status;
};

constexpr Refused kRefused[] = {
    {"not HTTP", "EHLO client.example\r\n", "HTTP/1.1 400 "},
    {"a body over the limit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n", "HTTP/1.1 413 "},
};

TEST(AdminServer, RefusesInJsonAndCloses) {
  ServerLimits limits;
  limits.body_octets_max = 1000;
  for (const Refused& c : kRefused) {
    SCOPED_TRACE(c.name);
    const auto complete = [](const std::string& heard) { return heard.ends_with("}\n"); };
    const std::string heard = answer_to({.sends = std::string(c.sends), .enough = complete}, limits);
    EXPECT_TRUE(heard.starts_with(c.status)) << heard;
    EXPECT_NE(heard.find("Connection: close\r\n"), std::string::npos) << heard;
    EXPECT_NE(heard.find("{\"error\": \""), std::string::npos) << heard;
  }
}

TEST(AdminServer, EndsConnectionsThatSayNothing) {
  ServerLimits limits;
  limits.idle_timeout = std::chrono::seconds(0);
  EXPECT_EQ(answer_to({.sends = ""}, limits), "");
}

TEST(AdminServer, TellsWhoDoesNotFinishARequest) {
  ServerLimits limits;
  limits.idle_timeout = std::chrono::seconds(1);
  const std::string heard = answer_to({.sends = "GET / HT"}, limits);
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 408 ")) << heard;
}

TEST(AdminServer, TurnsAwayWhenAllPlacesAreTaken) {
  ServerLimits limits;
  limits.connections_max = 0;
  const std::string heard = answer_to({.sends = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"}, limits);
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 503 ")) << heard;
}

}  // namespace
}  // namespace postern::admin
