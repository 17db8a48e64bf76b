#include "filters/policy/profile.h"

#include <string>

#include "filters/envelope.h"
#include "filters/idn.h"

namespace postern::filters {
namespace {

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
}

}  // namespace

Profile thresholds_of(const Policy& policy) {
  return {.name = {},
          .reject_score = policy.reject_score,
          .quarantine_score = policy.quarantine_score,
          .tag_score = policy.tag_score,
          .discard_score = policy.discard_score,
          .quarantine = policy.quarantine,
          .subject_tag = policy.subject_tag};
}

std::string profile_key(std::string_view recipient) {
  std::string key;
  const std::size_t at = recipient.rfind('@');
  append_lower(key, recipient.substr(0, at));
  if (at == std::string_view::npos) return key;
  std::string_view domain = recipient.substr(at + 1);
  key.push_back('@');
  if (at == 0 && domain.starts_with('.')) {
    key.push_back('.');
    domain.remove_prefix(1);
  }
  if (const auto ascii = ascii_domain(domain))
    key.append(*ascii);
  else
    append_lower(key, domain);  // an address literal
  return key;
}

const Profile* profile_of(std::string_view recipient, const Policy& policy) {
  if (policy.profile_of.empty()) return nullptr;
  const auto known = [&policy](std::string_view key) -> const Profile* {
    const auto found = policy.profile_of.find(key);
    return found == policy.profile_of.end() ? nullptr : &policy.profiles[found->second];
  };
  const std::string key = profile_key(recipient);
  if (const Profile* profile = known(key)) return profile;
  const std::size_t at = key.rfind('@');
  if (at == std::string::npos) return nullptr;
  if (const Profile* profile = known(std::string_view(key).substr(at))) return profile;
  for (std::size_t dot = key.find('.', at); dot != std::string::npos; dot = key.find('.', dot + 1))
    if (const Profile* profile = known("@" + key.substr(dot))) return profile;
  return nullptr;
}

}  // namespace postern::filters
