#ifndef VMM_NET_RESOURCES_H_
#define VMM_NET_RESOURCES_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/switch/frame_switch.h"
#include "vmm/config/vm_config.h"
#include "vmm/frame_switches.h"
#include "vmm/vhost_user_resources.h"

namespace annulus {

// What one network card needs from the outside, opened.
//
// Threads: a value.
struct NetResources {
  // Of NetConfig::Backend::kTap: a descriptor for each queue pair, of a tap
  // with a virtio_net_hdr before each frame, or of a macvtap.
  std::vector<UniqueFd> taps;
  UniqueFd socket;                // Of kPasst: connected.
  VhostUserResources vhost_user;  // Of kVhostUser.
  // Of kSwitch: shared with the other cards that it connects.
  std::shared_ptr<virtio::FrameSwitch> frame_switch;
  UniqueFd pcap;  // An empty file; not valid: frames are not recorded.
};

// Opens an interface, duplicates the descriptors, connects the socket or takes
// of `switches` the one that `net` names; not the pcap file, see OpenPcap().
// `card` is "net[0]".
// Errors: FIELD: what could not be opened and why.
absl::StatusOr<NetResources> OpenNetResources(absl::string_view card,
                                              const NetConfig& net,
                                              FrameSwitches& switches);

// Creates or truncates the pcap file, if there is to be one.
absl::Status OpenPcap(absl::string_view card, const NetConfig& net,
                      NetResources& resources);

}  // namespace annulus

#endif  // VMM_NET_RESOURCES_H_
