#include "filters/message/attachment.h"

#include <algorithm>
#include <iterator>

#include "filters/message/content_field.h"

namespace postern::filters {
namespace {

constexpr std::string_view kExecutableExtensions[] = {
    "exe", "scr", "pif", "bat", "cmd",  "vbs",  "vbe", "js",   "jse", "wsf", "wsh",
    "hta", "lnk", "msi", "msp", "ps1",  "jar",  "cpl", "reg",  "chm", "scf", "inf",
    "dll", "xll", "iqy", "url", "appx", "msix", "vhd", "vhdx", "img", "iso", "application"};
constexpr std::string_view kHarmlessExtensions[] = {
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "jpg", "jpeg", "png",
    "gif", "htm", "html", "rtf", "csv",  "zip", "mp3",  "mp4", "wav", "bmp",  "tif"};
constexpr std::string_view kArchiveExtensions[] = {"zip", "rar", "7z",  "gz",  "tgz", "cab",
                                                   "iso", "img", "ace", "arj", "xz",  "bz2"};

struct MagicRow {
  std::string_view octets;
  Magic magic;
};
constexpr MagicRow kMagics[] = {
    {"MZ", Magic::executable},
    {"\x7f"
     "ELF",
     Magic::executable},
    {"\xcf\xfa\xed\xfe", Magic::executable},
    {"PK\x03\x04", Magic::zip},
    {"PK\x05\x06", Magic::zip},
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Magic::ole},
    {"%PDF-", Magic::pdf},
    {"Rar!\x1a\x07", Magic::rar},
    {"7z\xbc\xaf\x27\x1c", Magic::seven_zip},
    {"\x1f\x8b", Magic::gzip},
    {"MSCF", Magic::cabinet},
    {"{\\rtf", Magic::rtf},
    {"\x89PNG\r\n", Magic::image},
    {"GIF8", Magic::image},
    {"\xff\xd8\xff", Magic::image},
    {"#!", Magic::script},
    {"L\0\0\0\x01\x14\x02\0", Magic::shortcut},
};
constexpr std::size_t kIsoMark = 0x8001;    // "CD001" of ISO 9660 §8.1
constexpr std::size_t kMarkupReach = 1024;  // where a document says that it is HTML or SVG

template <std::size_t N>
bool is_one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::ranges::find(words, word) != std::end(words);
}

std::string_view extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

std::string cleaned(std::string_view extension) {
  std::string out;
  for (const char c : to_lower(extension.substr(0, 32)))
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  return out;
}

Magic magic_of(std::string_view octets) {
  for (const MagicRow& row : kMagics)
    if (octets.starts_with(row.octets)) {
      // "MZ" alone also begins ordinary text: a program's header says where the next one is (octet 60).
      if (row.octets == "MZ" && octets.size() < 64) continue;
      return row.magic;
    }
  if (octets.size() > kIsoMark + 5 && octets.substr(kIsoMark, 5) == "CD001") return Magic::iso;
  const std::string start = to_lower(octets.substr(0, kMarkupReach));
  const std::size_t first = start.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string::npos || start[first] != '<') return Magic::unknown;
  if (start.find("<svg") != std::string::npos) return Magic::svg;
  if (start.find("<html") != std::string::npos || start.find("<!doctype html") != std::string::npos ||
      start.find("<script") != std::string::npos || start.find("<body") != std::string::npos)
    return Magic::html;
  return Magic::unknown;
}

unsigned little_endian(std::string_view octets, std::size_t at, std::size_t count) {
  unsigned value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(octets[at + i]);
  return value;
}

/// The entries of a ZIP archive by their central directory (APPNOTE 4.3.12), without unpacking.
void list_zip(std::string_view octets, AttachmentFacts& facts) {
  constexpr std::string_view kEntry = "PK\x01\x02";
  constexpr std::size_t kHeaderOctets = 46;
  std::size_t at = octets.find(kEntry);
  for (std::size_t count = 0; at != std::string_view::npos && count < AttachmentFacts::kEntriesMax; ++count) {
    if (octets.size() - at < kHeaderOctets) return;
    if ((little_endian(octets, at + 8, 2) & 1U) != 0) facts.encrypted = true;
    const std::size_t name_octets = little_endian(octets, at + 28, 2);
    const std::string_view name = octets.substr(at + kHeaderOctets, name_octets);
    if (is_executable_extension(cleaned(extension_of(name)))) facts.archived_executable = true;
    if (name.find("vbaProject.bin") != std::string_view::npos) facts.macros = true;
    const std::size_t next = at + kHeaderOctets + name_octets + little_endian(octets, at + 30, 2) +
                             little_endian(octets, at + 32, 2);
    if (next >= octets.size() || !octets.substr(next).starts_with(kEntry)) return;
    at = next;
  }
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(
      words, [text](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

/// "_VBA_PROJECT" in UTF-16LE, as a directory entry of an OLE file has it.
constexpr std::string_view kOleMacros("_\0V\0B\0A\0_\0P\0R\0O\0J\0E\0C\0T\0", 24);

void look_inside(std::string_view octets, AttachmentFacts& facts) {
  octets = octets.substr(0, AttachmentFacts::kLookedOctetsMax);
  switch (facts.magic) {
    case Magic::zip:
      list_zip(octets, facts);
      break;
    case Magic::ole:
      facts.macros = octets.find(kOleMacros) != std::string_view::npos;
      break;
    case Magic::pdf:
      facts.active = contains_any(octets, {"/JavaScript", "/JS(", "/JS (", "/Launch"});
      break;
    case Magic::html:
    case Magic::svg: {
      const std::string text = to_lower(octets);
      facts.active = contains_any(text, {"<script", "javascript:", "onload=", "onerror=", "<foreignobject"});
      break;
    }
    default:
      break;
  }
}

}  // namespace

std::string_view name_of(Magic magic) {
  constexpr std::string_view kNames[] = {"unknown", "executable", "zip",     "ole",     "pdf", "rar",
                                         "7z",      "gzip",       "cabinet", "iso",     "rtf", "html",
                                         "svg",     "image",      "script",  "shortcut"};
  return kNames[static_cast<std::size_t>(magic)];
}

bool is_executable_extension(std::string_view extension) {
  return is_one_of(extension, kExecutableExtensions);
}

bool is_attachment(const ContentPart& part) {
  if (part.is_message) return false;
  return part.disposition == "attachment" || !part.filename.empty() ||
         !(part.type.starts_with("text/") || part.type.starts_with("multipart/") ||
           part.type.starts_with("message/"));
}

AttachmentFacts look_at_attachment(const ContentPart& part) {
  AttachmentFacts facts;
  const std::string_view name = part.filename;
  facts.extension = cleaned(extension_of(name));
  facts.magic = magic_of(part.octets);
  facts.executable = is_executable_extension(facts.extension) || facts.magic == Magic::executable ||
                     facts.magic == Magic::shortcut;
  if (is_executable_extension(facts.extension)) {
    std::string_view stem = name.substr(0, name.rfind('.'));
    const bool blanks = stem.find("     ") != std::string_view::npos;
    while (stem.ends_with(' ')) stem.remove_suffix(1);
    facts.double_extension = blanks || is_one_of(cleaned(extension_of(stem)), kHarmlessExtensions);
  }
  for (std::size_t at = name.find('\xe2'); at != std::string_view::npos && at + 2 < name.size();
       at = name.find('\xe2', at + 1)) {
    const auto second = static_cast<unsigned char>(name[at + 1]),
               third = static_cast<unsigned char>(name[at + 2]);
    facts.direction_override |= (second == 0x80 && third >= 0xAA && third <= 0xAE) ||
                                (second == 0x81 && third >= 0xA6 && third <= 0xA9);
  }
  const bool packed = facts.magic == Magic::zip || facts.magic == Magic::rar ||
                      facts.magic == Magic::seven_zip || facts.magic == Magic::gzip ||
                      facts.magic == Magic::cabinet || facts.magic == Magic::iso;
  facts.archive = packed || is_one_of(facts.extension, kArchiveExtensions);
  look_inside(part.octets, facts);
  const bool says_harmless = part.type.starts_with("image/") || part.type == "text/plain" ||
                             part.type == "application/pdf" || facts.extension == "pdf" ||
                             facts.extension == "jpg" || facts.extension == "jpeg" ||
                             facts.extension == "png" || facts.extension == "gif" || facts.extension == "txt";
  facts.mismatch =
      says_harmless && (facts.magic == Magic::executable || packed || facts.magic == Magic::shortcut);
  return facts;
}

}  // namespace postern::filters
