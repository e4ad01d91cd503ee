#include "tests/guest/boot_info.h"
#include "tests/guest/net_echo.h"
#include "tests/guest/programs.h"
#include "tests/guest/virtio_transport.h"
#include "tests/guest/vsock.h"

namespace guest {

void NetAndVsock() {
  UseNetEcho(FindVirtioTransport("net"), NumberOption("rounds", 20));
  UseVsock(FindVirtioTransport("vsock"), NumberOption("calls", 3),
           /*serves=*/true);
}

}  // namespace guest
