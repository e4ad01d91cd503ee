#ifndef TESTS_INTERLEAVING_DEVICE_SIDE_H_
#define TESTS_INTERLEAVING_DEVICE_SIDE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/queue/chain_batch.h"
#include "devices/virtio/queue/descriptor_chain.h"
#include "devices/virtio/queue/virtqueue.h"
#include "tests/interleaving/action.h"
#include "tests/interleaving/recorder.h"
#include "tests/interleaving/scenario.h"

namespace annulus::interleaving {

// A device around a Virtqueue: the calls of QueueWorker::Run(), in its order,
// and a QueueHandler that drains the queue.
//
// It checks that chains come once each, in the order of Add(), and with what
// the driver put into them.
class DeviceSide : public Program {
 public:
  DeviceSide(const Scenario& scenario, Recorder& recorder,
             const virtio::Virtqueue& queue);

  absl::Span<uint8_t> State() override;
  void Step() override;

 private:
  enum class Next : uint32_t {
    kDisable,
    kDrain,
    kPublish,
    kPoll,
    kEnable,
    kSleep
  };

  struct Data {
    virtio::Virtqueue queue;
    Next next = Next::kDisable;
    uint32_t tag = 0;  // Of the next chain.
    uint32_t more = 0;
    WrittenEntry written = {};
  };
  static_assert(std::is_trivially_copyable_v<Data>);

  bool Drain();
  bool DrainBatch();
  bool Pop(virtio::DescriptorChain& chain);
  void CheckChain(const virtio::DescriptorChain& chain, uint32_t tag);
  void Push(virtio::DescriptorChain& chain, uint32_t tag);
  void Publish();
  bool Enable();

  const Scenario scenario_;
  Recorder& recorder_;
  std::vector<virtio::DescriptorChain> chains_;  // Anew in each step.
  std::optional<virtio::ChainBatch> batch_;      // Likewise.
  Data state_;
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_DEVICE_SIDE_H_
