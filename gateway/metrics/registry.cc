#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <variant>

#include "gateway/metrics/metrics.h"

namespace postern::metrics {
namespace {

using Read = std::function<double()>;

struct Series {
  std::string labels;  ///< as exposed, without braces: a="b",c="d"
  std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>, Read> source;
};

struct Family {
  std::string name, help;
  std::string type;
  std::deque<Series> series;                 ///< in the order of registration
  std::map<std::string, Series*> by_labels;  ///< by the labels in the order of their names
};

[[noreturn]] void fault(std::string_view what, std::string_view name) {
  fmt::print(stderr, "metrics: {}: '{}'\n", what, name);
  std::abort();
}

bool is_name(std::string_view name, bool colon_allowed) {
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colon_allowed && c == ':');
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, fits);
}

/// Text format 0.0.4: backslash and line feed are escaped, and in label values the quotation mark.
std::string escaped(std::string_view text, bool in_quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string joined(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!is_name(name, false) || name.starts_with("__")) fault("not a label name", name);
    fmt::format_to(std::back_inserter(out), "{}{}=\"{}\"", out.empty() ? "" : ",", name,
                   escaped(value, true));
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void put_sample(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
                std::string_view value) {
  out.append(name).append(suffix);
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out.append(" ").append(value).append("\n");
}

void put_histogram(std::string& out, std::string_view name, std::string_view labels,
                   const Histogram& histogram) {
  const Histogram::Snapshot snapshot = histogram.snapshot();
  const std::string_view comma = labels.empty() ? "" : ",";
  std::uint64_t cumulative = 0;  // _count is this too, so that it always equals the +Inf bucket
  for (std::size_t i = 0; i < snapshot.counts.size(); ++i) {
    cumulative += snapshot.counts[i];
    const std::string bound = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
    put_sample(out, name, "_bucket", fmt::format("{}{}le=\"{}\"", labels, comma, bound),
               fmt::to_string(cumulative));
  }
  put_sample(out, name, "_sum", labels, number(snapshot.sum));
  put_sample(out, name, "_count", labels, fmt::to_string(cumulative));
}

void put_series(std::string& out, const Family& family, const Series& series) {
  if (const auto* histogram = std::get_if<std::unique_ptr<Histogram>>(&series.source)) {
    put_histogram(out, family.name, series.labels, **histogram);
    return;
  }
  std::string value;
  if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&series.source)) {
    value = fmt::to_string((*counter)->value());
  } else if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&series.source)) {
    value = fmt::to_string((*gauge)->value());
  } else {
    value = number(std::get<Read>(series.source)());
  }
  put_sample(out, family.name, "", series.labels, value);
}

}  // namespace

class Registry::Impl {
 public:
  /// The series of that name and labels, and whether it is new.
  std::pair<Series*, bool> series(std::string_view name, std::string_view help, std::string_view type,
                                  const Labels& labels) {
    Family& family = this->family(name, help, type);
    Labels sorted = labels;
    std::ranges::sort(sorted);
    auto [place, is_new] = family.by_labels.try_emplace(joined(sorted), nullptr);
    if (is_new) place->second = &family.series.emplace_back(Series{.labels = joined(labels), .source = {}});
    return {place->second, is_new};
  }

  /// The object of that name and labels, made when it is new.
  template <typename Metric, typename... Arguments>
  Metric& metric(std::string_view name, std::string_view help, std::string_view type, const Labels& labels,
                 Arguments&&... arguments) {
    const std::lock_guard lock(mutex);
    const auto [found, is_new] = series(name, help, type, labels);
    if (is_new) found->source = std::make_unique<Metric>(std::forward<Arguments>(arguments)...);
    auto* made = std::get_if<std::unique_ptr<Metric>>(&found->source);
    if (made == nullptr) fault("registered both as an object and as a callback", name);
    return **made;
  }

  mutable std::mutex mutex;
  std::deque<Family> families;

 private:
  Family& family(std::string_view name, std::string_view help, std::string_view type) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) {
      if (found->second->type != type) fault("registered as two types", name);
      return *found->second;
    }
    if (!is_name(name, true)) fault("not a metric name", name);
    Family& made = families.emplace_back();
    made.name = name;
    made.help = help;
    made.type = type;
    by_name_.emplace(made.name, &made);
    return made;
  }

  std::map<std::string, Family*, std::less<>> by_name_;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return impl_->metric<Counter>(name, help, "counter", labels);
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return impl_->metric<Gauge>(name, help, "gauge", labels);
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                               const Labels& labels) {
  return impl_->metric<Histogram>(name, help, "histogram", labels, std::move(bounds));
}

void Registry::callback(std::string_view name, std::string_view help, std::string_view type,
                        const Labels& labels, std::function<double()> read) {
  if (type != "counter" && type != "gauge") fault("a callback is a counter or a gauge", name);
  const std::lock_guard lock(impl_->mutex);
  const auto [series, is_new] = impl_->series(name, help, type, labels);
  if (!is_new && !std::holds_alternative<Read>(series->source)) {
    fault("registered both as an object and as a callback", name);
  }
  series->source = std::move(read);
}

std::string Registry::render() const {
  const std::lock_guard lock(impl_->mutex);
  std::string out;
  for (const Family& family : impl_->families) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", family.name,
                   escaped(family.help, false), family.name, family.type);
    for (const Series& series : family.series) put_series(out, family, series);
  }
  return out;
}

}  // namespace postern::metrics
