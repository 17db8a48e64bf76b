#include "filters/message/attachment.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::filters {
namespace {

ContentPart part(std::string_view name, std::string_view type, std::string_view octets) {
  ContentPart made;
  made.filename = std::string(name);
  made.type = std::string(type);
  made.octets = octets;
  made.disposition = "attachment";
  return made;
}

/// A central directory entry of a ZIP archive (APPNOTE 4.3.12).
std::string zip_entry(std::string_view name, bool encrypted) {
  std::string entry("PK\x01\x02\x14\0\x14\0", 8);
  entry += encrypted ? '\x01' : '\0';
  entry += '\0';
  entry.append(18, 'a');
  entry += static_cast<char>(name.size());
  entry += '\0';
  entry.append(4, '\0');  // no extra, no comment
  entry.append(12, 'b');
  return entry + std::string(name);
}

TEST(Attachment, ByName) {
  const struct {
    std::string_view name;
    bool executable, doubled, turned;
  } cases[] = {
      {"a.pdf", false, false, false},
      {"a.EXE", true, false, false},
      {"a.pdf.exe", true, true, false},
      {"a.v2.exe", true, false, false},
      {"a.pdf            .scr", true, true, false},
      {"a\xe2\x80\xae"
       "fdp.exe",
       true, false, true},
      {"exe", false, false, false},
      {"", false, false, false},
      {"\xe2", false, false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const AttachmentFacts facts = look_at_attachment(part(c.name, "application/octet-stream", "x"));
    EXPECT_EQ(facts.executable, c.executable);
    EXPECT_EQ(facts.double_extension, c.doubled);
    EXPECT_EQ(facts.direction_override, c.turned);
  }
}

TEST(Attachment, ByOctets) {
  const std::string program = "MZ" + std::string(100, 'x');
  EXPECT_EQ(look_at_attachment(part("a.txt", "text/plain", program)).magic, Magic::executable);
  EXPECT_TRUE(look_at_attachment(part("a.txt", "text/plain", program)).mismatch);
  EXPECT_EQ(look_at_attachment(part("a.txt", "text/plain", "MZ is short")).magic, Magic::unknown);
  EXPECT_EQ(look_at_attachment(part("a", "x/y", "  <!DOCTYPE html><p>")).magic, Magic::html);
  EXPECT_TRUE(look_at_attachment(part("a.svg", "image/svg+xml", "<svg><script>x</script>")).active);
  EXPECT_TRUE(look_at_attachment(part("a.pdf", "application/pdf", "%PDF-1.7 /JavaScript (x)")).active);
  EXPECT_FALSE(look_at_attachment(part("a.pdf", "application/pdf", "%PDF-1.7")).active);
}

TEST(Attachment, ArchivesByTheirDirectory) {
  const std::string plain = "PK\x03\x04..." + zip_entry("a.txt", false) + zip_entry("b.exe", false);
  AttachmentFacts facts = look_at_attachment(part("a.zip", "application/zip", plain));
  EXPECT_TRUE(facts.archive);
  EXPECT_TRUE(facts.archived_executable);
  EXPECT_FALSE(facts.encrypted);
  const std::string locked = "PK\x03\x04..." + zip_entry("a.txt", true);
  EXPECT_TRUE(look_at_attachment(part("a.zip", "application/zip", locked)).encrypted);
  const std::string macros = "PK\x03\x04..." + zip_entry("word/vbaProject.bin", false);
  EXPECT_TRUE(look_at_attachment(part("a.docm", "application/zip", macros)).macros);
  for (std::size_t size = 0; size <= plain.size(); ++size)  // cut anywhere
    (void)look_at_attachment(part("a.zip", "application/zip", std::string_view(plain).substr(0, size)));
}

}  // namespace
}  // namespace postern::filters
