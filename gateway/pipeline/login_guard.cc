#include "gateway/pipeline/login_guard.h"

#include <algorithm>

namespace postern::pipeline {
namespace {

/// An IPv4 address, or the /64 that one customer has.
std::string network_key(const filters::Ip& ip) {
  if (!ip.is_v6()) return "ip " + ip.text();
  return "ip " + std::string(ip.octets().substr(0, 8));
}

std::string account_key(std::string_view account) {
  return "account " + std::string(account);
}

}  // namespace

std::uint32_t LoginGuard::count(const Table& table, const std::string& key, std::chrono::seconds length,
                                Time now) {
  const auto found = table.find(key);
  return found == table.end() || now - found->second.begin >= length ? 0 : found->second.count;
}

void LoginGuard::add(Table& table, const std::string& key, std::chrono::seconds length, Time now) {
  if (table.size() >= kEntriesMax) {
    std::erase_if(table, [&](const auto& entry) { return now - entry.second.begin >= length; });
    if (table.size() >= kEntriesMax) table.clear();
  }
  Window& window = table[key];
  if (window.count == 0 || now - window.begin >= length) window = {.begin = now, .count = 0};
  ++window.count;
}

bool LoginGuard::is_throttled(const filters::Ip& client, std::string_view account, std::uint32_t failures_max,
                              Time now) {
  const std::scoped_lock lock(mutex_);
  return count(failures_, network_key(client), kFailureWindow, now) >= failures_max ||
         (!account.empty() && count(failures_, account_key(account), kFailureWindow, now) >= failures_max);
}

void LoginGuard::failed(const filters::Ip& client, std::string_view account, Time now) {
  const std::scoped_lock lock(mutex_);
  add(failures_, network_key(client), kFailureWindow, now);
  if (!account.empty()) add(failures_, account_key(account), kFailureWindow, now);
}

void LoginGuard::succeeded(std::string_view account) {
  const std::scoped_lock lock(mutex_);
  failures_.erase(account_key(account));
}

bool LoginGuard::take_recipient(std::string_view account, std::uint32_t per_hour_max, Time now) {
  const std::scoped_lock lock(mutex_);
  const std::string key = account_key(account);
  if (count(recipients_, key, kRecipientWindow, now) >= per_hour_max) return false;
  add(recipients_, key, kRecipientWindow, now);
  return true;
}

bool LoginGuard::begin_check() {
  const std::scoped_lock lock(mutex_);
  if (checks_ >= kChecksMax) return false;
  ++checks_;
  return true;
}

void LoginGuard::end_check() {
  const std::scoped_lock lock(mutex_);
  --checks_;
}

}  // namespace postern::pipeline
