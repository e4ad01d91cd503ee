#include "devices/virtio/net/control/settings_store.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/thread.h"
#include "devices/virtio/net/control/net_settings.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

NetSettings WithPairs(uint16_t pairs) {
  NetSettings settings;
  settings.active_pairs = pairs;
  // Far away in the object: a reader of half a change would see it.
  if (pairs % 2 != 0) settings.receive_offloads.Add(kNetGuestCsum);
  return settings;
}

TEST(NetSettingsStoreTest, ReaderSeesTheNewestSettings) {
  NetSettingsStore store;
  NetSettingsReader reader(store);
  EXPECT_TRUE(reader.Refresh() == NetSettings());
  store.Publish(WithPairs(2));
  store.Publish(WithPairs(3));
  EXPECT_EQ(reader.Refresh().active_pairs, 3);
  EXPECT_EQ(reader.Refresh().active_pairs, 3);
  EXPECT_EQ(store.Current()->active_pairs, 3);
}

TEST(NetSettingsStoreTest, SettingsStayWhileAReaderLooksAtThem) {
  NetSettingsStore store;
  NetSettingsReader reader(store);
  const NetSettings& settings = reader.Refresh();
  store.Publish(WithPairs(2));
  EXPECT_EQ(settings.active_pairs, 1);
  EXPECT_NE(&reader.Refresh(), &settings);
}

TEST(NetSettingsStoreTest, NothingIsTakenWhereNothingChanged) {
  NetSettingsStore store;
  store.Publish(WithPairs(2));
  NetSettingsReader reader(store);
  reader.Refresh();
  EXPECT_EQ(store.Current().use_count(), 3);  // Store, reader, this.
  const NetSettings* settings = &reader.Refresh();
  EXPECT_EQ(settings, store.Current().get());
}

TEST(NetSettingsStoreTest, ReadersOnManyThreadsSeeWholeSettingsInOrder) {
  constexpr uint16_t kLast = 2000;
  NetSettingsStore store;
  std::atomic<int> wrong{0};
  std::vector<Thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(
        Thread::Start("reader", [&] {
          NetSettingsReader reader(store);
          uint16_t before = 0;
          while (before != kLast) {
            const NetSettings& settings = reader.Refresh();
            const uint16_t pairs = settings.active_pairs;
            const bool odd = settings.receive_offloads.Has(kNetGuestCsum);
            wrong += pairs < before || (pairs > 1 && odd != (pairs % 2 != 0));
            before = pairs;
          }
        }).value());
  }
  for (uint16_t pairs = 2; pairs <= kLast; ++pairs) {
    store.Publish(WithPairs(pairs));
  }
  readers.clear();  // Joins.
  EXPECT_EQ(wrong, 0);
}

// What the writer did before it published is there for whoever sees it: here a
// plain variable, which ThreadSanitizer watches.
TEST(NetSettingsStoreTest, PublishingOrdersWhatCameBefore) {
  NetSettingsStore store;
  int plain = 0;
  Thread writer = Thread::Start("writer", [&] {
                    plain = 42;
                    store.Publish(WithPairs(2));
                  }).value();
  NetSettingsReader reader(store);
  while (reader.Refresh().active_pairs != 2) {
  }
  EXPECT_EQ(plain, 42);
}

}  // namespace
}  // namespace annulus::virtio
