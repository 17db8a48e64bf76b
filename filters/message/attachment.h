#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "filters/message/content.h"

namespace postern::filters {

/// What a part is by its first octets, whatever it says it is.
enum class Magic : std::uint8_t {
  unknown,
  executable,
  zip,
  ole,
  pdf,
  rar,
  seven_zip,
  gzip,
  cabinet,
  iso,
  rtf,
  html,
  svg,
  image,
  script,
  shortcut
};
std::string_view name_of(Magic magic);

/// What is known of a part that a reader would save or open: by its name, its declared type and its octets. Nothing is unpacked.
struct AttachmentFacts {
  static constexpr std::size_t kEntriesMax = 1000;           ///< of a ZIP archive, listed
  static constexpr std::size_t kLookedOctetsMax = 8U << 20;  ///< searched for signs of macros and scripts

  std::string extension;  ///< of the file name, lower case, without the dot; only ASCII letters and digits
  Magic magic = Magic::unknown;
  bool executable = false;        ///< by name or by octets: runs on somebody's machine when opened
  bool double_extension = false;  ///< "invoice.pdf.exe", or blanks that push the real extension out of sight
  bool direction_override =
      false;  ///< a character in the name that turns the direction of writing (U+202A to U+202E, U+2066 to U+2069)
  bool archive = false;
  bool encrypted = false;            ///< an archive with an entry that takes a password
  bool archived_executable = false;  ///< an archive with an entry whose name says executable
  bool macros = false;               ///< an Office document with a VBA project
  bool active = false;               ///< HTML or SVG with script, PDF with JavaScript or a launch action
  bool mismatch =
      false;  ///< the octets are an executable or an archive and the name or type says text, image or PDF
};

AttachmentFacts look_at_attachment(const ContentPart& part);

/// Whether a file of this extension runs, or has the system run something, when it is opened.
bool is_executable_extension(std::string_view extension);

/// Whether the part is rather a file than something that is read in place.
bool is_attachment(const ContentPart& part);

}  // namespace postern::filters
