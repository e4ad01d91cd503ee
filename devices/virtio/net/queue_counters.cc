#include "devices/virtio/net/queue_counters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus::virtio {
namespace {

// By NetDrop.
constexpr std::array<absl::string_view, kNetDropReasons> kDropNames = {
    "malformed", "backend", "filtered", "no_room", "offload", "steering"};

}  // namespace

std::string DescribeCounters(const QueueCounters& counters,
                             uint64_t notifications) {
  uint64_t batches = 0;
  std::string histogram;
  for (size_t i = 0; i < counters.batches.size(); ++i) {
    const uint64_t count = counters.batches[i].value();
    batches += count;
    if (count != 0) absl::StrAppend(&histogram, " ", 1 << i, "+:", count);
  }
  // One of each would have been due for every batch.
  const auto suppressed = [batches](uint64_t sent) {
    return batches > sent ? batches - sent : 0;
  };
  const uint64_t interrupts = counters.interrupts.value();
  std::string text = absl::StrCat(
      "frames=", counters.frames.value(), " bytes=", counters.bytes.value(),
      " notifications=", notifications,
      " notifications_suppressed=", suppressed(notifications),
      " interrupts=", interrupts,
      " interrupts_suppressed=", suppressed(interrupts));
  for (size_t i = 0; i < kNetDropReasons; ++i) {
    const uint64_t count = counters.drops[i].value();
    if (count != 0) {
      absl::StrAppend(&text, " dropped_", kDropNames[i], "=", count);
    }
  }
  if (counters.short_buffers.value() != 0) {
    absl::StrAppend(&text, " short_buffers=", counters.short_buffers.value());
  }
  if (batches != 0) absl::StrAppend(&text, " batches:", histogram);
  return text;
}

}  // namespace annulus::virtio
