#include "gateway/pipeline/credentials.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

namespace postern::pipeline {
namespace {

constexpr std::size_t kServerSecretOctets = 32;

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), end + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

std::expected<std::shared_ptr<const Credentials>, std::string> Credentials::load(
    const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return parse({}, file.string());
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::unexpected(fmt::format("{}: cannot be read", file.string()));
  if (std::filesystem::file_size(file, error) > kFileOctetsMax || error)
    return std::unexpected(fmt::format("{}: is larger than 64 MiB", file.string()));
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return parse(text, file.string());
}

std::expected<std::shared_ptr<const Credentials>, std::string> Credentials::parse(std::string_view text,
                                                                                  std::string_view file) {
  auto made = std::make_shared<Credentials>();
  made->server_secret_.resize(kServerSecretOctets);
  if (RAND_bytes(reinterpret_cast<unsigned char*>(made->server_secret_.data()), kServerSecretOctets) != 1)
    return std::unexpected("OpenSSL has no random octets");
  for (unsigned number = 1; !text.empty(); ++number) {
    std::string_view line = take_line(text);
    const std::string_view address = take_word(line);
    if (address.empty() || address.starts_with('#')) continue;
    const std::string_view scrypt = take_word(line), scram = take_word(line);
    Credential credential{.scrypt = std::string(scrypt), .scram = smtp::sasl::parse_scram(scram)};
    if (!smtp::sasl::is_scrypt(scrypt) || (!scram.empty() && !credential.scram) || !take_word(line).empty())
      return std::unexpected(fmt::format("{}:{}: is no line of `postern account passwd`", file, number));
    if (!made->by_address_.emplace(lowered(address), std::move(credential)).second)
      return std::unexpected(fmt::format("{}:{}: the account has a line already", file, number));
  }
  return made;
}

const Credential* Credentials::find(std::string_view address) const {
  const auto found = by_address_.find(lowered(address));
  return found == by_address_.end() ? nullptr : &found->second;
}

std::string Credentials::replaced(std::string_view text, std::string_view address, std::string_view line) {
  const std::string wanted = lowered(address);
  std::string out;
  while (!text.empty()) {
    const std::string_view whole = take_line(text);
    std::string_view rest = whole;
    if (lowered(take_word(rest)) != wanted) out.append(whole).append("\n");
  }
  if (!line.empty()) out.append(line).append("\n");
  return out;
}

}  // namespace postern::pipeline
