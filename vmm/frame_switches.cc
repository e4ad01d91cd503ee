#include "vmm/frame_switches.h"

#include "base/status_macros.h"

namespace annulus {

absl::StatusOr<std::shared_ptr<virtio::FrameSwitch>> FrameSwitches::Named(
    const std::string& name) {
  std::shared_ptr<virtio::FrameSwitch>& found = by_name_[name];
  if (found == nullptr) {
    ANNULUS_ASSIGN_OR_RETURN(found, virtio::FrameSwitch::Create(name));
  }
  return found;
}

}  // namespace annulus
