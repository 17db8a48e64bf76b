#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::load {

/// The messages to send, as DATA sends them: lines end with CRLF, dots are doubled (RFC 5321 §4.5.2), the final dot
/// is there. Prepared once, then only read, by all cores.
class Corpus {
 public:
  static constexpr std::uint64_t kOctetsMax = std::uint64_t{4}
                                              << 30;  ///< of all messages: they stay in memory
  static constexpr std::size_t kMessageOctetsMax = std::size_t{256} << 20;  ///< a larger file is no message
  static constexpr std::size_t kGeneratedOctetsMin = 512;  ///< the header alone has nearly as many

  /// One message of each size, made up: a header, then lines of words, the same for the same size.
  static Corpus generated(std::span<const std::size_t> sizes);
  /// A file (one message, mbox, or tar of messages) or a folder: a Maildir (its new and cur), or every file below it,
  /// each of which may again be a message, an mbox or a tar. In the order of the names. The error is one sentence.
  static std::expected<Corpus, std::string> load(const std::string& path);

  void add(std::string_view message);
  std::size_t size() const { return wires_.size(); }
  bool empty() const { return wires_.empty(); }
  /// The message of a number, round and round.
  std::string_view wire(std::uint64_t number) const { return wires_[number % wires_.size()]; }
  std::uint64_t octets() const { return octets_; }  ///< of all messages on the wire

 private:
  std::vector<std::string> wires_;
  std::uint64_t octets_ = 0;
};

/// A message as DATA sends it, with the final dot. CRLF, lone LF and lone CR are all line ends.
std::string data_form(std::string_view message);

/// A made-up message of `octets` in all, at least Corpus::kGeneratedOctetsMin.
std::string generated_message(std::size_t octets);

}  // namespace postern::load
