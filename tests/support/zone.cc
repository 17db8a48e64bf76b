#include "tests/support/zone.h"

#include <algorithm>

#include "filters/dns.h"

namespace postern::support {
namespace {

using filters::Answer;
using filters::AnswerStatus;
using filters::QuestionKind;

constexpr unsigned kAliasesMax = 8;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  while (out.ends_with('.')) out.pop_back();
  return out;
}

/// Characters up to U+00FF become the octet of that number; what lies above stays UTF-8.
std::string octets(const std::string& utf8) {
  std::string out;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    if ((c == 0xc2 || c == 0xc3) && i + 1 < utf8.size()) {
      out += static_cast<char>(((c & 3) << 6) | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
    } else {
      out += utf8[i];
    }
  }
  return out;
}

std::string type_of(QuestionKind kind) {
  switch (kind) {
    case QuestionKind::dns_a:
      return "A";
    case QuestionKind::dns_aaaa:
      return "AAAA";
    case QuestionKind::dns_txt:
      return "TXT";
    case QuestionKind::dns_mx:
      return "MX";
    case QuestionKind::dns_ptr:
      return "PTR";
    default:
      return "";
  }
}

std::string record_text(const std::string& type, const nlohmann::json& value) {
  if (type == "MX" && value.is_array()) {
    const std::string host = lower(value.at(1).get<std::string>());
    return std::to_string(value.at(0).get<int>()) + ' ' + (host.empty() ? "." : host);
  }
  if (value.is_array()) {
    std::string joined;
    for (const auto& part : value) joined += octets(part.get<std::string>());
    return joined;
  }
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  return type == "TXT" || type == "SPF" ? octets(text) : lower(text);
}

std::optional<AnswerStatus> failure(const nlohmann::json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto text = value.get<std::string>();
  if (text == "TIMEOUT") return AnswerStatus::timed_out;
  if (text == "SERVFAIL") return AnswerStatus::servfail;
  if (text == "REFUSED") return AnswerStatus::refused;
  if (text == "BOGUS") return AnswerStatus::bogus;
  return std::nullopt;
}

}  // namespace

Zone::Zone(const nlohmann::json& zone) {
  for (const auto& [key, entries] : zone.items()) {
    Name& name = names_[lower(key)];
    for (const auto& entry : entries.is_array() ? entries : nlohmann::json::array({entries})) {
      if (const auto failed = failure(entry)) {
        name.failures.try_emplace("", *failed);
        continue;
      }
      if (!entry.is_object()) continue;
      for (const auto& [type, value] : entry.items()) {
        if (const auto failed = failure(value)) {
          name.failures.try_emplace(type, *failed);
        } else if (type == "TXT" && value == "NONE") {
          name.records["TXT"];
        } else {
          name.records[type].push_back(record_text(type, value));
        }
      }
    }
    if (name.records.contains("SPF") && !name.records.contains("TXT") && !name.failures.contains("TXT")) {
      name.records["TXT"] = name.records["SPF"];
    }
    const std::string text = lower(key);
    for (std::size_t dot = text.find('.'); dot != std::string::npos; dot = text.find('.', dot + 1)) {
      parents_.insert(text.substr(dot + 1));
    }
  }
}

Answer Zone::look_up(std::string_view name, const std::string& type, unsigned aliases_left) const {
  Answer answer;
  answer.ttl = std::chrono::seconds(300);
  const auto found = names_.find(lower(name));
  if (found == names_.end()) {
    answer.status = parents_.contains(lower(name)) ? AnswerStatus::no_data : AnswerStatus::no_such_name;
    return answer;
  }
  const Name& here = found->second;
  if (const auto failed = here.failures.find(type); failed != here.failures.end()) {
    answer.status = failed->second;
    return answer;
  }
  if (const auto records = here.records.find(type);
      records != here.records.end() && !records->second.empty()) {
    answer.status = AnswerStatus::data;
    answer.records = records->second;
    return answer;
  }
  if (const auto alias = here.records.find("CNAME"); alias != here.records.end()) {
    if (aliases_left == 0) {
      answer.status = AnswerStatus::servfail;
      return answer;
    }
    return look_up(alias->second.front(), type, aliases_left - 1);
  }
  if (const auto failed = here.failures.find(""); failed != here.failures.end()) {
    answer.status = failed->second;
    return answer;
  }
  answer.status = AnswerStatus::no_data;
  return answer;
}

Answer Zone::answer(const filters::Question& question) const {
  const std::string type = type_of(question.kind);
  if (type.empty()) return {.status = AnswerStatus::no_data};
  return look_up(question.name, type, kAliasesMax);
}

std::size_t Zone::answer_all(filters::Facts& facts) const {
  const std::vector<filters::Question> open(facts.questions().begin(), facts.questions().end());
  for (const auto& question : open) facts.answer(question, answer(question));
  return open.size();
}

bool Zone::answer_one(filters::Facts& facts, std::size_t pick) const {
  if (facts.questions().empty()) return false;
  const filters::Question question = facts.questions()[pick % facts.questions().size()];
  facts.answer(question, answer(question));
  return true;
}

}  // namespace postern::support
