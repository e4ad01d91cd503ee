// BackEndSession: the front-end's memory.

#include <array>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "devices/vhost_user/back_end/back_end_session.h"
#include "devices/vhost_user/back_end/request_payload.h"

namespace annulus::vhost_user {
namespace {

// "Memory regions description", without the regions.
struct TableHeader {
  uint32_t regions = 0;
  uint32_t padding = 0;
};

// "Single memory region description".
struct SingleRegion {
  uint64_t padding = 0;
  MemoryRegion region;
};
static_assert(sizeof(SingleRegion) == 40);

}  // namespace

absl::Status BackEndSession::SetMemTable(Message& message) {
  TableHeader header;
  if (message.size < sizeof(header)) return NotItsSize(message);
  std::memcpy(&header, message.payload.data(), sizeof(header));
  if (header.regions > kMaxTableRegions ||
      message.size != sizeof(header) + header.regions * sizeof(MemoryRegion)) {
    return NotItsSize(message);
  }
  if (message.fds.size() != header.regions) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%u regions with %u descriptors", header.regions, message.fds.size()));
  }
  std::array<MemoryRegion, kMaxTableRegions> regions;
  std::memcpy(regions.data(), message.payload.data() + sizeof(header),
              header.regions * sizeof(MemoryRegion));
  PauseVrings();
  absl::Status status = memory_.SetTable(
      absl::MakeConstSpan(regions).first(header.regions), message.fds);
  StartVrings();
  return status;
}

absl::Status BackEndSession::GetMaxMemSlots(Message& message) {
  return Reply(message, uint64_t{FrontEndMemory::kMaxRegions});
}

absl::Status BackEndSession::AddMemReg(Message& message) {
  const auto single = message.Payload<SingleRegion>();
  if (!single.has_value()) return NotItsSize(message);
  if (message.fds.size() != 1) {
    return absl::InvalidArgumentError("a region without a descriptor");
  }
  PauseVrings();
  absl::Status status = memory_.Add(single->region, message.fds[0]);
  StartVrings();
  return status;
}

absl::Status BackEndSession::RemMemReg(Message& message) {
  const auto single = message.Payload<SingleRegion>();
  if (!single.has_value()) return NotItsSize(message);
  PauseVrings();
  absl::Status status = memory_.Remove(single->region);
  StartVrings();
  return status;
}

}  // namespace annulus::vhost_user
