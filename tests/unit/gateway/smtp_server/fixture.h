#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "gateway/log/log.h"
#include "gateway/metrics/metrics.h"
#include "gateway/reactor/reactor.h"
#include "gateway/reactor/socket.h"
#include "gateway/smtp/server/server.h"
#include "tests/support/run_task.h"
#include "tests/support/tls_certificates.h"
#include "tests/unit/gateway/smtp_server/client.h"
#include "tests/unit/gateway/smtp_server/house.h"

namespace postern::test {

/// The server under test on a thread and a reactor of its own, on a port the kernel picks; the test itself is the client,
/// with ordinary blocking sockets. The house must be set up before start().
class SmtpServerTest : public ::testing::Test {
 protected:
  ~SmtpServerTest() override { stop(); }

  void start(reactor::Address address = {.ip = filters::Ip::v4({127, 0, 0, 1})},
             const reactor::ReactorOptions& options = small_reactor()) {
    std::string problem;
    log_ =
        log::Logger::open({.file = (folder_.path() / "log").string(), .level = log::Level::debug}, &problem);
    ASSERT_NE(log_, nullptr) << problem;
    std::promise<std::string> ready;
    auto started = ready.get_future();
    thread_ = std::thread([this, address, options, &ready] { serve(address, options, ready); });
    const std::string failure = started.get();
    ASSERT_EQ(failure, "");
  }

  /// On the server's thread, and waits for it, or for the server's end.
  void on_core(std::function<void()> call) {
    auto done = std::make_shared<std::promise<void>>();
    auto future = done->get_future();
    reactor_->post([call = std::move(call), done] {
      call();
      done->set_value();
    });
    while (future.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready && still_serving()) {
    }
  }
  void drain() {
    on_core([this] { server_->drain(); });
  }
  void cancel() {
    on_core([this] { server_->cancel(); });
  }
  void release() {
    on_core([this] { house.release(); });
  }
  /// serve() has returned, and with it every connection.
  bool finished_within(std::chrono::seconds patience = std::chrono::seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return served_; });
  }
  bool still_serving() {
    const std::lock_guard lock(mutex_);
    return !served_;
  }
  /// Waits until so many connections are open.
  bool connections_become(std::size_t count) {
    for (int i = 0; i < 2000; ++i) {
      if (admission.connections() == count) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  /// The figures hold this soon; the last ones are counted after the client has seen the end.
  bool figures_say(std::string_view text) {
    for (int i = 0; i < 400; ++i) {
      if (registry.render().find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::printf("%s", registry.render().c_str());
    return false;
  }
  /// The log holds this soon.
  bool log_says(std::string_view text) {
    for (int i = 0; i < 400; ++i) {
      if (log_text().find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::printf("%s", log_text().c_str());
    return false;
  }
  /// Ends the server whatever it does, and checks that nothing is left of it.
  void stop() {
    if (!thread_.joinable()) return;
    if (still_serving()) {
      on_core([this] {
        server_->cancel();
        house.release();
      });
    }
    EXPECT_TRUE(finished_within());
    {
      const std::lock_guard lock(mutex_);
      leave_ = true;
      changed_.notify_all();
    }
    thread_.join();
    EXPECT_EQ(admission.connections(), 0U);
    EXPECT_EQ(bodies.used(), 0U);
    EXPECT_EQ(frames_left_, 0U);
  }
  std::string log_text() {
    log_->flush();
    return file_text(folder_.path() / "log");
  }
  reactor::ReactorCounters counters() const { return reactor_->counters(); }
  Client connect() { return Client::to(address_); }
  /// Connected, greeting read.
  Client greeted() {
    Client client = connect();
    EXPECT_EQ(client.reply().substr(0, 4), "220 ");
    return client;
  }

  TestHouse house;
  smtp::Admission admission;
  smtp::BodyBudget bodies{std::size_t{64} << 20};
  metrics::Registry registry;
  TemporaryFolder folder_;
  reactor::Address address_;

 private:
  void serve(const reactor::Address& address, const reactor::ReactorOptions& options,
             std::promise<std::string>& ready) {
    auto made = reactor::Reactor::create(options);
    if (!made) return ready.set_value(made.error().text());
    reactor_ = made->get();
    reactor::Listener listener;
    const auto bound = listener.bind(address, {});
    if (!bound) return ready.set_value(bound.error().text());
    address_ = listener.local();
    {
      smtp::Server server(0, "mx test", house,
                          {.admission = admission, .bodies = bodies, .metrics = registry, .logger = *log_});
      server_ = &server;
      ready.set_value("");
      reactor_->run(server.serve(listener));
    }
    frames_left_ = reactor::task_frames_alive();
    std::unique_lock lock(mutex_);
    served_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return leave_; });
  }

  std::unique_ptr<log::Logger> log_;
  std::thread thread_;
  reactor::Reactor* reactor_ = nullptr;
  smtp::Server* server_ = nullptr;
  std::size_t frames_left_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool served_ = false, leave_ = false;
};

}  // namespace postern::test
