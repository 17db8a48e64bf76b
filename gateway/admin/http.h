#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/admin/server.h"

namespace postern::admin {

/// Requests out of octets, however they are cut: feed() until `ready`, take(), feed({}) for what was sent in advance. Holds
/// at most the limits' header and body and the octets of one feed() beyond them. Pure; one connection's.
class RequestReader {
 public:
  enum class State : unsigned char { more, ready, failed };
  /// Why a request was not understood: the status to answer with, and a sentence.
  struct Problem {
    unsigned status = 400;
    std::string sentence;
  };
  struct Incoming {
    Request request;
    bool head = false;        ///< answer without the body
    bool keep_alive = false;  ///< the connection stays
    unsigned version = 11;    ///< 10 or 11
  };

  explicit RequestReader(const ServerLimits& limits);
  ~RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;

  State feed(std::string_view octets);
  /// The client waits for "100 Continue" before it sends the body (RFC 9110 §10.1.1); true once per request.
  bool take_continue();
  /// Nothing of the next request has arrived.
  bool idle() const;
  Incoming take();                 ///< after `ready`
  const Problem& problem() const;  ///< after `failed`; the connection is of no more use then

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The octets in front of the body. Content-Length is the body's even when it is not sent.
std::string response_head(const Response& response, unsigned version, bool keep_alive);

/// Percent-decoding (RFC 3986 §2.1). False: an escape that is none, or one that stands for a control character.
bool percent_decode(std::string_view text, std::string& out);
/// Escapes everything but unreserved characters, '/' and '@'.
std::string percent_encode(std::string_view text, bool keep_slash = false);

}  // namespace postern::admin
