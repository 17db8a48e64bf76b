#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/pipeline/core.h"
#include "gateway/pipeline/inquiry.h"
#include "gateway/pipeline/login.h"
#include "gateway/pipeline/mail.h"
#include "gateway/smtp/server/handler.h"

namespace postern::pipeline {

/// The house's side of one client's visit: who may speak, who receives, and what becomes of each message. Its
/// core's thread.
class Visit final : public smtp::Visit {
 public:
  /// `core` must outlive it. `submission`: only who has authenticated may send, and may send anywhere.
  Visit(Core& core, const smtp::Arrival& arrival, bool submission = false);
  ~Visit() override;
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  reactor::Task<smtp::Decision> at(smtp::Stage stage, const smtp::VisitFacts& facts) override;
  reactor::Task<std::vector<smtp::Decision>> message(smtp::Transaction transaction,
                                                     const smtp::VisitFacts& facts) override;
  void reset() override;

 private:
  reactor::Task<smtp::Decision> at_connect(const smtp::VisitFacts& facts);
  reactor::Task<smtp::Decision> at_mail(const smtp::VisitFacts& facts);
  reactor::Task<smtp::Decision> at_rcpt(const smtp::VisitFacts& facts);
  reactor::Task<filters::Verdict> judge(filters::Stage stage);
  /// Why a user of ours may not use that sender address, or write to so many; none: they may.
  std::optional<smtp::Reply> sender_refusal(const smtp::Path& path) const;
  const filters::Policy& policy() const { return submission_ ? snapshot_->own_policy : snapshot_->policy; }
  void ask_ahead(filters::Stage stage);
  void forget_envelope();
  void look_at_client(const smtp::VisitFacts& facts);
  smtp::Decision reject(std::string_view stage, smtp::Reply reply, std::string_view reason,
                        std::string_view recipient = {});

  Core& core_;
  smtp::Arrival arrival_;
  std::shared_ptr<const Snapshot> snapshot_;  ///< of the connection until MAIL, then the transaction's
  filters::Envelope envelope_;
  Inquiry inquiry_;  ///< behind envelope_, which it reads
  std::vector<AcceptedAddress> addresses_;
  Timings timings_;
  const bool submission_;
  Login login_;
};

}  // namespace postern::pipeline
