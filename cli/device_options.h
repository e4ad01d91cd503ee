#ifndef CLI_DEVICE_OPTIONS_H_
#define CLI_DEVICE_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "cli/flag_values.h"
#include "vmm/config/vm_config.h"

// What the flags of devices have in common, such as "pci,cid=3,packed=off":
// options with commas between, which are words, or names with values. A kind
// of device has a table of DeviceOption. Each error is a reason without the
// flag's name.

namespace annulus::cli {

// What is between two commas.
struct OptionPart {
  absl::string_view text;
  absl::string_view name;  // In front of the first '=', or all of it.
  absl::string_view value;
  bool has_value = false;  // There is a '='.
};
std::vector<OptionPart> SplitOptions(absl::string_view text);

template <typename Config>
struct DeviceOption {
  absl::string_view name;
  absl::Status (*set)(absl::string_view value, Config& config);
};

// What `set` may be, for a field of the configuration.
template <auto field, typename Config>
absl::Status SetCount(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.*field, ParseCount(value));
  return absl::OkStatus();
}
template <auto field, typename Config>
absl::Status SetNumber(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.*field, ParseNumber(value));
  return absl::OkStatus();
}
template <auto field, typename Config>
absl::Status SetSize(absl::string_view value, Config& config) {
  ANNULUS_ASSIGN_OR_RETURN(config.*field, ParseSize(value));
  return absl::OkStatus();
}
template <auto field, typename Config>
absl::Status SetText(absl::string_view value, Config& config) {
  if (value.empty()) return NotA(value, "a value");
  config.*field = std::string(value);
  return absl::OkStatus();
}
template <auto field, typename Config>
absl::Status SetSwitch(absl::string_view value, Config& config) {
  return ParseSwitch(value, config.*field);
}

// Sets what `part` says, if that is an option of all devices: pci or mmio, a
// feature of VirtioConfig, and of devices that may be another process's
// vhost-user=SOCKET, vhost-user-fd=N and listen. nullopt: it is another.
std::optional<absl::Status> SetCommonOption(const OptionPart& part,
                                            VirtioConfig& virtio,
                                            VhostUserConfig& vhost_user);

// The names of these.
std::vector<absl::string_view> CommonOptionNames();

// Once all options are set: that they make sense together.
absl::Status CheckCommonOptions(const VhostUserConfig& vhost_user);

// "NAME: REASON" for a status that is not OK.
absl::Status Named(absl::string_view name, const absl::Status& status);

// Why `part` is none of `names`, with the nearest one.
absl::Status UnknownOption(const OptionPart& part,
                           const std::vector<absl::string_view>& names);

// Sets what `part` says, if that is in the table.
template <typename Config>
std::optional<absl::Status> SetTableOption(
    const OptionPart& part, absl::Span<const DeviceOption<Config>> options,
    Config& config) {
  for (const DeviceOption<Config>& option : options) {
    if (option.name != part.name || !part.has_value) continue;
    return Named(part.name, option.set(part.value, config));
  }
  return std::nullopt;
}

template <typename Config>
std::vector<absl::string_view> OptionNames(
    absl::Span<const DeviceOption<Config>> options) {
  std::vector<absl::string_view> names = CommonOptionNames();
  for (const DeviceOption<Config>& option : options) {
    names.push_back(option.name);
  }
  return names;
}

// A device whose options are all common ones or of the table.
template <typename Config>
absl::StatusOr<Config> ParseOptions(
    absl::string_view text, absl::Span<const DeviceOption<Config>> options) {
  Config config;
  for (const OptionPart& part : SplitOptions(text)) {
    std::optional<absl::Status> status =
        SetCommonOption(part, config.virtio, config.vhost_user);
    if (!status.has_value()) status = SetTableOption(part, options, config);
    if (!status.has_value()) status = UnknownOption(part, OptionNames(options));
    ANNULUS_RETURN_IF_ERROR(*status);
  }
  ANNULUS_RETURN_IF_ERROR(CheckCommonOptions(config.vhost_user));
  return config;
}

}  // namespace annulus::cli

#endif  // CLI_DEVICE_OPTIONS_H_
