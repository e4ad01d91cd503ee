#ifndef CLI_CONTROL_TEXT_H_
#define CLI_CONTROL_TEXT_H_

#include <string>

#include "proto/control.pb.h"

namespace annulus::cli {

// What `annulus ctl` prints for people: printable, whatever was sent.

// "name: vm\nstate: running\n...".
std::string StatusText(const proto::ControlStatus& status);

// One line, with its line break: "2026-01-02T03:04:05.678Z net0 link up".
std::string EventLine(const proto::ControlEvent& event);

// "guest poweroff", perhaps with more behind it.
std::string ExitText(const proto::ControlEvent& event);

}  // namespace annulus::cli

#endif  // CLI_CONTROL_TEXT_H_
