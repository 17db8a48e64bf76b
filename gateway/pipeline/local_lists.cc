#include "gateway/pipeline/local_lists.h"

#include <algorithm>
#include <utility>

#include "filters/envelope.h"
#include "gateway/config/values.h"

namespace postern::pipeline {
namespace {

constexpr std::string_view kNullPath = "<>";

void append_lower(std::string& out, std::string_view text) {
  for (const char c : text) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
}

std::string ascii(std::string_view domain) {
  return config::ascii_domain(domain).value_or(std::string(domain));
}

/// An entry or an address in the spelling that two writings of it share.
std::string key_of(std::string_view text) {
  if (text == kNullPath) return std::string(text);
  std::string key;
  if (text.starts_with("@.")) {
    key = "@.";
    return key.append(ascii(text.substr(2)));
  }
  append_lower(key, filters::local_part_of(text));
  const bool has_domain = text.find('@') != std::string_view::npos;
  if (has_domain) key.append(1, '@').append(ascii(filters::domain_of(text)));
  return key;
}

}  // namespace

LocalLists::LocalLists(const config::LocalList& allow, const config::LocalList& block) {
  // The first of two equal entries stays, so the allowing one does.
  add(allow, filters::ListKind::allow);
  add(block, filters::ListKind::block);
  for (Prefixes* prefixes : {&v4_, &v6_}) std::ranges::sort(*prefixes, std::ranges::greater(), &Prefix::bits);
  client_files_ = !allow.client_files.empty() || !block.client_files.empty();
  sender_files_ = !allow.sender_files.empty() || !block.sender_files.empty();
  recipient_files_ = !allow.recipient_files.empty() || !block.recipient_files.empty();
}

std::expected<void, std::string> LocalLists::read_files(const config::LocalList& allow,
                                                        const config::LocalList& block) {
  if (!client_files_ && !sender_files_ && !recipient_files_) return {};
  stamps_ = lists::stamps(allow, block);  // before they are read: what changes meanwhile is read again
  auto read = lists::FileLists::read(allow, block);
  if (!read) return std::unexpected(std::move(read.error()));
  files_->set(std::move(*read));
  return {};
}

void LocalLists::add(const config::LocalList& list, filters::ListKind kind) {
  add_networks(list.clients, kind, true, v4_);
  add_networks(list.clients, kind, false, v6_);
  add_addresses(list.senders, kind, senders_);
  add_addresses(list.recipients, kind, recipients_);
}

void LocalLists::add_networks(const std::vector<filters::Network>& networks, filters::ListKind kind, bool v4,
                              Prefixes& to) {
  for (const filters::Network& network : networks) {
    if (network.address().is_v4() != v4) continue;
    auto prefix = std::ranges::find(to, network.bits(), &Prefix::bits);
    if (prefix == to.end()) prefix = to.insert(to.end(), Prefix{.bits = network.bits()});
    prefix->networks.try_emplace(network.address(), Listed{.kind = kind, .entry = network.text()});
  }
}

void LocalLists::add_addresses(const std::vector<std::string>& entries, filters::ListKind kind,
                               Addresses& to) {
  for (const std::string& entry : entries)
    to.try_emplace(key_of(entry), Listed{.kind = kind, .entry = entry});
}

const LocalLists::Listed* LocalLists::find_client(std::string_view text) const {
  const auto ip = filters::Ip::parse(text);
  if (!ip) return nullptr;
  for (const Prefix& prefix : ip->is_v4() ? v4_ : v6_) {
    const auto found = prefix.networks.find(ip->masked(prefix.bits));
    if (found != prefix.networks.end()) return &found->second;
  }
  return nullptr;
}

const LocalLists::Listed* LocalLists::find_address(const Addresses& addresses, std::string_view address) {
  if (addresses.empty()) return nullptr;
  const auto look_up = [&](const std::string& key) {
    const auto found = addresses.find(key);
    return found == addresses.end() ? nullptr : &found->second;
  };
  if (address.empty()) return look_up(std::string(kNullPath));
  const std::string key = key_of(address);
  if (const Listed* found = look_up(key)) return found;

  const std::size_t at = key.rfind('@');
  if (at == std::string::npos) return nullptr;  // <Postmaster>
  if (const Listed* found = look_up(key.substr(at))) return found;
  std::string parent;
  for (std::size_t dot = key.find('.', at); dot != std::string::npos; dot = key.find('.', dot + 1)) {
    parent = "@";
    parent.append(key, dot);  // "@.example" of "a@mail.example"
    if (const Listed* found = look_up(parent)) return found;
  }
  return nullptr;
}

filters::Answer LocalLists::answer(const filters::Question& question) const {
  const Listed* found = nullptr;
  switch (question.kind) {
    case filters::QuestionKind::client_list:
      found = find_client(question.name);
      break;
    case filters::QuestionKind::sender_list:
      found = find_address(senders_, question.name);
      break;
    case filters::QuestionKind::recipient_list:
      found = find_address(recipients_, question.name);
      break;
    default:
      break;
  }
  const auto filed = files_->get()->find(question);
  filters::Answer answer;
  if (found == nullptr && !filed) return answer;  // no_data
  bool by_file = found == nullptr;
  if (found != nullptr && filed) {
    const unsigned mine = lists::rank_of(found->entry), other = lists::rank_of(filed->entry);
    const bool allows = filed->kind == filters::ListKind::allow && found->kind == filters::ListKind::block;
    by_file = other > mine || (other == mine && allows);
  }
  answer.status = filters::AnswerStatus::data;
  answer.records.push_back(by_file ? filters::list_record(filed->kind, filed->entry)
                                   : filters::list_record(found->kind, found->entry));
  return answer;
}

}  // namespace postern::pipeline
