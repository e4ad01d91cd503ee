#ifndef DEVICES_VHOST_USER_WIRE_PROTOCOL_H_
#define DEVICES_VHOST_USER_WIRE_PROTOCOL_H_

#include <cstddef>
#include <cstdint>

namespace annulus::vhost_user {

// Numbers of the vhost-user protocol (QEMU, docs/interop/vhost-user.rst,
// "Message Specification" and following). Integers are in the host's byte
// order; both sides run on one machine.

// "Header": request, flags, size.
inline constexpr size_t kHeaderBytes = 12;
inline constexpr uint32_t kVersionMask = 0x3;
inline constexpr uint32_t kVersion = 0x1;
inline constexpr uint32_t kFlagReply = 1u << 2;
inline constexpr uint32_t kFlagNeedReply = 1u << 3;

// No message that is defined is larger: a memory table of 8 regions has 264
// bytes, a configuration space 12 + 256.
inline constexpr size_t kMaxPayloadBytes = 512;
inline constexpr size_t kMaxFds = 8;  // "Memory regions description".
inline constexpr size_t kMaxTableRegions = 8;
inline constexpr size_t kMaxConfigBytes = 256;

// "Front-end message types".
enum class Request : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kSendRarp = 19,
  kNetSetMtu = 20,
  kSetBackendReqFd = 21,
  kGetConfig = 24,
  kSetConfig = 25,
  kGetInflightFd = 31,
  kSetInflightFd = 32,
  kResetDevice = 34,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
  kSetStatus = 39,
  kGetStatus = 40,
};

// "Back-end message types".
enum class BackEndRequest : uint32_t {
  kConfigChange = 2,
};

// Feature bits that belong to vhost, not to virtio.
inline constexpr uint32_t kFeatureLogAll = 26;            // VHOST_F_LOG_ALL
inline constexpr uint32_t kFeatureProtocolFeatures = 30;  // VHOST_USER_F_...

// "Protocol features": bit numbers.
enum class ProtocolFeature : uint32_t {
  kMq = 0,
  kLogShmfd = 1,
  kRarp = 2,
  kReplyAck = 3,
  kNetMtu = 4,
  kBackendReq = 5,
  kConfig = 9,
  kBackendSendFd = 10,
  kInflightShmfd = 12,
  kResetDevice = 13,
  kConfigureMemSlots = 15,
  kStatus = 16,
};

constexpr uint64_t Bit(ProtocolFeature feature) {
  return uint64_t{1} << static_cast<uint32_t>(feature);
}

// "A vring state description".
struct VringState {
  uint32_t index = 0;
  uint32_t num = 0;
};
static_assert(sizeof(VringState) == 8);

// "A vring address description". Ring addresses are user addresses: those of
// the front-end's own mapping.
struct VringAddress {
  static constexpr uint32_t kFlagLog = 1;  // VHOST_VRING_F_LOG

  uint32_t index = 0;
  uint32_t flags = 0;
  uint64_t descriptor = 0;
  uint64_t used = 0;       // Packed: the device event suppression area.
  uint64_t available = 0;  // Packed: the driver event suppression area.
  uint64_t log = 0;
};
static_assert(sizeof(VringAddress) == 40);

// Of "Memory regions description".
struct MemoryRegion {
  uint64_t guest_address = 0;
  uint64_t size = 0;
  uint64_t user_address = 0;
  uint64_t mmap_offset = 0;
};
static_assert(sizeof(MemoryRegion) == 32);

// "Log description".
struct LogDescription {
  uint64_t size = 0;
  uint64_t offset = 0;
};
static_assert(sizeof(LogDescription) == 16);

// "Inflight description".
struct InflightDescription {
  uint64_t mmap_size = 0;
  uint64_t mmap_offset = 0;
  uint16_t num_queues = 0;
  uint16_t queue_size = 0;
  uint32_t padding = 0;
};
static_assert(sizeof(InflightDescription) == 24);

// "Virtio device config space", without its payload.
struct ConfigDescription {
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t flags = 0;
};
static_assert(sizeof(ConfigDescription) == 12);

// VHOST_USER_SET_VRING_KICK and the like: "Bits (0-7) of the payload contain
// the vring index. Bit 8 is the invalid FD flag."
inline constexpr uint64_t kVringIndexMask = 0xff;
inline constexpr uint64_t kVringNoFd = uint64_t{1} << 8;

}  // namespace annulus::vhost_user

#endif  // DEVICES_VHOST_USER_WIRE_PROTOCOL_H_
