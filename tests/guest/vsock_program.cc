#include "tests/guest/boot_info.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_transport.h"
#include "tests/guest/vsock.h"

namespace guest {

void Vsock() {
  UseVsock(FindVirtioTransport(), NumberOption("calls", 3), /*serves=*/true);
}

}  // namespace guest
