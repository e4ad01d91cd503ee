// Header-split receive over both transports: what a guest that shares no code
// with the card sends comes back to it with header and payload apart.

#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kvm/guest_vm.h"
#include "vmm/vmm.h"

namespace annulus {
namespace {

using testing::Combine;
using testing::HasSubstr;
using testing::Values;

class HeaderSplitTest
    : public testing::TestWithParam<
          std::tuple<TransportKind, const char*, const char*>> {};

TEST_P(HeaderSplitTest, GuestReceivesHeaderAndPayloadApart) {
  SKIP_WITHOUT_KVM();
  const auto& [transport, ring, method] = GetParam();
  VmConfig config = MicroguestConfig("header_split");
  NetConfig net;
  net.virtio.transport = transport;
  net.backend = NetConfig::Backend::kLoopback;
  net.header_split.enabled = true;
  config.net.push_back(net);
  absl::StrAppend(&config.boot.cmdline, DeviceOptions(transport, 0),
                  " ring=", ring, " method=", method, " rounds=20");
  const GuestResult result = RunGuest(config);
  ExpectPass(result);
  EXPECT_THAT(result.output, HasSubstr("split 20,"));
}

INSTANTIATE_TEST_SUITE_P(
    All, HeaderSplitTest,
    Combine(Values(TransportKind::kMmio, TransportKind::kPci),
            Values("packed", "split"), Values("A", "B", "C", "Q")));

}  // namespace
}  // namespace annulus
