#ifndef DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_COUNTERS_H_
#define DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_COUNTERS_H_

#include "base/counter.h"

namespace annulus::virtio {

// What header split did on one receive queue while it was on. Every frame that
// was delivered is one of split_packets and unsplit_*.
//
// Threads: counted by the queue's worker; read by any thread.
struct SplitCounters {
  Counter split_packets;
  Counter split_header_bytes;
  Counter split_payload_bytes;
  Counter unsplit_not_eligible;    // Its kind, its size, or not enabled.
  Counter unsplit_header_too_big;  // For the place of headers.
  Counter unsplit_no_slot;         // Q: all are in use.
  Counter unsplit_no_space;     // The payload has no room without the header.
  Counter header_queue_errors;  // Q: the driver's index was impossible.

  // How the frames were read that are longer than kUsualSplitHeaderBytes. (It
  // does not matter for the others: hardly anything is copied.)
  Counter predicted;     // Straight to where they belong.
  Counter mispredicted;  // To where they do not, and were copied out and back.
  Counter unpredicted;   // Into memory of the device, and copied from there.
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_HEADER_SPLIT_SPLIT_COUNTERS_H_
