#include "filters/message/urls.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace postern::filters {
namespace {

struct UrlCase {
  std::string_view name, text;
  std::vector<std::string> urls = {};
};

TEST(FindUrls, FindsWhatReadersClick) {
  const UrlCase cases[] = {
      {.name = "scheme", .text = "see http://a.example/b?c=d#e now", .urls = {"http://a.example/b?c=d#e"}},
      {.name = "upper case", .text = "HTTPS://A.example", .urls = {"HTTPS://A.example"}},
      {.name = "end of a sentence",
       .text = "http://a.example/x. And http://b.example/y, or http://c.example!",
       .urls = {"http://a.example/x", "http://b.example/y", "http://c.example"}},
      {.name = "in brackets",
       .text = "(http://a.example/x) <http://b.example> [http://c.example/] \"http://d.example\"",
       .urls = {"http://a.example/x", "http://b.example", "http://c.example/", "http://d.example"}},
      {.name = "its own brackets", .text = "http://a.example/x_(y)", .urls = {"http://a.example/x_(y)"}},
      {.name = "www",
       .text = "www.a.example/x and www.b.example.",
       .urls = {"http://www.a.example/x", "http://www.b.example"}},
      {.name = "bare host",
       .text = "go to shop.com or pay.info/x?y today",
       .urls = {"http://shop.com", "http://pay.info/x?y"}},
      {.name = "port", .text = "a.com:8080/x", .urls = {"http://a.com:8080/x"}},
      {.name = "no hosts", .text = "readme.md e.g. 3.14 end.Next main.rs 1.2.3.4 a@b.com b.com@x c..com"},
      {.name = "glued to text",
       .text = "URL:http://a.example URL-http://b.example",
       .urls = {"http://a.example", "http://b.example"}},
      {.name = "address", .text = "http://192.0.2.1/x", .urls = {"http://192.0.2.1/x"}},
      {.name = "userinfo",
       .text = "http://bank.example@evil.example/",
       .urls = {"http://bank.example@evil.example/"}},
      {.name = "other script",
       .text = "http://a.example/x\xE3\x80\x82 \xE4\xB8\xADhttp://b.example",
       .urls = {"http://a.example/x", "http://b.example"}},
      {.name = "other scheme",
       .text = "mailto:a@b.com javascript://c.com ftp://d.example/",
       .urls = {"ftp://d.example/"}},
      {.name = "nothing behind the scheme", .text = "http:// http://."},
  };
  for (const UrlCase& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<std::string> urls;
    for (const FoundUrl& found : find_urls(c.text, 100)) urls.push_back(found.url);
    EXPECT_EQ(urls, c.urls);
  }
}

TEST(FindUrls, HasALimit) {
  EXPECT_EQ(find_urls("http://a.example http://b.example http://c.example", 2).size(), 2U);
}

TEST(UrlOfTarget, TakesWebTargetsOnly) {
  EXPECT_EQ(url_of_target("http://a.example/"), "http://a.example/");
  EXPECT_EQ(url_of_target("//a.example/x"), "http://a.example/x");
  EXPECT_EQ(url_of_target("www.a.example"), "http://www.a.example");
  for (const char* none :
       {"", "x.html", "#top", "mailto:a@b.example", "data:text/plain,x", "http:", "javascript:x"})
    EXPECT_EQ(url_of_target(none), "") << none;
}

TEST(UrlList, KeepsEachOnceAndHasALimit) {
  UrlList list;
  list.add("http://b.example");
  list.add("");
  list.add("http://a.example");
  list.add("http://b.example");
  EXPECT_EQ(list.urls(), (std::vector<std::string>{"http://b.example", "http://a.example"}));
  for (std::size_t i = 2; i < UrlList::kUrlsMax; ++i) list.add("http://" + std::to_string(i));
  EXPECT_FALSE(list.truncated());
  list.add("http://one.more");
  EXPECT_TRUE(list.truncated());
  EXPECT_EQ(list.urls().size(), UrlList::kUrlsMax);
}

}  // namespace
}  // namespace postern::filters
