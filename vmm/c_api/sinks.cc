// Log lines, events and threads on their way to functions of C.

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/fd_log_sink.h"
#include "base/log_sink.h"
#include "base/thread_setup.h"
#include "base/unique_fd.h"
#include "vmm/c_api.h"
#include "vmm/c_api/guard.h"
#include "vmm/c_api/handles.h"
#include "vmm/vmm.h"

namespace annulus::c_api {
namespace {

class FunctionLogSink final : public LogSink {
 public:
  FunctionLogSink(annulus_log_function log, void* user)
      : log_(log), user_(user) {}

  void Log(LogSeverity severity, absl::string_view line) override {
    log_(user_, static_cast<annulus_severity>(severity),
         std::string(line).c_str());
  }

 private:
  const annulus_log_function log_;
  void* const user_;
};

class FunctionEventSink final : public VmEventSink {
 public:
  FunctionEventSink(annulus_event_function on_event, void* user)
      : on_event_(on_event), user_(user) {}

  void OnEvent(const VmEvent& event) override {
    annulus_event c_event = {.event = event, .exit = std::nullopt};
    if (event.exit.has_value()) c_event.exit = annulus_exit{*event.exit};
    on_event_(user_, &c_event);
  }

 private:
  const annulus_event_function on_event_;
  void* const user_;
};

class FunctionThreadSetup final : public ThreadSetup {
 public:
  FunctionThreadSetup(annulus_thread_function enter, void* user)
      : enter_(enter), user_(user) {}

  absl::Status EnterThread(ThreadKind kind, absl::string_view name) override {
    const annulus_code code =
        enter_(user_, static_cast<annulus_thread_kind>(kind),
               std::string(name).c_str());
    if (code == ANNULUS_OK) return absl::OkStatus();
    return absl::Status(static_cast<absl::StatusCode>(code),
                        absl::StrCat("the setup of thread ", name, " failed"));
  }

 private:
  const annulus_thread_function enter_;
  void* const user_;
};

}  // namespace
}  // namespace annulus::c_api

using annulus::c_api::Guard;
using annulus::c_api::NullArgument;

extern "C" {

annulus_code annulus_resources_set_log(annulus_resources* resources,
                                       annulus_log_function log, void* user,
                                       annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    if (log == nullptr) return NullArgument("log");
    resources->log =
        std::make_unique<annulus::c_api::FunctionLogSink>(log, user);
    return absl::OkStatus();
  });
}

annulus_code annulus_resources_set_log_file(annulus_resources* resources,
                                            int fd, annulus_severity least,
                                            annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    if (least < ANNULUS_DEBUG || least > ANNULUS_ERROR) {
      return absl::InvalidArgumentError(
          absl::StrCat("least: ", least, " is no annulus_severity"));
    }
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("fd: ", fd));
    }
    if ((flags & O_ACCMODE) == O_RDONLY) {
      return absl::InvalidArgumentError(
          absl::StrCat("fd: ", fd, " is not open for writing"));
    }
    // Memory for it comes before the descriptor is taken. NOLINTNEXTLINE
    resources->log.reset(new annulus::FdLogSink(
        annulus::UniqueFd(fd), static_cast<annulus::LogSeverity>(least)));
    return absl::OkStatus();
  });
}

annulus_code annulus_resources_set_events(annulus_resources* resources,
                                          annulus_event_function on_event,
                                          void* user,
                                          annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    if (on_event == nullptr) return NullArgument("on_event");
    resources->events =
        std::make_unique<annulus::c_api::FunctionEventSink>(on_event, user);
    return absl::OkStatus();
  });
}

annulus_code annulus_resources_set_thread_setup(
    annulus_resources* resources, annulus_thread_function enter, void* user,
    annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (resources == nullptr) return NullArgument("resources");
    if (enter == nullptr) return NullArgument("enter");
    resources->threads =
        std::make_unique<annulus::c_api::FunctionThreadSetup>(enter, user);
    return absl::OkStatus();
  });
}

}  // extern "C"
