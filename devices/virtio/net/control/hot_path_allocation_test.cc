// What a data worker asks of its settings for each batch and each frame
// allocates nothing.

#include <optional>

#include "base/counting_allocator.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/net/control/settings_store.h"
#include "devices/virtio/net/steering/rss.h"
#include "devices/virtio/net/steering/rss_bytes.h"
#include "devices/virtio/net/steering/test_frame.h"
#include "devices/virtio/net/steering/verification_vectors.h"
#include "devices/virtio/spec/features.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

TEST(HotPathAllocationTest, NothingIsAllocatedPerFrameOrPerBatch) {
  const FeatureSet features =
      FeatureSet::Of(kNetMac, kNetCtrlRx, kNetCtrlVlan, kNetRss);
  NetSettings settings = InitialNetSettings(features, {2, 0, 0, 0, 0, 1});
  const std::optional<RssConfig> rss =
      RssConfig::ParseRss(RssBytes().Encode(), 4);
  ASSERT_TRUE(rss.has_value());
  settings.rss = *rss;
  NetSettingsStore store;
  store.Publish(settings);
  NetSettingsReader reader(store);
  const VerificationVector& vector = Ipv6Vectors()[0];
  const FrameBytes frame =
      Ethernet(kTypeIpv6, Ipv6(vector.source, vector.destination, kTypeTcp,
                               Ports(vector.source_port, 1766)));
  int accepted = 0;
  int hashed = 0;
  const int before = AllocationCount();
  for (int i = 0; i < 1000; ++i) {
    reader.Begin();  // The first one takes.
    const NetSettings& now = reader.Refresh();
    accepted += now.filter.Accepts(frame);
    const FlowHash hash = now.rss.Hash(frame);
    hashed += hash.report != 0 && now.rss.QueuePair(hash) < 4;
    reader.End();
  }
  EXPECT_EQ(AllocationCount(), before);
  EXPECT_EQ(accepted, 1000);
  EXPECT_EQ(hashed, 1000);
}

}  // namespace
}  // namespace annulus::virtio
