#include "devices/virtio/queue/violation.h"

#include "absl/strings/string_view.h"

namespace annulus::virtio {
namespace {

absl::string_view Sentence(Violation violation) {
  switch (violation) {
    case Violation::kNone:
      return "";
    case Violation::kAvailableIndexJumped:
      return "the available index moved by more than the queue size allows";
    case Violation::kHeadOutOfRange:
      return "the head of a descriptor chain is beyond the queue size";
    case Violation::kNextOutOfRange:
      return "a descriptor's next field is beyond the end of its table";
    case Violation::kChainTooLong:
      return "a descriptor chain is longer than the queue size";
    case Violation::kChainTooLarge:
      return "a descriptor chain has more than 2^32-1 bytes";
    case Violation::kElementOutsideRam:
      return "a buffer element is outside guest RAM";
    case Violation::kReadableAfterWritable:
      return "a device-readable element follows a device-writable one";
    case Violation::kIndirectNotNegotiated:
      return "an indirect descriptor although it was not negotiated";
    case Violation::kIndirectWithNext:
      return "an indirect descriptor is linked with VIRTQ_DESC_F_NEXT";
    case Violation::kIndirectNested:
      return "an indirect descriptor inside an indirect table";
    case Violation::kIndirectTableLength:
      return "the length of an indirect table is not a positive multiple of 16";
    case Violation::kIndirectTableOutsideRam:
      return "an indirect table is outside guest RAM";
    case Violation::kTooManyInFlight:
      return "descriptors were made available again before they were used";
    case Violation::kChainIncomplete:
      return "a descriptor chain was made available before all of its parts";
  }
  return "";
}

}  // namespace

absl::Status ViolationToStatus(Violation violation) {
  if (violation == Violation::kNone) return absl::OkStatus();
  return absl::FailedPreconditionError(Sentence(violation));
}

}  // namespace annulus::virtio
