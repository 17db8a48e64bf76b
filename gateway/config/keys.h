#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "gateway/config/schema.h"

namespace postern::config {

// The words that the tables of keys are written in: for schema.cc and filter_schema.cc only.

template <typename T>
struct OwnerOf;
template <typename Owner, typename Member>
struct OwnerOf<Member Owner::*> {
  using type = Owner;
};

/// The slot of an ordinary member.
template <auto Member>
Slot slot(void* section) {
  return &(static_cast<typename OwnerOf<decltype(Member)>::type*>(section)->*Member);
}

inline constexpr std::int64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::int64_t kMaxOctets = 1LL << 50;  // a petabyte: whatever is larger is a typing error

constexpr Rule range(std::int64_t min, std::int64_t max) {
  return {.min = min, .max = max};
}
constexpr Rule octets(std::int64_t min) {
  return range(min, kMaxOctets);
}
constexpr Rule seconds() {
  return range(1, 86'400);
}
constexpr Rule scores() {
  return range(-1000, 1000);
}
constexpr Rule one_of(std::span<const std::string_view> choices, std::span<const Refusal> refusals = {}) {
  return {.choices = choices, .refusals = refusals};
}
constexpr Rule required(Shape shape) {
  return {.shape = shape, .required = true};
}
constexpr Rule optional(Shape shape) {
  return {.shape = shape, .may_be_empty = true};
}
constexpr Rule shaped(Shape shape) {
  return {.shape = shape};
}

/// [name]; the members lead from Config to the section's struct.
template <auto... Members>
constexpr Section one(std::string_view name, std::span<const Key> keys, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .keys = keys,
          .repeated = false,
          .count = [](const Config&) -> std::size_t { return 1; },
          .at = [](Config& config, std::size_t) -> void* { return &(config.*....*Members); },
          .append = nullptr};
}

/// [[name]].
template <auto List>
constexpr Section many(std::string_view name, std::span<const Key> keys, std::string_view doc) {
  return {.name = name,
          .doc = doc,
          .keys = keys,
          .repeated = true,
          .count = [](const Config& config) { return (config.*List).size(); },
          .at = [](Config& config, std::size_t index) -> void* { return &(config.*List)[index]; },
          .append = [](Config& config) -> void* { return &(config.*List).emplace_back(); }};
}

/// [filter] and what is inside it. Static.
std::span<const Section> filter_sections();

}  // namespace postern::config
