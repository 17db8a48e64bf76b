#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/smtp/client/outbound.h"

namespace postern::delivery::report {

/// RFC 3464 §2.3.3.
enum class Action : std::uint8_t { failed, delayed, delivered, relayed, expanded };
std::string_view to_string(Action action);

/// One recipient a report is about.
struct Subject {
  std::string address;  ///< the one that was tried
  std::string orcpt;    ///< "rfc822;address" as RCPT gave it, decoded; empty: none
  Action action = Action::failed;
  smtp::client::RecipientResult result;  ///< the last word
  std::string remote_host;               ///< name of the next hop; empty: none was reached
  std::optional<std::chrono::sys_seconds> last_attempt;
  std::optional<std::chrono::sys_seconds> will_retry_until;  ///< for delayed
};

/// The words of a report that the postmaster may change. {host}, {sender}, {arrival}, {until} and {postmaster} are filled in; any
/// other brace stands for itself.
struct Texts {
  std::string failure_subject = "Your message could not be delivered";
  std::string delay_subject = "Your message is delayed";
  std::string success_subject = "Your message was delivered";
  std::string failure =
      "This is the mail system at {host}.\n\nYour message of {arrival} could not be delivered to everybody. "
      "What follows is for "
      "whom, and why. Nobody listed here has received it.";
  std::string delay =
      "This is the mail system at {host}.\n\nYour message of {arrival} has not been delivered to everybody "
      "yet. You need not do "
      "anything: it is tried again until {until}.";
  std::string success =
      "This is the mail system at {host}.\n\nAs you asked, here is what became of your message of {arrival}.";
  std::string closing = "If you need help, write to {postmaster} and attach this message.";
};

/// Everything that goes into one report: one message, one sender, any number of its recipients, all for the same action class.
struct Order {
  std::string reporting_host;  ///< our name
  std::string postmaster;      ///< an address
  std::string report_id;       ///< unique: makes the Message-ID and the boundary
  std::string sender;          ///< the return path of the message
  std::string envid;           ///< decoded; empty: none
  smtp::DsnReturn ret = smtp::DsnReturn::unspecified;
  std::chrono::sys_seconds arrival, now;
  std::vector<Subject> subjects;
  std::string_view head, content;                            ///< the message reported about
  std::size_t returned_octets_max = std::size_t{50} * 1024;  ///< a longer message is returned as its header
  Texts texts;
};

/// A report ready for the queue: to `Order::sender`, from the null path.
struct Written {
  std::string message;
  bool eight_bit = false;  ///< to go with BODY=8BITMIME
  bool smtputf8 = false;   ///< RFC 6533: addresses in it are UTF-8
};

/// Whether anybody may be told about this recipient: RFC 3461 §4.1, §5.2. Never about a message from the null path, which is how reports
/// are sent.
bool wanted(std::string_view sender, std::uint8_t notify, Action action);

/// multipart/report (RFC 6522) with a text for people, message/delivery-status (RFC 3464), and the message or its header as RET
/// and RFC 3461 §4.3 have it. None for the null sender, for a sender that is no address, or without recipients. Every line ends in CRLF; octets
/// of strangers cannot begin a field or end a part.
std::optional<Written> write(const Order& order);

}  // namespace postern::delivery::report
