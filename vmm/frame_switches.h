#ifndef VMM_FRAME_SWITCHES_H_
#define VMM_FRAME_SWITCHES_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "devices/virtio/net/switch/frame_switch.h"

namespace annulus {

// The switches of one configuration, by name: network cards that name the same
// one are connected. Of two objects of this class, none is the other's.
//
// Threads: thread-compatible.
class FrameSwitches {
 public:
  // The switch of this name, made if there is none yet. Fails where the host
  // has no random numbers.
  absl::StatusOr<std::shared_ptr<virtio::FrameSwitch>> Named(
      const std::string& name);

 private:
  // shared_ptr: with the cards, which outlive the configuration.
  std::map<std::string, std::shared_ptr<virtio::FrameSwitch>> by_name_;
};

}  // namespace annulus

#endif  // VMM_FRAME_SWITCHES_H_
