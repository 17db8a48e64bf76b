#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/envelope.h"
#include "filters/message/attachment.h"
#include "filters/message/content.h"
#include "filters/rules/rule.h"
#include "filters/rules/text_shape.h"

namespace postern::filters::rules {

/// A name that strangers like to borrow, and the domain it belongs to.
struct ProtectedName {
  std::string name;    ///< as shown, for evidence
  std::string folded;  ///< skeleton()
  std::string domain;  ///< lower case; its subdomains may use the name as well
};

/// One URL of the message, taken apart.
struct UrlReading {
  std::string_view url;
  std::string host;    ///< normal form
  std::string domain;  ///< registrable
  bool address = false, userinfo = false, odd_port = false, encoded_host = false;
};

/// What rules look at in one message, prepared once: texts folded, URLs and attachments taken apart. Holds views into envelope, analysis
/// and content, which must outlive it and must not move. Immutable; linear in the message.
class Reading {
 public:
  static constexpr std::size_t kBodyOctetsMax = 4U << 20;     ///< of the folded body
  static constexpr std::size_t kRawOctetsMax = 4U << 20;      ///< of all text parts together
  static constexpr std::size_t kMessageOctetsMax = 1U << 20;  ///< of the octets as they came
  static constexpr std::size_t kValueOctetsMax =
      64U << 10;                                   ///< of one header field; of the header block 16 times that
  static constexpr std::size_t kFieldsMax = 1000;  ///< fields looked at for one subject

  Reading(const Envelope& envelope, const Analysis& analysis, const Content& content,
          const std::vector<ProtectedName>& names);
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  const Envelope& envelope() const { return envelope_; }
  const Analysis& analysis() const { return analysis_; }
  const Content& content() const { return content_; }

  const std::string& body() const { return body_; }
  const std::string& hidden() const { return hidden_; }
  /// Text parts, decoded.
  const std::vector<std::string_view>& raw_texts() const { return raw_texts_; }
  const std::vector<UrlReading>& urls() const { return urls_; }
  struct File {
    const ContentPart* part;
    AttachmentFacts facts;
  };
  const std::vector<File>& files() const { return files_; }
  /// The values of a short subject (headers, envelope, attachments), in order; none where it does not occur.
  std::vector<std::string> values(const Subject& subject) const;
  /// How many values there are.
  std::size_t count(const Subject& subject) const;

  const TextShape& body_shape() const { return body_shape_; }
  const TextShape& subject_shape() const { return subject_shape_; }
  /// The first mailbox of From, its domain in normal form; "" when there is none.
  const std::string& from_domain() const { return from_domain_; }
  const std::string& from_name() const { return from_name_; }
  std::string from_address() const;
  /// The protected name that From shows and has no right to; null: none.
  const ProtectedName* impersonated() const { return impersonated_; }
  /// Links whose visible text names a registrable domain other than the one they lead to.
  std::size_t mismatched_links() const { return mismatched_links_; }

 private:
  void read_from(const std::vector<ProtectedName>& names);
  void read_urls();
  void read_links();
  void read_parts();
  void header_values(std::string_view name, Form form, std::vector<std::string>& out) const;
  std::string header_block() const;

  const Envelope& envelope_;
  const Analysis& analysis_;
  const Content& content_;
  std::string body_, hidden_;
  std::vector<std::string_view> raw_texts_;
  std::vector<UrlReading> urls_;
  std::vector<File> files_;
  TextShape body_shape_, subject_shape_, hidden_shape_;
  std::string from_domain_, from_name_;
  const ProtectedName* impersonated_ = nullptr;
  std::size_t mismatched_links_ = 0;
};

}  // namespace postern::filters::rules
