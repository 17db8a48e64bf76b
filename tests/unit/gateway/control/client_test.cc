#include "gateway/control/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "tests/support/splits.h"

namespace postern::control {
namespace {

/// A socket in a folder of its own, where a thread gives one client a prepared answer in pieces.
class FakeServer {
 public:
  FakeServer() {
    std::string name = (std::filesystem::temp_directory_path() / "control-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(descriptor_, 4), 0);
  }
  ~FakeServer() {
    if (thread_.joinable()) thread_.join();
    ::close(descriptor_);
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path socket() const { return folder_ / "socket"; }
  const std::string& asked() {
    thread_.join();
    return asked_;
  }

  void answer(std::vector<std::string_view> pieces, std::string_view until) {
    thread_ = std::thread([this, pieces = std::move(pieces), until] {
      const int client = ::accept(descriptor_, nullptr, nullptr);
      char buffer[4096];
      while (!asked_.ends_with(until)) {
        const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        asked_.append(buffer, static_cast<std::size_t>(got));
      }
      for (const std::string_view piece : pieces)
        (void)::send(client, piece.data(), piece.size(), MSG_NOSIGNAL);
      ::close(client);
    });
  }

 private:
  std::filesystem::path folder_;
  int descriptor_ = -1;
  std::thread thread_;
  std::string asked_;
};

TEST(ControlClient, AsksAndUnderstandsAnAnswerAtEverySplit) {
  constexpr std::string_view kAnswer =
      "HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}";
  test::for_each_split(
      kAnswer,
      [&](const std::vector<std::string_view>& pieces) {
        FakeServer server;
        server.answer(pieces, "body");
        const auto answer = Client(server.socket()).request("POST", "/v1/x?a=b", "body");
        ASSERT_TRUE(answer.has_value()) << answer.error().sentence;
        EXPECT_EQ(answer->status, 404U);
        EXPECT_FALSE(answer->ok());
        EXPECT_EQ(answer->error(), "no");
        const std::string& asked = server.asked();
        EXPECT_TRUE(asked.starts_with("POST /v1/x?a=b HTTP/1.1\r\n")) << asked;
        EXPECT_NE(asked.find("Content-Length: 4\r\n"), std::string::npos) << asked;
      },
      8);
}

struct Broken {
  std::string_view name, answer;
};

constexpr Broken kBroken[] = {
    {"nothing", ""},
    {"half a header", "HTTP/1.1 200 OK\r\nContent-"},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"},
    {"no HTTP", "220 mx.example ESMTP\r\n"},
};

TEST(ControlClient, NamesABrokenAnswer) {
  for (const Broken& c : kBroken) {
    SCOPED_TRACE(c.name);
    FakeServer server;
    server.answer({c.answer}, "\r\n\r\n");
    const auto answer = Client(server.socket()).request("GET", "/");
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().kind, ClientError::Kind::broken);
    EXPECT_FALSE(answer.error().sentence.empty());
  }
}

TEST(ControlClient, KnowsWhenNoServerRuns) {
  std::filesystem::path socket;
  {
    const FakeServer gone;
    socket = gone.socket();
    EXPECT_TRUE(Client(socket).probe().has_value());
  }
  EXPECT_EQ(Client(socket).probe().error().kind, ClientError::Kind::absent);  // no file
  EXPECT_EQ(Client("").probe().error().kind, ClientError::Kind::absent);
  EXPECT_EQ(Client(std::string(200, 'x')).probe().error().kind, ClientError::Kind::absent);
  const auto asked = Client(socket).request("GET", "/v1/status");
  ASSERT_FALSE(asked.has_value());
  EXPECT_NE(asked.error().sentence.find(socket.string()), std::string::npos);
}

TEST(Answer, HasASentenceForEveryRefusal) {
  EXPECT_EQ((Answer{.status = 500, .body = "gibberish"}).error(), "the server answered with status 500");
  EXPECT_EQ((Answer{.status = 400, .body = R"({"error":"because"})"}).error(), "because");
}

}  // namespace
}  // namespace postern::control
