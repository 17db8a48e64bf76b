#include "gateway/admin/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>
#include <optional>

#include "gateway/log/log.h"

namespace postern::admin {
namespace {

namespace http = boost::beast::http;

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(unsigned char octet) {
  return octet < 0x20 || octet == 0x7f;
}

/// The path and the query of a request target. False: it is of another form, or an escape in it is wrong.
bool read_target(std::string_view target, Request& request) {
  // RFC 9112 §3.2.2: a server must accept the absolute form; its authority changes nothing here.
  constexpr std::string_view kScheme = "http://";
  if (target.starts_with(kScheme)) {
    target.remove_prefix(kScheme.size());
    const std::size_t slash = target.find_first_of("/?");
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  if (!target.starts_with('/')) return false;
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  if (!percent_decode(target.substr(0, mark), request.path)) return false;
  if (mark == std::string_view::npos) return true;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    auto& [key, value] = request.query.emplace_back();
    if (!percent_decode(pair.substr(0, equals), key)) return false;
    if (equals != std::string_view::npos && !percent_decode(pair.substr(equals + 1), value)) return false;
  }
  return true;
}

RequestReader::Problem problem_of(const boost::system::error_code& error, const ServerLimits& limits) {
  if (error == http::error::body_limit)
    return {.status = 413,
            .sentence = fmt::format("the body is longer than {} octets", limits.body_octets_max)};
  if (error == http::error::bad_version)
    return {.status = 505, .sentence = "the version is neither HTTP/1.1 nor HTTP/1.0"};
  return {.status = 400, .sentence = "not a request of HTTP/1.1: " + error.message()};
}

}  // namespace

bool percent_decode(std::string_view text, std::string& out) {
  out.reserve(out.size() + text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return false;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return false;
    const auto octet = static_cast<unsigned char>(high * 16 + low);
    if (is_control(octet)) return false;  // no name of ours has one, and logs should not either
    out += static_cast<char>(octet);
    i += 2;
  }
  return true;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '@' || (keep_slash && c == '/');
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string_view Request::query_value(std::string_view key) const {
  for (const auto& [name, value] : query)
    if (name == key) return value;
  return {};
}

Response error_response(unsigned status, std::string_view sentence) {
  return {.status = status, .body = "{\"error\": " + log::quoted(sentence) + "}\n"};
}

class RequestReader::Impl {
 public:
  explicit Impl(const ServerLimits& limits) : limits_(limits) { reset(); }

  State feed(std::string_view octets) {
    if (state_ == State::failed) return state_;
    buffer_.append(octets);
    if (state_ == State::more && !header_read_ && !read_header()) return state_;
    while (state_ == State::more && !parser_->is_done() && !buffer_.empty()) {
      boost::system::error_code error;
      const std::size_t used = parser_->put(boost::asio::buffer(buffer_), error);
      buffer_.erase(0, used);
      if (error) return fail(problem_of(error, limits_));
    }
    if (state_ == State::more && parser_->is_done()) state_ = State::ready;
    return state_;
  }

  bool take_continue() {
    if (state_ != State::more || !header_read_ || !expects_continue_) return false;
    expects_continue_ = false;
    return true;
  }

  bool idle() const { return buffer_.empty() && state_ == State::more && !parser_->got_some(); }
  const Problem& problem() const { return problem_; }

  Incoming take() {
    auto message = parser_->release();
    Incoming incoming;
    incoming.request = std::move(request_);
    incoming.head = incoming.request.method == "HEAD";
    if (incoming.head) incoming.request.method = "GET";
    incoming.keep_alive = message.keep_alive();
    incoming.version = message.version();
    incoming.request.body = std::move(message.body());
    reset();
    return incoming;
  }

 private:
  void reset() {
    parser_.emplace();
    parser_->eager(false);  // the header alone first: check_header() comes before any body
    parser_->header_limit(std::numeric_limits<std::uint32_t>::max());  // header_octets() has the limit
    parser_->body_limit(limits_.body_octets_max);
    request_ = {};
    first_line_seen_ = header_read_ = expects_continue_ = false;
    scanned_ = 0;
    state_ = State::more;
  }

  State fail(Problem problem) {
    problem_ = std::move(problem);
    buffer_.clear();
    return state_ = State::failed;
  }

  /// Beast gets the header when it is whole, and nothing but the header, so that what is found out does not depend on how it
  /// was cut. False: not yet, or failed.
  bool read_header() {
    const std::optional<std::size_t> octets = header_octets();
    if (!octets) return false;
    boost::system::error_code error;
    (void)parser_->put(boost::asio::buffer(buffer_.data(), *octets), error);
    buffer_.erase(0, *octets);
    if (!parser_->is_header_done() && !error) error = http::error::need_more;
    if (error) {
      (void)fail(problem_of(error, limits_));
      return false;
    }
    header_read_ = true;
    return check_header();
  }

  /// Where the header ends, once it does. A first line that is none is refused at once: somebody talks another protocol and
  /// waits for an answer.
  std::optional<std::size_t> header_octets() {
    constexpr std::string_view kEnd = "\r\n\r\n";
    const std::string_view seen = std::string_view(buffer_).substr(0, limits_.header_octets_max);
    if (!first_line_seen_) {
      const std::size_t line = seen.find('\n', scanned_);
      first_line_seen_ = line != std::string_view::npos;
      if (first_line_seen_ && seen.substr(0, line).find(" HTTP/") == std::string_view::npos) {
        (void)fail({.status = 400, .sentence = "the first line is not one of HTTP"});
        return std::nullopt;
      }
    }
    const std::size_t end = seen.find(kEnd, scanned_);
    if (end != std::string_view::npos) return end + kEnd.size();
    scanned_ = seen.size() - std::min(seen.size(), kEnd.size() - 1);
    if (buffer_.size() > limits_.header_octets_max)
      (void)fail({.status = 431,
                  .sentence = fmt::format("the header is longer than {} octets", limits_.header_octets_max)});
    return std::nullopt;
  }

  /// What Beast leaves to its user.
  bool check_header() {
    const auto& message = parser_->get();
    if (message.version() != 10 && message.version() != 11) {
      (void)fail({.status = 505, .sentence = "the version is neither HTTP/1.1 nor HTTP/1.0"});
      return false;
    }
    // RFC 9112 §3.2: exactly one Host in HTTP/1.1.
    const std::size_t hosts = message.count(http::field::host);
    if (hosts > 1 || (hosts == 0 && message.version() == 11)) {
      (void)fail({.status = 400, .sentence = "a request of HTTP/1.1 has one Host field"});
      return false;
    }
    // Bodies have a length here. Chunks would bring a second way to say where a request ends.
    if (message.count(http::field::transfer_encoding) != 0) {
      (void)fail({.status = 411, .sentence = "a body needs a Content-Length"});
      return false;
    }
    request_.method = view(message.method_string());
    if (!read_target(view(message.target()), request_)) {
      (void)fail({.status = 400, .sentence = "the target is no path, or an escape in it is wrong"});
      return false;
    }
    if (message.count(http::field::expect) != 0) {
      if (!http::token_list{message[http::field::expect]}.exists("100-continue")) {
        (void)fail({.status = 417, .sentence = "only 100-continue may be expected"});  // RFC 9110 §10.1.1
        return false;
      }
      expects_continue_ = message.version() == 11;
    }
    return true;
  }

  ServerLimits limits_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string buffer_;
  Request request_;
  Problem problem_;
  State state_ = State::more;
  std::size_t scanned_ = 0;  // neither the header nor its first line ends before here
  bool first_line_seen_ = false, header_read_ = false, expects_continue_ = false;
};

RequestReader::RequestReader(const ServerLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;

RequestReader::State RequestReader::feed(std::string_view octets) {
  return impl_->feed(octets);
}
bool RequestReader::take_continue() {
  return impl_->take_continue();
}
bool RequestReader::idle() const {
  return impl_->idle();
}
RequestReader::Incoming RequestReader::take() {
  return impl_->take();
}
const RequestReader::Problem& RequestReader::problem() const {
  return impl_->problem();
}

std::string response_head(const Response& response, unsigned version, bool keep_alive) {
  http::response<http::empty_body> message;
  message.version(version);
  message.result(response.status);
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  if (!response.allow.empty()) message.set(http::field::allow, response.allow);
  message.content_length(response.body.size());
  message.keep_alive(keep_alive);
  http::serializer<false, http::empty_body> serializer(message);
  std::string out;
  while (!serializer.is_done()) {
    boost::system::error_code error;
    std::size_t octets = 0;
    serializer.next(error, [&](boost::system::error_code&, const auto& buffers) {
      for (auto piece = boost::asio::buffer_sequence_begin(buffers);
           piece != boost::asio::buffer_sequence_end(buffers); ++piece) {
        const boost::asio::const_buffer buffer(*piece);
        out.append(static_cast<const char*>(buffer.data()), buffer.size());
        octets += buffer.size();
      }
    });
    if (error) break;
    serializer.consume(octets);
  }
  return out;
}

}  // namespace postern::admin
