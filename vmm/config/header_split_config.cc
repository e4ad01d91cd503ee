#include "vmm/config/header_split_config.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/net/header_split_check.h"
#include "vmm/config/field_checks.h"

namespace annulus {

virtio::HeaderSplitOptions HeaderSplitOptionsOf(
    const HeaderSplitConfig& config) {
  return {.offered = config.enabled,
          .chain = config.chain,
          .buffers = config.buffers,
          .small_buffers = config.small_buffers,
          .header_queue = config.header_queue,
          .min_threshold = config.min_threshold,
          .max_threshold = config.max_threshold,
          .numbers = {.split_feature = config.split_feature,
                      .header_queue_feature = config.header_queue_feature,
                      .header_flag = static_cast<uint8_t>(config.header_flag),
                      .split_class = static_cast<uint8_t>(config.split_class),
                      .header_queue_class =
                          static_cast<uint8_t>(config.header_queue_class)}};
}

absl::Status ValidateHeaderSplit(absl::string_view at,
                                 const HeaderSplitConfig& config) {
  // Of those that the device has in 8 bits.
  const struct {
    absl::string_view field;
    uint32_t value;
  } kBytes[] = {{"header_flag", config.header_flag},
                {"split_class", config.split_class},
                {"header_queue_class", config.header_queue_class}};
  for (const auto& [field, value] : kBytes) {
    ANNULUS_RETURN_IF_ERROR(
        CheckRange(absl::StrCat(at, ".", field), value, 0, UINT8_MAX));
  }
  const auto fault = virtio::FindHeaderSplitFault(HeaderSplitOptionsOf(config));
  if (!fault.has_value()) return absl::OkStatus();
  return WrongField(absl::StrCat(at, ".", fault->field), fault->reason);
}

}  // namespace annulus
