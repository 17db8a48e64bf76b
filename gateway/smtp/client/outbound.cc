#include "gateway/smtp/client/outbound.h"

namespace postern::smtp::client {

std::string_view to_string(AttemptStage stage) {
  switch (stage) {
    case AttemptStage::connect:
      return "connect";
    case AttemptStage::greeting:
      return "greeting";
    case AttemptStage::hello:
      return "hello";
    case AttemptStage::tls:
      return "tls";
    case AttemptStage::auth:
      return "auth";
    case AttemptStage::mail:
      return "mail";
    case AttemptStage::rcpt:
      return "rcpt";
    case AttemptStage::data:
      return "data";
    case AttemptStage::message:
      return "message";
  }
  return "unknown";
}

}  // namespace postern::smtp::client
