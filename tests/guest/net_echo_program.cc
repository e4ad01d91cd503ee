#include "tests/guest/boot_info.h"
#include "tests/guest/net_echo.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_transport.h"

namespace guest {

void NetEcho() {
  UseNetEcho(FindVirtioTransport(), NumberOption("rounds", 20));
}

}  // namespace guest
