#include "devices/virtio/net/queue_counters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace annulus::virtio {
namespace {

// By NetDrop.
constexpr std::array<absl::string_view, kNetDropReasons> kDropNames = {
    "malformed", "backend",  "filtered", "no_room",
    "offload",   "steering", "link_down"};

void VisitSplit(const SplitCounters& split, CounterVisitor visit) {
  const struct {
    absl::string_view name;
    const Counter& counter;
  } kCounters[] = {
      {"split_packets", split.split_packets},
      {"split_header_bytes", split.split_header_bytes},
      {"split_payload_bytes", split.split_payload_bytes},
      {"unsplit_not_eligible", split.unsplit_not_eligible},
      {"unsplit_header_too_big", split.unsplit_header_too_big},
      {"unsplit_no_slot", split.unsplit_no_slot},
      {"unsplit_no_space", split.unsplit_no_space},
      {"header_queue_errors", split.header_queue_errors},
      {"predicted", split.predicted},
      {"mispredicted", split.mispredicted},
      {"unpredicted", split.unpredicted},
  };
  for (const auto& [name, counter] : kCounters) {
    visit(name, {}, counter.value());
  }
}

}  // namespace

void VisitCounters(const QueueCounters& counters, CounterVisitor visit) {
  visit("frames", {}, counters.frames.value());
  visit("bytes", {}, counters.bytes.value());
  visit("interrupts", {}, counters.interrupts.value());
  visit("short_buffers", {}, counters.short_buffers.value());
  for (size_t i = 0; i < kNetDropReasons; ++i) {
    visit("drops", kDropNames[i], counters.drops[i].value());
  }
  VisitSplit(counters.split, visit);
}

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
  VisitSplit(counters.split, [&text](absl::string_view name, absl::string_view,
                                     uint64_t value) {
    if (value != 0) absl::StrAppend(&text, " ", name, "=", value);
  });
  if (batches != 0) absl::StrAppend(&text, " batches:", histogram);
  return text;
}

}  // namespace annulus::virtio
