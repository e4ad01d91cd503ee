#include "devices/virtio/net/header_split_check.h"

#include <bit>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "devices/virtio/net/net_feature_names.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "devices/virtio/spec/net_header_split.h"

namespace annulus::virtio {
namespace {

using Fault = std::optional<HeaderSplitFault>;

// Below 64, for vhost-user to carry them: neither of a network device, past or
// present (§5.1.3 "Feature bits"), nor of virtio itself (§2.2 "Feature Bits").
constexpr FeatureSet kFreeFeatures =
    FeatureSet::Of(4, 44, 45, 46, 47, 48, 49, 58);
constexpr absl::string_view kFreeFeaturesText = "4, 44 to 49 and 58 are free";

constexpr uint32_t kFirstUnknownFlag = 0x08;
constexpr uint32_t kLastClass = 9;  // That the specification may use soon.

Fault CheckFeature(absl::string_view field, uint32_t bit) {
  if (bit >= 64) {
    return {{field, absl::StrCat(bit, " is not below 64")}};
  }
  if (kFreeFeatures.Has(bit)) return std::nullopt;
  absl::string_view owner = "virtio 1.4";
  for (const NetFeature& feature : NetFeatures()) {
    if (feature.bit == bit) owner = feature.name;
  }
  return {{field,
           absl::StrCat(bit, " belongs to ", owner, "; ", kFreeFeaturesText)}};
}

Fault CheckClass(absl::string_view field, uint32_t command_class) {
  if (command_class > kLastClass) return std::nullopt;
  return {{field, absl::StrCat(command_class, " is one of virtio's classes, 0 ",
                               "to ", kLastClass)}};
}

Fault CheckDifferent(absl::string_view field, uint32_t number,
                     absl::string_view other_field, uint32_t other) {
  if (number != other) return std::nullopt;
  return {{field, absl::StrCat(number, " is ", other_field, ", too")}};
}

Fault CheckFlag(uint32_t flag) {
  if (std::has_single_bit(flag) && flag >= kFirstUnknownFlag) {
    return std::nullopt;
  }
  return {{"header_flag",
           absl::StrCat(flag, " is not one bit of 8, 16, 32, 64 and 128")}};
}

Fault CheckThresholds(const HeaderSplitOptions& options) {
  if (options.max_threshold > kNetMaxFrameBytes) {
    return {{"max_threshold",
             absl::StrCat(options.max_threshold, " is more than the largest ",
                          "frame has: ", kNetMaxFrameBytes)}};
  }
  if (options.min_threshold > options.max_threshold) {
    return {{"min_threshold",
             absl::StrCat(options.min_threshold,
                          " is above max_threshold: ", options.max_threshold)}};
  }
  return std::nullopt;
}

Fault CheckMethods(const HeaderSplitOptions& options) {
  if (!options.offered || options.chain || options.buffers ||
      options.small_buffers || options.header_queue) {
    return std::nullopt;
  }
  return {{"enabled", "is given, but no method is allowed"}};
}

}  // namespace

std::optional<HeaderSplitFault> FindHeaderSplitFault(
    const HeaderSplitOptions& options) {
  const HeaderSplitNumbers& numbers = options.numbers;
  for (const Fault& fault :
       {CheckMethods(options), CheckThresholds(options),
        CheckFeature("split_feature", numbers.split_feature),
        CheckFeature("header_queue_feature", numbers.header_queue_feature),
        CheckDifferent("header_queue_feature", numbers.header_queue_feature,
                       "split_feature", numbers.split_feature),
        CheckFlag(numbers.header_flag),
        CheckClass("split_class", numbers.split_class),
        CheckClass("header_queue_class", numbers.header_queue_class),
        CheckDifferent("header_queue_class", numbers.header_queue_class,
                       "split_class", numbers.split_class)}) {
    if (fault.has_value()) return fault;
  }
  return std::nullopt;
}

}  // namespace annulus::virtio
