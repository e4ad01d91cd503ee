#ifndef DEVICES_VIRTIO_VSOCK_QUEUES_TRANSPORT_GATE_H_
#define DEVICES_VIRTIO_VSOCK_QUEUES_TRANSPORT_GATE_H_

#include <atomic>
#include <cstdint>

namespace annulus::virtio {

// Whether packets may go to the guest: not from a TRANSPORT_RESET on until the
// driver has taken notice of it (virtio 1.4 §5.10.6.7 "Device Events"). The
// driver shuts all of its connections when it does, and would do that to one
// which it made of a packet that came before.
//
//   kOpen -> Close() -> kToPost -> (event used) -> kPosted
//         -> (a buffer made available in the event virtqueue) -> kOpen
//
// Threads: thread-safe.
class TransportGate {
 public:
  enum class State : uint8_t { kOpen, kToPost, kPosted };

  // Acquire: pairs with the releases below; who finds it open finds all that
  // was done before.
  State state() const { return state_.load(std::memory_order_acquire); }
  bool open() const { return state() == State::kOpen; }

  // A TRANSPORT_RESET is wanted, perhaps one more.
  void Close() { state_.store(State::kToPost, std::memory_order_release); }

  // For the event worker: false if the state is another one by now.
  bool Advance(State from, State to) {
    return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }

  // The driver is forgotten, and with it what it was to be told.
  void Reset() { state_.store(State::kOpen, std::memory_order_release); }

 private:
  std::atomic<State> state_{State::kOpen};
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_VSOCK_QUEUES_TRANSPORT_GATE_H_
