// Anything as a report, and anything as the message and the last word that a report of ours is about: what we write, we read back,
// and nothing of a stranger's becomes a field of it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gateway/delivery/report/read.h"
#include "gateway/delivery/report/reason.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::delivery::report;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)kind_of(input);
  if (const auto report = read(input); report && report->subjects.size() > kSubjectsMax) std::abort();

  Order order;
  order.reporting_host = "mx.test.example";
  order.postmaster = "postmaster@test.example";
  order.report_id = "01abc";
  order.sender = "a@one.example";
  order.envid = input.substr(0, 100);
  order.content = input;
  Subject subject;
  subject.address = "b@two.example";
  subject.orcpt = "rfc822;" + std::string(input.substr(0, 200));
  subject.remote_host = input.substr(0, 60);
  subject.result.code = 550;
  subject.result.enhanced = "5.1.1";
  subject.result.text = input;
  order.subjects = {subject, subject};
  (void)reason_of(subject.result);
  const auto written = write(order);
  if (!written) std::abort();
  const auto back = read(written->message);
  if (!back || back->subjects.size() != 2 || back->reporting_mta != "mx.test.example") std::abort();
  for (const ReadSubject& one : back->subjects) {
    if (one.action != Action::failed || one.status != "5.1.1" || one.final_recipient != "b@two.example")
      std::abort();
  }
  return 0;
}
