#pragma once

#include "gateway/reactor/error.h"
#include "storage/error.h"

namespace postern::control {

/// What the program ends with: the codes of sysexits(3), and when.
enum ExitCode : int {
  kOk = 0,
  kUsage = 64,         ///< the command line is wrong
  kBadData = 65,       ///< the message is none; the store is of a newer format; verify found problems
  kNoInput = 66,       ///< a file, a mailbox or a message that was named is not there
  kUnavailable = 69,   ///< no server runs; an address is in use
  kInternal = 70,      ///< a fault of ours
  kSystem = 71,        ///< the kernel lacks or refuses something we need
  kCannotCreate = 73,  ///< an output, a log file, a socket's folder
  kIo = 74,            ///< reading or writing failed; the store is damaged
  kTemporary = 75,     ///< later it may work: the store is locked, the disk is full, the server is busy
  kPermission = 77,    ///< not with these rights
  kConfig = 78,        ///< the manifest, or something it names, is wrong
};

int exit_code(storage::Code code);
/// Of binding a listener. A Unix socket's folder that is not there is kCannotCreate.
int exit_code(const reactor::Error& error);

}  // namespace postern::control
