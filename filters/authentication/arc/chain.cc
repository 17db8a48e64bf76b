#include "filters/authentication/arc/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "filters/authentication/dkim/key_record.h"
#include "filters/authentication/dkim/tag_list.h"
#include "filters/dns.h"

namespace postern::filters::arc {
namespace {

using dkim::Canonical;
using dkim::same_word;
using dkim::TagList;
using dkim::trimmed;

std::optional<unsigned> instance_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

/// i= of ARC-Authentication-Results stands first and alone (§4.1.1); what is behind is no tag list.
std::optional<unsigned> results_instance(std::string_view value, std::string_view* rest = nullptr) {
  const std::size_t end = value.find(';');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view tag = trimmed(value.substr(0, end));
  const std::size_t equals = tag.find('=');
  if (equals == std::string_view::npos || trimmed(tag.substr(0, equals)) != "i") return std::nullopt;
  if (rest != nullptr) *rest = trimmed(value.substr(end + 1));
  return instance_number(trimmed(tag.substr(equals + 1)));
}

std::optional<unsigned> tagged_instance(std::string_view value) {
  const auto tags = TagList::parse(value);
  if (!tags) return std::nullopt;
  const auto instance = tags->find("i");
  return instance ? instance_number(*instance) : std::nullopt;
}

}  // namespace

std::string_view to_string(Status status) {
  return status == Status::none ? "none" : status == Status::pass ? "pass" : "fail";
}

Chain::Chain(const Analysis& analysis, dkim::BodyHashes& hashes) : analysis_(analysis), hashes_(hashes) {
  collect();
}

bool Chain::fail(std::string reason) {
  if (problem_.empty()) problem_ = std::move(reason);
  return false;
}

/// §5.2, steps 1 to 3: complete sets, numbered without a gap.
void Chain::collect() {
  std::vector<Set> sets(kInstancesMax + 1);
  unsigned highest = 0;
  for (const HeaderField& field : analysis_.fields()) {
    const HeaderField* Set::* member = nullptr;
    if (same_word(field.name, "ARC-Seal")) member = &Set::seal;
    if (same_word(field.name, "ARC-Message-Signature")) member = &Set::message;
    if (same_word(field.name, "ARC-Authentication-Results")) member = &Set::results;
    if (member == nullptr) continue;
    const auto instance =
        member == &Set::results ? results_instance(field.value) : tagged_instance(field.value);
    if (!instance || *instance > kInstancesMax) {
      fail(fmt::format("{} has no instance of 1 to {}", field.name, kInstancesMax));
      return;
    }
    highest = std::max(highest, *instance);
    if (sets[*instance].*member != nullptr) {
      fail(fmt::format("{} twice for instance {}", field.name, *instance));
      return;
    }
    sets[*instance].*member = &field;
  }
  for (unsigned instance = 1; instance <= highest; ++instance) {
    Set& set = sets[instance];
    if (set.seal == nullptr || set.message == nullptr || set.results == nullptr) {
      fail(fmt::format("instance {} is not complete", instance));
      return;
    }
    if (!read(instance, set)) return;
  }
  sets.resize(highest + 1);
  sets.erase(sets.begin());
  sets_ = std::move(sets);
}

bool Chain::read(unsigned instance, Set& set) {
  const auto seal = TagList::parse(set.seal->value);
  const auto message = TagList::parse(set.message->value);
  if (!seal || !message) return fail(fmt::format("instance {}: broken tags", instance));
  set.validation = std::string(seal->find("cv").value_or(""));
  // §5.2 step 3: "fail" is final; the first seal has nothing to validate.
  if (!same_word(set.validation, instance == 1 ? "none" : "pass")) {
    return fail(fmt::format("instance {} says cv={}", instance, set.validation));
  }
  if (seal->find("h")) return fail(fmt::format("instance {}: the seal has h= (§4.1.3)", instance));
  dkim::Signature& sealed = set.seal_signature;
  const auto read_seal = dkim::read_seal_tags(*seal, sealed);
  if (!read_seal) return fail(fmt::format("instance {}: the seal: {}", instance, read_seal.error()));
  const auto read_message = dkim::read_common_tags(*message, set.message_signature, false);
  if (!read_message)
    return fail(fmt::format("instance {}: the signature: {}", instance, read_message.error()));
  if (std::ranges::any_of(set.message_signature.names,
                          [](std::string_view name) { return same_word(name, "ARC-Seal"); })) {
    return fail(fmt::format("instance {}: the signature covers a seal (§4.1.2)", instance));
  }
  const auto message_key = dkim::key_name(set.message_signature.selector, set.message_signature.domain);
  const auto seal_key = dkim::key_name(sealed.selector, sealed.domain);
  if (!message_key || !seal_key) return fail(fmt::format("instance {}: s= and d= make no name", instance));
  set.message_key = *message_key;
  set.seal_key = *seal_key;
  return true;
}

/// §5.2 step 4. The reason it does not hold, or "".
std::string Chain::check_message_signature(const Set& set, const Answer& answer,
                                           std::chrono::sys_seconds now) {
  const dkim::Signature& signature = set.message_signature;
  if (answer.records.empty()) return "no key for the message signature";
  const auto key = dkim::parse_key_record(answer.records.front());
  if (!key) return key.error();
  if (key->type != signature.key_type) return "key type and algorithm differ";
  if (signature.expires_at && now.time_since_epoch().count() > 0 &&
      static_cast<std::uint64_t>(now.time_since_epoch().count()) > *signature.expires_at) {
    return "the message signature has expired";
  }
  const auto& hash = hashes_.get(signature.body, crypto::Algorithm::sha256, signature.length);
  if (hash.digest != signature.body_hash) return "body hash did not verify";
  std::string text;
  for (const HeaderField* field : dkim::select_fields(analysis_.fields(), signature.names))
    dkim::append_field(text, *field, signature.header);
  dkim::append_signature_field(text, *set.message, signature.header);
  if (!key->key->verify(crypto::digest(crypto::Algorithm::sha256, text), signature.value))
    return "message signature did not verify";
  return {};
}

/// §5.1.1: a seal covers the sets up to its own, relaxed, in order of instance.
std::string Chain::check_seal(std::size_t index, const Answer& answer) {
  const Set& set = sets_[index];
  if (answer.records.empty()) return fmt::format("no key for seal {}", index + 1);
  const auto key = dkim::parse_key_record(answer.records.front());
  if (!key) return fmt::format("seal {}: {}", index + 1, key.error());
  if (key->type != set.seal_signature.key_type)
    return fmt::format("seal {}: key type and algorithm differ", index + 1);
  std::string text;
  for (std::size_t i = 0; i <= index; ++i) {
    dkim::append_field(text, *sets_[i].results, Canonical::relaxed);
    dkim::append_field(text, *sets_[i].message, Canonical::relaxed);
    if (i < index) dkim::append_field(text, *sets_[i].seal, Canonical::relaxed);
  }
  dkim::append_signature_field(text, *set.seal, Canonical::relaxed);
  if (!key->key->verify(crypto::digest(crypto::Algorithm::sha256, text), set.seal_signature.value)) {
    return fmt::format("seal {} did not verify", index + 1);
  }
  return {};
}

void Chain::hash_body() {
  if (sets_.empty()) return;
  const dkim::Signature& signature = sets_.back().message_signature;
  (void)hashes_.get(signature.body, crypto::Algorithm::sha256, signature.length);
}

std::optional<ChainResult> Chain::verify(Facts& facts, std::chrono::sys_seconds now) {
  ChainResult result;
  if (!problem_.empty()) {
    result.status = Status::fail;
    result.reason = problem_;
    return result;
  }
  if (sets_.empty()) return result;
  bool pending = false;
  const Answer* message_key = facts.ask(dns::txt(sets_.back().message_key));
  pending |= message_key == nullptr;
  for (const Set& set : sets_) pending |= facts.ask(dns::txt(set.seal_key)) == nullptr;
  if (pending) return std::nullopt;

  for (std::size_t i = 0; i < sets_.size(); ++i) {
    std::string_view rest;
    (void)results_instance(sets_[i].results->value, &rest);
    result.sealers.push_back({.instance = static_cast<unsigned>(i + 1),
                              .domain = sets_[i].seal_signature.domain,
                              .selector = sets_[i].seal_signature.selector,
                              .results = std::string(rest)});
  }
  const auto broken = [&](std::string reason, bool temporary) {
    result.status = Status::fail;
    result.reason = std::move(reason);
    result.temporary = temporary;
    return result;
  };
  if (message_key->failed())
    return broken(fmt::format("key of the message signature: {}", to_string(message_key->status)), true);
  if (!message_problem_) message_problem_ = check_message_signature(sets_.back(), *message_key, now);
  if (!message_problem_->empty()) return broken(*message_problem_, false);
  for (std::size_t i = sets_.size(); i > 0; --i) {  // §5.2 step 6: from the newest
    const Answer* answer = facts.ask(dns::txt(sets_[i - 1].seal_key));
    if (answer->failed())
      return broken(fmt::format("key of seal {}: {}", i, to_string(answer->status)), true);
    if (sets_[i - 1].seal_good.value_or(false)) continue;
    std::string reason = check_seal(i - 1, *answer);
    if (!reason.empty()) return broken(std::move(reason), false);
    sets_[i - 1].seal_good = true;
  }
  result.status = Status::pass;
  return result;
}

}  // namespace postern::filters::arc
