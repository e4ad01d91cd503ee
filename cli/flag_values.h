#ifndef CLI_FLAG_VALUES_H_
#define CLI_FLAG_VALUES_H_

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "vmm/config/vm_config.h"

// The values that flags take. Each error is a reason without the flag's name.

namespace annulus::cli {

// The reason "TEXT" is not WHAT, in quotes and printable.
absl::Status NotA(absl::string_view text, absl::string_view what);

// "4".
absl::StatusOr<uint32_t> ParseCount(absl::string_view text);
absl::StatusOr<uint64_t> ParseNumber(absl::string_view text);

// Bytes from "536870912", "524288K", "512M", "2G", "1T", also "512MiB": powers
// of 1024, upper or lower case.
absl::StatusOr<uint64_t> ParseSize(absl::string_view text);

// Makes a setter for FlagSet::AddValue() out of one of the parsers here.
template <typename Value>
auto Parsed(std::optional<Value>& target,
            absl::StatusOr<Value> (*parse)(absl::string_view)) {
  return [&target, parse](absl::string_view text) {
    absl::StatusOr<Value> parsed = parse(text);
    if (!parsed.ok()) return parsed.status();
    target = *std::move(parsed);
    return absl::OkStatus();
  };
}

// "on" or "off".
absl::Status ParseSwitch(absl::string_view text, bool& on);

// "0,1,5". At most 1024 entries.
absl::StatusOr<std::vector<uint32_t>> ParseCpuList(absl::string_view text);

// "stdio", "null" or "file:PATH".
absl::StatusOr<ConsoleConfig> ParseConsole(absl::string_view text);

// The switch of `virtio` that is called so there; null if there is none.
bool* VirtioFeatureNamed(absl::string_view name, VirtioConfig& virtio);

// The names of those switches.
std::vector<absl::string_view> VirtioFeatureNames();

}  // namespace annulus::cli

#endif  // CLI_FLAG_VALUES_H_
