#include "filters/message/html_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

HtmlText read(std::string_view html, std::size_t limit = 1U << 20) {
  HtmlReader reader(limit);
  reader.write(html);
  return reader.finish();
}

struct HtmlCase {
  std::string_view name, html, text;
  std::string_view hidden = {};
};

constexpr HtmlCase kHtmlCases[] = {
    {.name = "plain", .html = "a b", .text = "a b"},
    {.name = "blanks are one", .html = "  a \r\n\t b  ", .text = "a b"},
    {.name = "inline elements join", .html = "V<b>ia</b>gra <i> x</i>", .text = "Viagra x"},
    {.name = "blocks end lines", .html = "<p>a</p><div>b<br>c</div>d", .text = "a\nb\nc\nd"},
    {.name = "table", .html = "<table><tr><td>a<td>b</tr><tr><td>c</table>", .text = "a b\nc"},
    {.name = "references",
     .html = "&lt;&amp;&auml;&#65;&#x42;&#X43;&euro;&nbsp;x",
     .text = "<&\xC3\xA4"
             "ABC\xE2\x82\xAC x"},
    {.name = "references without semicolon",
     .html = "&ampx &copy2 &#65x &unknown; & &",
     .text = "&x \xC2\xA9"
             "2 Ax &unknown; & &"},
    {.name = "windows numbers",
     .html = "&#147;&#0;&#1114112;",
     .text = "\xE2\x80\x9C\xEF\xBF\xBD\xEF\xBF\xBD"},
    {.name = "hidden punctuation", .html = "pay&period;example&sol;x&lpar;", .text = "pay.example/x("},
    {.name = "no-break space in octets",
     .html = "a\xC2\xA0"
             "b\xC3\xA0",
     .text = "a b\xC3\xA0"},
    {.name = "script and style",
     .html = "a<script>if (a<b) '</p>'</script>b<STYLE>x</STYLE >c",
     .text = "abc"},
    {.name = "title", .html = "<title>T &amp;</title>x", .text = "x"},
    {.name = "comments",
     .html = "a<!-- b -- > <c> -->d<!---->e<!-->f<!doctype x>g<?php h?>i",
     .text = "adefgi"},
    {.name = "unended comment", .html = "a<!-- b", .text = "a"},
    {.name = "less-than signs", .html = "a < b <3 <", .text = "a < b <3 <"},
    {.name = "quoted greater-than signs", .html = "<a title='>' alt=\">\">x</a>", .text = "x"},
    {.name = "attributes without blanks", .html = "<a href=x>y</a><br/>z", .text = "y\nz"},
    {.name = "pre", .html = "<pre>a\nb</pre>c\nd", .text = "a\nb\nc d"},
    {.name = "display none",
     .html = "a<div style='display : NONE!important'>b<div>c</div>d</div>e",
     .text = "a\ne",
     .hidden = "b\nc\nd"},
    {.name = "font size", .html = "a<span style=\"font-size:0px\">b</span>c", .text = "a c", .hidden = "b"},
    {.name = "visible size", .html = "a<span style=\"font-size:12px\">b</span>c", .text = "abc"},
    {.name = "white on white", .html = "a<font color=#ffffff>b</font>c", .text = "a c", .hidden = "b"},
    {.name = "white on blue", .html = "<td bgcolor=blue><font color=white>b</font></td>", .text = "b"},
    {.name = "same colours",
     .html = "<span style='color:rgb(1, 2,3);background-color:#010203'>b</span>c",
     .text = "c",
     .hidden = "b"},
    {.name = "hidden attribute", .html = "<p hidden>a<p>b", .text = "b", .hidden = "a"},
    {.name = "the end of a block ends what is hidden",
     .html = "<div><span style='display:none'>a</div>b",
     .text = "b",
     .hidden = "a"},
    {.name = "an image hides nothing", .html = "<img style='display:none'>a", .text = "a"},
};

TEST(HtmlReader, GivesTheVisibleText) {
  for (const HtmlCase& c : kHtmlCases) {
    SCOPED_TRACE(c.name);
    HtmlText html = read(c.html);
    EXPECT_EQ(html.text, c.text);
    while (html.hidden.ends_with('\n')) html.hidden.pop_back();
    EXPECT_EQ(html.hidden, c.hidden);
  }
}

TEST(HtmlReader, GivesTheSameAtEverySplit) {
  for (const HtmlCase& c : kHtmlCases) {
    SCOPED_TRACE(c.name);
    const HtmlText whole = read(c.html);
    for (std::size_t split = 0; split <= c.html.size(); ++split) {
      HtmlReader reader(1U << 20);
      reader.write(c.html.substr(0, split));
      reader.write(c.html.substr(split));
      const HtmlText html = reader.finish();
      ASSERT_EQ(html.text, whole.text) << split;
      ASSERT_EQ(html.hidden, whole.hidden) << split;
      ASSERT_EQ(html.tags, whole.tags) << split;
    }
    HtmlReader reader(1U << 20);
    for (const char octet : c.html) reader.write(std::string_view(&octet, 1));
    EXPECT_EQ(reader.finish().text, whole.text);
  }
}

TEST(HtmlReader, FindsReferences) {
  const HtmlText html = read(
      "<base href='http://base.example/'>see <a href=\" http://a.example/?x=1&amp;y=2&copy=3 \">the "
      "<b>link</b></a>"
      "<img src=//i.example/x.png><form action=https://f.example/><input type=PASSWORD></form>"
      "<meta http-equiv=refresh content='0; URL=http://r.example/'><a href='java\nscript:x'>j</a>"
      "<img src='data:image/png;base64,AA'><a onclick=x>");
  ASSERT_EQ(html.references.size(), 6U);
  EXPECT_EQ(html.references[0].target, "http://a.example/?x=1&y=2&copy=3");
  EXPECT_EQ(html.text.substr(html.references[0].position,
                             html.references[0].text_end - html.references[0].position),
            " the link");
  EXPECT_EQ(html.references[1].kind, HtmlReference::Kind::image);
  EXPECT_EQ(html.references[2].kind, HtmlReference::Kind::form);
  EXPECT_EQ(html.references[3].target, "http://r.example/");
  EXPECT_EQ(html.base, "http://base.example/");
  EXPECT_EQ(html.forms, 1U);
  EXPECT_EQ(html.images, 2U);
  EXPECT_EQ(html.password_inputs, 1U);
  EXPECT_TRUE(html.refresh);
  EXPECT_TRUE(html.script_uris);
  EXPECT_TRUE(html.data_uris);
  EXPECT_TRUE(html.event_handlers);
}

TEST(HtmlReader, FindsCharsets) {
  EXPECT_EQ(read("<meta charset=koi8-r>").charset, "koi8-r");
  EXPECT_EQ(read("<META HTTP-EQUIV='Content-Type' content='text/html; charset=big5'>").charset, "big5");
}

TEST(HtmlReader, HasLimits) {
  EXPECT_EQ(read("abcd", 4).text, "abcd");
  EXPECT_FALSE(read("abcd", 4).oddities.has(Oddity::text_limit));
  EXPECT_EQ(read("abcde", 4).text, "abcd");
  EXPECT_TRUE(read("abcde", 4).oddities.has(Oddity::text_limit));
  EXPECT_EQ(read("abc\xC3\xA4", 4).text, "abc");
  const std::string value(HtmlReader::kAttributeOctetsMax, 'x');
  EXPECT_FALSE(read("<a href='" + value + "'>").oddities.has(Oddity::html_limit));
  const HtmlText longer = read("<a href='" + value + "y'>z");
  EXPECT_TRUE(longer.oddities.has(Oddity::html_limit));
  EXPECT_EQ(longer.references.at(0).target, value);
  EXPECT_EQ(longer.text, "z");
  std::string tag = "<a";
  for (std::size_t i = 0; i < HtmlReader::kAttributesMax; ++i) tag += " a";
  EXPECT_FALSE(read(tag + '>').oddities.has(Oddity::html_limit));
  EXPECT_TRUE(read(tag + " href=x>").oddities.has(Oddity::html_limit));
}

}  // namespace
}  // namespace postern::filters
