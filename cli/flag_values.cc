#include "cli/flag_values.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/checked_math.h"

namespace annulus::cli {
namespace {

// Digits only: no sign, no blank, unlike absl::SimpleAtoi.
template <typename Number>
bool ParseDigits(absl::string_view text, Number& number) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return absl::SimpleAtoi(text, &number);
}

// log2 of the unit; nullopt if there is no such unit.
std::optional<int> UnitShift(absl::string_view unit) {
  std::string upper = absl::AsciiStrToUpper(unit);
  if (upper.size() == 3 && upper.substr(1) == "IB") upper.resize(1);
  if (upper.empty()) return 0;
  if (upper == "K") return 10;
  if (upper == "M") return 20;
  if (upper == "G") return 30;
  if (upper == "T") return 40;
  return std::nullopt;
}

struct VirtioFeature {
  absl::string_view name;
  bool VirtioConfig::*field;
};

constexpr VirtioFeature kVirtioFeatures[] = {
    {"packed", &VirtioConfig::packed},
    {"event_idx", &VirtioConfig::event_idx},
    {"indirect_desc", &VirtioConfig::indirect_desc},
    {"in_order", &VirtioConfig::in_order},
    {"ring_reset", &VirtioConfig::ring_reset},
    {"notification_data", &VirtioConfig::notification_data},
};

}  // namespace

absl::Status NotA(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text), "\" is not ", what));
}

absl::StatusOr<uint32_t> ParseCount(absl::string_view text) {
  uint32_t count = 0;
  if (!ParseDigits(text, count)) return NotA(text, "a number");
  return count;
}

absl::StatusOr<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t number = 0;
  if (!ParseDigits(text, number)) return NotA(text, "a number");
  return number;
}

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  size_t digits = 0;
  while (digits < text.size() &&
         absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
    ++digits;
  }
  uint64_t number = 0;
  const std::optional<int> shift = UnitShift(text.substr(digits));
  if (digits == 0 || !shift.has_value() ||
      !ParseDigits(text.substr(0, digits), number)) {
    return NotA(text, "a size like 512M, 2G or a number of bytes");
  }
  const std::optional<uint64_t> bytes =
      CheckedMultiply<uint64_t>(number, uint64_t{1} << *shift);
  if (!bytes.has_value()) return NotA(text, "a size below 16 EiB");
  return *bytes;
}

absl::Status ParseSwitch(absl::string_view text, bool& on) {
  if (text != "on" && text != "off") return NotA(text, "on or off");
  on = text == "on";
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint32_t>> ParseCpuList(absl::string_view text) {
  constexpr size_t kMaxCpus = 1024;
  std::vector<uint32_t> cpus;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    uint32_t cpu = 0;
    if (!ParseDigits(item, cpu) || cpus.size() == kMaxCpus) {
      return NotA(text, "a list of CPUs like 0,1");
    }
    cpus.push_back(cpu);
  }
  return cpus;
}

absl::StatusOr<ConsoleConfig> ParseConsole(absl::string_view text) {
  ConsoleConfig console;
  absl::string_view path = text;
  if (text == "stdio") {
    console.kind = ConsoleConfig::Kind::kStdio;
  } else if (text == "null") {
    console.kind = ConsoleConfig::Kind::kNull;
  } else if (absl::ConsumePrefix(&path, "file:") && !path.empty()) {
    console.kind = ConsoleConfig::Kind::kFile;
    console.path = std::string(path);
  } else {
    return NotA(text, "stdio, null or file:PATH");
  }
  return console;
}

bool* VirtioFeatureNamed(absl::string_view name, VirtioConfig& virtio) {
  for (const VirtioFeature& feature : kVirtioFeatures) {
    if (feature.name == name) return &(virtio.*feature.field);
  }
  return nullptr;
}

std::vector<absl::string_view> VirtioFeatureNames() {
  std::vector<absl::string_view> names;
  for (const VirtioFeature& feature : kVirtioFeatures) {
    names.push_back(feature.name);
  }
  return names;
}

}  // namespace annulus::cli
