#ifndef VMM_CONTROL_CONTROL_MESSAGES_H_
#define VMM_CONTROL_CONTROL_MESSAGES_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "proto/control.pb.h"
#include "vmm/control/control_target.h"
#include "vmm/counter_sample.h"
#include "vmm/vm_event.h"

namespace annulus {

// What the control socket sends of what there is.
void WriteStatus(const absl::Status& status, proto::ControlReply& reply);
void WriteFacts(const ControlFacts& facts, proto::ControlStatus& message);
void WriteCounters(const std::vector<CounterSample>& samples,
                   proto::ControlCounters& message);
// `lost`: events that were not sent before it.
void WriteEvent(const VmEvent& event, uint64_t lost,
                proto::ControlEvent& message);

}  // namespace annulus

#endif  // VMM_CONTROL_CONTROL_MESSAGES_H_
