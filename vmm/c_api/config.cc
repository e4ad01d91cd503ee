#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "vmm/c_api.h"
#include "vmm/c_api/guard.h"
#include "vmm/c_api/handles.h"
#include "vmm/vmm.h"

namespace {

using annulus::c_api::Guard;
using annulus::c_api::NullArgument;

absl::StatusOr<annulus::VmConfig> Parse(const char* text, size_t size,
                                        annulus_format format) {
  if (text == nullptr) {
    if (size != 0) return NullArgument("text");
    return annulus::VmConfig();
  }
  if (format != ANNULUS_FORMAT_TEXT && format != ANNULUS_FORMAT_JSON) {
    return absl::InvalidArgumentError(
        absl::StrCat("format: ", format, " is no annulus_format"));
  }
  return annulus::ParseVmConfig(absl::string_view(text, size),
                                format == ANNULUS_FORMAT_JSON
                                    ? annulus::ConfigFormat::kJson
                                    : annulus::ConfigFormat::kTextProto,
                                "config");
}

// Sets a field by `set`, which gets the VmConfig.
template <typename Set>
annulus_code Change(annulus_config* config, annulus_error** error,
                    Set set) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (config == nullptr) return NullArgument("config");
    return set(config->config);
  });
}

annulus_code ChangeText(annulus_config* config, annulus_error** error,
                        absl::string_view name, const char* value,
                        std::string& (*field)(annulus::VmConfig&)) noexcept {
  return Change(config, error, [&](annulus::VmConfig& c) -> absl::Status {
    if (value == nullptr) return NullArgument(name);
    field(c) = value;
    return absl::OkStatus();
  });
}

}  // namespace

extern "C" {

annulus_code annulus_config_parse(const char* text, size_t size,
                                  annulus_format format,
                                  annulus_config** config,
                                  annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (config == nullptr) return NullArgument("config");
    *config = nullptr;
    ANNULUS_ASSIGN_OR_RETURN(annulus::VmConfig parsed,
                             Parse(text, size, format));
    *config = new annulus_config{std::move(parsed)};
    return absl::OkStatus();
  });
}

void annulus_config_free(annulus_config* config) noexcept { delete config; }

annulus_code annulus_config_set_name(annulus_config* config, const char* name,
                                     annulus_error** error) noexcept {
  return ChangeText(
      config, error, "name", name,
      [](annulus::VmConfig& c) -> std::string& { return c.name; });
}

annulus_code annulus_config_set_kernel(annulus_config* config, const char* path,
                                       annulus_error** error) noexcept {
  return ChangeText(
      config, error, "path", path,
      [](annulus::VmConfig& c) -> std::string& { return c.boot.kernel; });
}

annulus_code annulus_config_set_initrd(annulus_config* config, const char* path,
                                       annulus_error** error) noexcept {
  return ChangeText(
      config, error, "path", path,
      [](annulus::VmConfig& c) -> std::string& { return c.boot.initrd; });
}

annulus_code annulus_config_set_cmdline(annulus_config* config,
                                        const char* cmdline,
                                        annulus_error** error) noexcept {
  return ChangeText(
      config, error, "cmdline", cmdline,
      [](annulus::VmConfig& c) -> std::string& { return c.boot.cmdline; });
}

annulus_code annulus_config_set_memory_bytes(annulus_config* config,
                                             uint64_t bytes,
                                             annulus_error** error) noexcept {
  return Change(config, error, [&](annulus::VmConfig& c) {
    c.memory.size_bytes = bytes;
    return absl::OkStatus();
  });
}

annulus_code annulus_config_set_cpus(annulus_config* config, uint32_t count,
                                     annulus_error** error) noexcept {
  return Change(config, error, [&](annulus::VmConfig& c) {
    c.cpu.count = count;
    return absl::OkStatus();
  });
}

annulus_code annulus_config_validate(const annulus_config* config,
                                     annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (config == nullptr) return NullArgument("config");
    return annulus::ValidateVmConfig(config->config);
  });
}

annulus_code annulus_config_text(const annulus_config* config, char** text,
                                 annulus_error** error) noexcept {
  return Guard(error, [&]() -> absl::Status {
    if (text == nullptr) return NullArgument("text");
    *text = nullptr;
    if (config == nullptr) return NullArgument("config");
    *text = ::strdup(annulus::FormatVmConfig(config->config).c_str());
    if (*text == nullptr) return absl::ResourceExhaustedError("no memory");
    return absl::OkStatus();
  });
}

}  // extern "C"
