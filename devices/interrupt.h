#ifndef DEVICES_INTERRUPT_H_
#define DEVICES_INTERRUPT_H_

namespace annulus {

// How a device tells the guest something: an edge-triggered interrupt line or
// one message-signalled vector. Under KVM an irqfd, under vhost-user the call
// descriptor, in a unit test a counter.
//
// Threads: thread-safe.
// Allocation: none; Trigger() is hot, and is at most one system call.
class Interrupt {
 public:
  virtual ~Interrupt() = default;

  // Never blocks. Two triggers before the guest looks may become one.
  virtual void Trigger() = 0;
};

}  // namespace annulus

#endif  // DEVICES_INTERRUPT_H_
