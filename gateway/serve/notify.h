#pragma once

#include <string_view>

namespace postern::serve {

/// Tells the service manager, when there is one: lines of sd_notify(3) in one datagram to $NOTIFY_SOCKET. Never waits; that
/// nobody listens is no error.
void notify(std::string_view lines);
/// RELOADING=1 with the time stamp that Type=notify-reload asks for.
void notify_reloading();

}  // namespace postern::serve
