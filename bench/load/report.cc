#include "bench/load/report.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace postern::load {
namespace {

struct Quantile {
  std::string_view name;
  double share;
};
constexpr std::array kQuantiles = {Quantile{"p50", 0.5}, Quantile{"p90", 0.9}, Quantile{"p99", 0.99},
                                   Quantile{"p99.9", 0.999}};

double ms(std::chrono::nanoseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

double per_second(double amount, std::chrono::nanoseconds elapsed) {
  return elapsed.count() > 0 ? amount * 1e9 / static_cast<double>(elapsed.count()) : 0;
}

/// Three digits that mean something, from microseconds to minutes.
std::string shown(std::chrono::nanoseconds duration) {
  const double value = ms(duration);
  return fmt::format("{:.{}f}", value, value < 10 ? 3 : value < 100 ? 2 : 1);
}

std::string_view manner(const Options& options) {
  return options.rate ? "open loop" : "closed loop";
}

void add_incidents(std::string& text, std::string_view title, const Incidents& incidents) {
  if (!incidents.replies().empty()) {
    text += fmt::format("\n{}replies by code\n", title);
    for (const auto& [code, count] : incidents.replies()) text += fmt::format("  {}  {}\n", code, count);
  }
  if (!incidents.errors().empty()) {
    text += fmt::format("\n{}errors by kind\n", title);
    for (const auto& [kind, count] : incidents.errors()) text += fmt::format("  {}  {}\n", kind, count);
  }
}

nlohmann::ordered_json replies_of(const Incidents& incidents) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [code, count] : incidents.replies()) object[std::to_string(code)] = count;
  return object;
}

nlohmann::ordered_json errors_of(const Incidents& incidents) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [kind, count] : incidents.errors()) object[kind] = count;
  return object;
}

}  // namespace

std::string table_of(const Options& options, const RunResult& result) {
  const Tally& tally = result.tally;
  const double seconds = std::chrono::duration<double>(result.elapsed).count();
  std::string text = fmt::format("{}, {}, {} connections, {} cores, {:.2f} s\n", options.target_text,
                                 manner(options), options.connections, options.cores, seconds);
  text += fmt::format("messages   {} accepted, {} refused, {} failed", tally.accepted.get(),
                      tally.refused.get(), tally.failed.get());
  if (tally.unfinished.get() > 0) text += fmt::format(", {} unfinished", tally.unfinished.get());
  if (tally.not_started > 0)
    text += fmt::format("\n           {} of the rate never started: all connections were busy",
                        tally.not_started);
  text += fmt::format("\nthroughput {:.1f} messages/s, {:.0f} octets/s",
                      per_second(static_cast<double>(tally.accepted.get()), result.elapsed),
                      per_second(static_cast<double>(tally.accepted_octets), result.elapsed));
  text += fmt::format("\nrecipients {} accepted, {} refused", tally.recipients_accepted,
                      tally.recipients_refused);
  text += fmt::format("\nconnected  {} times, {} times in vain", tally.connections, tally.connect_failures);
  if (tally.handshakes > 0)
    text +=
        fmt::format("\nTLS        {} handshakes, {} of them resumed", tally.handshakes, tally.resumptions);
  if (options.idle_connections > 0)
    text += fmt::format("\nidle       {} held, {} of them lost", tally.idle_held, tally.idle_lost);
  text += fmt::format("\ngenerator  {:.2f} s of CPU\n", result.cpu_seconds);

  text += fmt::format("\n{:<14} {:>9}", "latency, ms", "count");
  for (const Quantile& quantile : kQuantiles) text += fmt::format(" {:>9}", quantile.name);
  text += fmt::format(" {:>9}\n", "max");
  for (const Stage stage : kStages) {
    const Histogram& histogram = tally.stage(stage);
    if (histogram.count() == 0) continue;
    text += fmt::format("{:<14} {:>9}", to_string(stage), histogram.count());
    for (const Quantile& quantile : kQuantiles)
      text += fmt::format(" {:>9}", shown(histogram.quantile(quantile.share)));
    text += fmt::format(" {:>9}\n", shown(histogram.max()));
  }
  add_incidents(text, "", tally.incidents);
  if (tally.misbehaved.get() > 0) {
    text += fmt::format("\nmisbehaving connections: {}, of which {} were taken a message of\n",
                        tally.misbehaved.get(), tally.misbehaving_accepted);
    for (const Misbehaviour kind : kMisbehaviours)
      text += fmt::format("  {}  {}\n", to_string(kind), tally.misbehaviours[static_cast<std::size_t>(kind)]);
    add_incidents(text, "misbehaving: ", tally.misbehaving_incidents);
  }
  return text;
}

std::string json_of(const Options& options, const RunResult& result) {
  const Tally& tally = result.tally;
  nlohmann::ordered_json report;
  report["target"] = options.target_text;
  report["loop"] = options.rate ? "open" : "closed";
  if (options.rate) report["rate"] = *options.rate;
  report["connections"] = options.connections;
  report["cores"] = options.cores;
  report["elapsed_s"] = std::chrono::duration<double>(result.elapsed).count();
  report["generator_cpu_s"] = result.cpu_seconds;
  report["messages"] = {{"taken", tally.taken.get()},           {"accepted", tally.accepted.get()},
                        {"refused", tally.refused.get()},       {"failed", tally.failed.get()},
                        {"unfinished", tally.unfinished.get()}, {"misbehaved", tally.misbehaved.get()},
                        {"not_started", tally.not_started}};
  report["messages_per_s"] = per_second(static_cast<double>(tally.accepted.get()), result.elapsed);
  report["octets"] = tally.accepted_octets;
  report["octets_per_s"] = per_second(static_cast<double>(tally.accepted_octets), result.elapsed);
  report["recipients"] = {{"accepted", tally.recipients_accepted}, {"refused", tally.recipients_refused}};
  report["connected"] = {{"times", tally.connections},     {"in_vain", tally.connect_failures},
                         {"handshakes", tally.handshakes}, {"resumed", tally.resumptions},
                         {"idle_held", tally.idle_held},   {"idle_lost", tally.idle_lost}};
  nlohmann::ordered_json& latency = report["latency_ms"];
  for (const Stage stage : kStages) {
    const Histogram& histogram = tally.stage(stage);
    nlohmann::ordered_json entry;
    entry["count"] = histogram.count();
    entry["mean"] = histogram.mean_ns() / 1e6;
    for (const Quantile& quantile : kQuantiles)
      entry[std::string(quantile.name)] = ms(histogram.quantile(quantile.share));
    entry["max"] = ms(histogram.max());
    latency[std::string(to_string(stage))] = std::move(entry);
  }
  report["replies"] = replies_of(tally.incidents);
  report["errors"] = errors_of(tally.incidents);
  nlohmann::ordered_json& misbehaving = report["misbehaving"];
  misbehaving["accepted"] = tally.misbehaving_accepted;
  for (const Misbehaviour kind : kMisbehaviours)
    misbehaving["connections"][std::string(to_string(kind))] =
        tally.misbehaviours[static_cast<std::size_t>(kind)];
  misbehaving["replies"] = replies_of(tally.misbehaving_incidents);
  misbehaving["errors"] = errors_of(tally.misbehaving_incidents);
  nlohmann::ordered_json& timeline = report["timeline"];
  timeline = nlohmann::ordered_json::array();
  for (const Second& second : tally.timeline) {
    const double mean = second.accepted == 0 ? 0 : ms(second.sum) / static_cast<double>(second.accepted);
    timeline.push_back({{"accepted", second.accepted},
                        {"octets", second.octets},
                        {"mean_ms", mean},
                        {"max_ms", ms(second.worst)}});
  }
  // Texts from the other side may be no UTF-8.
  return report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace postern::load
