#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "gateway/config/checks.h"
#include "gateway/config/values.h"

namespace postern::config {
namespace {

constexpr std::string_view kSection = "filter.profile";
constexpr std::size_t kSubjectTagOctetsMax = 64;

/// What a header field can hold without encoding, and a line has room for.
bool is_subject_tag(std::string_view tag) {
  return tag.size() <= kSubjectTagOctetsMax &&
         std::ranges::all_of(tag, [](char c) { return c >= ' ' && c < 0x7f; });
}

class ProfileChecks {
 public:
  ProfileChecks(Config& config, const Places& places, Report& report)
      : config_(config), places_(places), report_(report) {}

  void run() {
    const FilterConfig& filter = config_.filter;
    if (!is_subject_tag(filter.subject_tag))
      report_.problem(places_.line("filter", 0, "subject_tag"), "filter.subject_tag", kTagRule());
    if (filter.discard_score > 0 && filter.discard_score < filter.tag_score)
      report_.problem(
          places_.line("filter", 0, "discard_score"), "filter.discard_score",
          fmt::format("discard_score ({}) is below tag_score ({})", filter.discard_score, filter.tag_score));
    for (std::size_t i = 0; i < config_.filter.profiles.size(); ++i) {
      inherit(i);
      check_scores(i);
      check_recipients(i);
    }
  }

 private:
  static std::string kTagRule() {
    return fmt::format("expected at most {} printable ASCII characters", kSubjectTagOctetsMax);
  }
  void problem(std::size_t index, std::string_view key, std::string what,
               std::uint64_t element = Places::kWhole) {
    report_.problem(places_.line(kSection, index, key, element), key_name(kSection, true, index, key),
                    std::move(what));
  }

  void inherit(std::size_t index) {
    const FilterConfig& filter = config_.filter;
    ProfileConfig& profile = config_.filter.profiles[index];
    const auto take = [&](std::string_view key, auto& value, const auto& from) {
      if (!places_.given(kSection, index, key)) value = from;
    };
    take("tag_score", profile.tag_score, filter.tag_score);
    take("quarantine_score", profile.quarantine_score, filter.quarantine_score);
    take("reject_score", profile.reject_score, filter.reject_score);
    take("discard_score", profile.discard_score, filter.discard_score);
    take("quarantine", profile.quarantine, filter.quarantine);
    take("subject_tag", profile.subject_tag, filter.subject_tag);
  }

  void check_scores(std::size_t index) {
    const ProfileConfig& profile = config_.filter.profiles[index];
    const auto said_of = [&](std::string_view first, std::string_view second) {
      return places_.given(kSection, index, first) ? first : second;
    };
    if (profile.tag_score > profile.quarantine_score)
      problem(index, said_of("tag_score", "quarantine_score"),
              fmt::format("tag_score ({}) is above quarantine_score ({})", profile.tag_score,
                          profile.quarantine_score));
    if (profile.quarantine_score > profile.reject_score)
      problem(index, said_of("quarantine_score", "reject_score"),
              fmt::format("quarantine_score ({}) is above reject_score ({})", profile.quarantine_score,
                          profile.reject_score));
    if (profile.discard_score > 0 && profile.discard_score < profile.tag_score)
      problem(index, said_of("discard_score", "tag_score"),
              fmt::format("discard_score ({}) is below tag_score ({})", profile.discard_score,
                          profile.tag_score));
    if (!is_subject_tag(profile.subject_tag)) problem(index, "subject_tag", kTagRule());
  }

  /// One recipient, one profile.
  void check_recipients(std::size_t index) {
    const ProfileConfig& profile = config_.filter.profiles[index];
    for (std::size_t i = 0; i < profile.recipients.size(); ++i) {
      const auto [found, is_new] = claimed_.try_emplace(profile.recipients[i], profile.name);
      if (!is_new)
        problem(
            index, "recipients",
            fmt::format("{} is in profile {} already", shown(profile.recipients[i]), shown(found->second)),
            i);
    }
  }

  Config& config_;
  const Places& places_;
  Report& report_;
  std::map<std::string, std::string> claimed_;
};

}  // namespace

void check_profiles(Config& config, const Places& places, Report& report) {
  ProfileChecks(config, places, report).run();
}

}  // namespace postern::config
