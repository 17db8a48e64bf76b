#include "bench/load/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <string_view>
#include <vector>

#include "bench/load/report.h"

namespace postern::load {
namespace {

constexpr double kWidth = 900, kHeight = 260, kLeft = 70, kRight = 10, kTop = 30, kBottom = 30;
constexpr int kGridLines = 4;
constexpr std::size_t kPointsMax = 2000;  // a longer run is drawn more coarsely

struct Line {
  std::string_view name, colour;
  std::vector<double> values;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// One, two or five times a power of ten, at least the value.
double round_up(double value) {
  double step = 1e-6;
  for (;; step *= 10)
    for (const double factor : {1.0, 2.0, 5.0})
      if (step * factor >= value) return step * factor;
}

std::string chart(std::string_view title, std::span<const Line> lines) {
  double highest = 0;
  std::size_t count = 1;
  for (const Line& line : lines) {
    count = std::max(count, line.values.size());
    for (const double value : line.values) highest = std::max(highest, value);
  }
  const double top = round_up(std::max(highest, 1e-6));
  const double width = kWidth - kLeft - kRight, height = kHeight - kTop - kBottom;
  const auto x = [&](std::size_t i) {
    return kLeft + (count == 1 ? 0 : width * static_cast<double>(i) / static_cast<double>(count - 1));
  };
  const auto y = [&](double value) { return kTop + height * (1 - value / top); };

  std::string svg =
      fmt::format("<svg viewBox=\"0 0 {} {}\" width=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n",
                  kWidth, kHeight, kWidth);
  svg += fmt::format("<text x=\"{}\" y=\"16\" font-weight=\"bold\">{}</text>\n", kLeft, escaped(title));
  for (int i = 0; i <= kGridLines; ++i) {
    const double value = top * i / kGridLines;
    svg += fmt::format(
        "<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{:g}</text>\n",
        kLeft, y(value), kWidth - kRight, kLeft - 6, y(value) + 4, value);
  }
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\">0 s</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} s</text>\n", kLeft,
      kHeight - 10, kWidth - kRight, kHeight - 10, count - 1);
  const std::size_t step = (count + kPointsMax - 1) / kPointsMax;
  double name_at = kWidth - kRight;
  for (const Line& line : lines) {
    std::string points;
    for (std::size_t i = 0; i < line.values.size(); i += step)
      points += fmt::format("{:.1f},{:.1f} ", x(i), y(line.values[i]));
    svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\" points=\"{}\"/>\n",
                       line.colour, points);
    svg += fmt::format("<text x=\"{}\" y=\"16\" text-anchor=\"end\" fill=\"{}\">{}</text>\n", name_at,
                       line.colour, line.name);
    name_at -= 120;
  }
  return svg + "</svg>\n";
}

}  // namespace

std::string page_of(const Options& options, const RunResult& result) {
  Line accepted{.name = "accepted", .colour = "#1668b0", .values = {}};
  Line mean{.name = "mean", .colour = "#1668b0", .values = {}};
  Line worst{.name = "worst", .colour = "#c0392b", .values = {}};
  for (const Second& second : result.tally.timeline) {
    const double count = static_cast<double>(second.accepted);
    accepted.values.push_back(count);
    mean.values.push_back(second.accepted == 0 ? 0 : static_cast<double>(second.sum.count()) / 1e6 / count);
    worst.values.push_back(static_cast<double>(second.worst.count()) / 1e6);
  }
  const Line throughput[] = {std::move(accepted)};
  const Line latency[] = {std::move(worst), std::move(mean)};
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>postern_load: {}</title>\n"
      "<body style=\"margin:2em;max-width:60em\">\n{}{}<pre>{}</pre>\n</body></html>\n",
      escaped(options.target_text), chart("messages accepted in each second", throughput),
      chart("latency of messages, ms, by the second of their end", latency),
      escaped(table_of(options, result)));
}

std::expected<void, std::string> write_plot(const std::string& path, const Options& options,
                                            const RunResult& result) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << page_of(options, result);
  file.close();
  if (!file) return std::unexpected(fmt::format("{}: cannot be written", path));
  return {};
}

}  // namespace postern::load
