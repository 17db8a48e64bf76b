#include "gateway/control/exit_codes.h"

#include <gtest/gtest.h>
#include <sysexits.h>

#include <cerrno>

namespace postern::control {
namespace {

TEST(ExitCodes, AreThoseOfSysexits) {
  EXPECT_EQ(kUsage, EX_USAGE);
  EXPECT_EQ(kBadData, EX_DATAERR);
  EXPECT_EQ(kNoInput, EX_NOINPUT);
  EXPECT_EQ(kUnavailable, EX_UNAVAILABLE);
  EXPECT_EQ(kInternal, EX_SOFTWARE);
  EXPECT_EQ(kSystem, EX_OSERR);
  EXPECT_EQ(kCannotCreate, EX_CANTCREAT);
  EXPECT_EQ(kIo, EX_IOERR);
  EXPECT_EQ(kTemporary, EX_TEMPFAIL);
  EXPECT_EQ(kPermission, EX_NOPERM);
  EXPECT_EQ(kConfig, EX_CONFIG);
}

TEST(ExitCodes, TemporaryStoreTroubleIsTemporary) {
  using storage::Code;
  for (const Code code : {Code::locked, Code::no_space, Code::stalled, Code::stopping})
    EXPECT_EQ(exit_code(code), kTemporary);
  for (const Code code : {Code::io, Code::corrupt}) EXPECT_EQ(exit_code(code), kIo);
  EXPECT_EQ(exit_code(Code::not_found), kNoInput);
  EXPECT_EQ(exit_code(Code::newer_format), kBadData);
}

TEST(ExitCodes, BindFailuresTellTheirKind) {
  const auto code = [](int number) { return exit_code(reactor::Error::from_errno(number, "bind")); };
  EXPECT_EQ(code(EADDRINUSE), kUnavailable);
  EXPECT_EQ(code(EADDRNOTAVAIL), kUnavailable);
  EXPECT_EQ(code(EACCES), kPermission);
  EXPECT_EQ(code(ENOENT), kCannotCreate);
  EXPECT_EQ(code(ENOMEM), kSystem);
}

}  // namespace
}  // namespace postern::control
