#ifndef DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_COMMANDS_H_
#define DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_COMMANDS_H_

#include <cstdint>

#include "devices/virtio/spec/net_header_split.h"

// Commands of the control virtqueue for header-split receive, as a driver
// writes them (docs/header_split.md). Freestanding: the microguest is built
// from this without a C library.

namespace annulus::virtio {

// What the device reads of a command: class, command, then `kData` bytes. It
// answers with the ack, and behind that with a command-specific-result where
// the command has one (virtio 1.4 §5.1.6.5 "Control Virtqueue").
template <uint32_t kData>
struct NetCommand {
  static constexpr uint32_t kBytes = 2 + kData;
  uint8_t bytes[kBytes] = {};
};

// Puts fields one after the other, little-endian.
class FieldWriter {
 public:
  explicit constexpr FieldWriter(uint8_t* at) : at_(at) {}

  template <typename T>
  constexpr FieldWriter& Put(T value) {
    for (uint32_t i = 0; i < sizeof(T); ++i) {
      *at_++ = static_cast<uint8_t>(uint64_t{value} >> 8 * i);
    }
    return *this;
  }

 private:
  uint8_t* at_;
};

class FieldReader {
 public:
  explicit constexpr FieldReader(const uint8_t* at) : at_(at) {}

  template <typename T>
  constexpr T Get() {
    uint64_t value = 0;
    for (uint32_t i = 0; i < sizeof(T); ++i) {
      value |= uint64_t{*at_++} << 8 * i;
    }
    return static_cast<T>(value);
  }

 private:
  const uint8_t* at_;
};

constexpr NetCommand<8> SplitSetCommand(const HeaderSplitNumbers& numbers,
                                        uint64_t types) {
  NetCommand<8> command;
  FieldWriter(command.bytes).Put(numbers.split_class).Put(kSplitSet).Put(types);
  return command;
}

struct SplitSet2 {
  uint64_t types = kSplitAllTypes;
  uint32_t threshold = 0;
  uint16_t mode = kSplitModeAutomatic;
  uint16_t header_buffer_bytes = 0;  // C.
};

constexpr NetCommand<16> SplitSet2Command(const HeaderSplitNumbers& numbers,
                                          const SplitSet2& set) {
  NetCommand<16> command;
  FieldWriter(command.bytes)
      .Put(numbers.split_class)
      .Put(kSplitSet2)
      .Put(set.types)
      .Put(set.threshold)
      .Put(set.mode)
      .Put(set.header_buffer_bytes);
  return command;
}

constexpr NetCommand<0> SplitCapGetCommand(const HeaderSplitNumbers& numbers) {
  return {.bytes = {numbers.split_class, kSplitCapGet}};
}

struct SplitCapabilities {
  uint64_t types = 0;
  uint32_t modes = 0;
  uint32_t max_header = 0;
};

// REQUIRES: kSplitCapBytes.
constexpr SplitCapabilities DecodeSplitCapabilities(const uint8_t* result) {
  FieldReader reader(result);
  SplitCapabilities capabilities;
  capabilities.types = reader.Get<uint64_t>();
  capabilities.modes = reader.Get<uint32_t>();
  capabilities.max_header = reader.Get<uint32_t>();
  return capabilities;
}

struct HeaderQueueCreate {
  uint16_t id = 0;
  uint16_t slot_bytes = kDefaultHeaderSlotBytes;
  uint16_t log_slots = 0;
  uint64_t base = 0;  // Guest-physical, as the next.
  uint64_t tail = 0;
  uint64_t types = kSplitAllTypes;
  uint32_t threshold = 0;
};

constexpr NetCommand<40> HeaderQueueCreateCommand(
    const HeaderSplitNumbers& numbers, const HeaderQueueCreate& create) {
  NetCommand<40> command;
  FieldWriter(command.bytes)
      .Put(numbers.header_queue_class)
      .Put(kHeaderQueueCreate)
      .Put(create.id)
      .Put(create.slot_bytes)
      .Put(create.log_slots)
      .Put(uint16_t{0})  // flags
      .Put(create.base)
      .Put(create.tail)
      .Put(create.types)
      .Put(create.threshold)
      .Put(uint32_t{0});  // reserved
  return command;
}

// `id` kHeaderQueueNone detaches. `queue` is a virtqueue index.
constexpr NetCommand<4> HeaderQueueAttachCommand(
    const HeaderSplitNumbers& numbers, uint16_t queue, uint16_t id) {
  NetCommand<4> command;
  FieldWriter(command.bytes)
      .Put(numbers.header_queue_class)
      .Put(kHeaderQueueAttach)
      .Put(queue)
      .Put(id);
  return command;
}

constexpr NetCommand<2> HeaderQueueDestroyCommand(
    const HeaderSplitNumbers& numbers, uint16_t id) {
  NetCommand<2> command;
  FieldWriter(command.bytes)
      .Put(numbers.header_queue_class)
      .Put(kHeaderQueueDestroy)
      .Put(id);
  return command;
}

constexpr NetCommand<0> HeaderQueueCapGetCommand(
    const HeaderSplitNumbers& numbers) {
  return {.bytes = {numbers.header_queue_class, kHeaderQueueCapGet}};
}

struct HeaderQueueCapabilities {
  uint16_t max_queues = 0;
  uint16_t min_slot_bytes = 0;
  uint16_t max_slot_bytes = 0;
  uint16_t max_log_slots = 0;
  uint64_t types = 0;
  uint32_t flags = 0;
};

// REQUIRES: kHeaderQueueCapBytes.
constexpr HeaderQueueCapabilities DecodeHeaderQueueCapabilities(
    const uint8_t* result) {
  FieldReader reader(result);
  HeaderQueueCapabilities capabilities;
  capabilities.max_queues = reader.Get<uint16_t>();
  capabilities.min_slot_bytes = reader.Get<uint16_t>();
  capabilities.max_slot_bytes = reader.Get<uint16_t>();
  capabilities.max_log_slots = reader.Get<uint16_t>();
  capabilities.types = reader.Get<uint64_t>();
  capabilities.flags = reader.Get<uint32_t>();
  return capabilities;
}

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_DRIVER_HEADER_SPLIT_COMMANDS_H_
