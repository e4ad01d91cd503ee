#include "devices/virtio/net/control/settings_store.h"

#include <sched.h>

#include <array>
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

TEST(NetSettingsStoreTest, BeginSeesTheNewestSettingsAndRefreshNewerOnes) {
  NetSettingsStore store;
  NetSettingsReader reader(store);
  EXPECT_TRUE(reader.Begin() == NetSettings());
  store.Publish(WithPairs(2));
  EXPECT_EQ(reader.Refresh().active_pairs, 2);
  reader.End();
  store.Publish(WithPairs(3));
  EXPECT_EQ(reader.Begin().active_pairs, 3);
  reader.End();
}

// Each of these would wait for ever otherwise.
TEST(NetSettingsStoreTest, NobodyWaitsForReadersThatUseNothingOld) {
  NetSettingsStore store;
  store.WaitForReaders();  // There are none.
  NetSettingsReader fresh(store);
  NetSettingsReader never_begins(store);
  never_begins.Refresh();
  NetSettingsReader rests(store);
  rests.Begin();
  rests.End();
  NetSettingsReader refreshed(store);
  refreshed.Begin();
  store.Publish(WithPairs(2));
  refreshed.Refresh();
  NetSettingsReader began_later(store);
  began_later.Begin();
  {
    NetSettingsReader left(store);
    left.Begin();
    left.End();
  }
  store.WaitForReaders();
  never_begins.Refresh();
  store.Publish(WithPairs(3));
  never_begins.Refresh();  // Does not make it one that has begun.
  refreshed.End();
  began_later.End();
  store.Publish(WithPairs(4));
  store.WaitForReaders();
}

TEST(NetSettingsStoreTest, OldSettingsEndWithTheLastReaderThatRefreshes) {
  NetSettingsStore store;
  NetSettingsReader first(store);
  NetSettingsReader second(store);
  first.Begin();
  second.Begin();
  const std::weak_ptr<const NetSettings> old = store.Current();
  store.Publish(WithPairs(2));
  first.Refresh();
  first.End();
  second.End();
  EXPECT_FALSE(old.expired());
  second.Begin();
  EXPECT_TRUE(old.expired());
  second.End();
}

// `leave` is how a reader that uses old settings stops doing so.
template <typename Leave>
void ExpectWaitsUntil(Leave leave) {
  NetSettingsStore store;
  NetSettingsReader reader(store);
  reader.Begin();
  std::atomic<bool> waits{false};
  bool left = false;  // Plain: ThreadSanitizer watches it.
  bool left_before = false;
  Thread writer = Thread::Start("writer", [&] {
                    store.Publish(WithPairs(2));
                    waits = true;
                    store.WaitForReaders();
                    left_before = left;
                  }).value();
  while (!waits) sched_yield();
  for (int i = 0; i < 100; ++i) sched_yield();  // It could go on, if it did.
  left = true;
  leave(reader);
  writer.Join();
  EXPECT_TRUE(left_before);
  reader.End();
}

TEST(NetSettingsStoreTest, WriterWaitsUntilAReaderEnds) {
  ExpectWaitsUntil([](NetSettingsReader& reader) { reader.End(); });
}

TEST(NetSettingsStoreTest, WriterWaitsUntilAReaderRefreshes) {
  ExpectWaitsUntil([](NetSettingsReader& reader) { reader.Refresh(); });
}

// Readers write to memory that belongs to the settings that they use, as those
// of a header queue do to its slots; the writer, who has waited, takes it for
// itself. Plain variables, which ThreadSanitizer watches; without it, the
// readers themselves look whether the ground is still theirs.
TEST(NetSettingsStoreTest, NoReaderUsesOldSettingsOnceTheWriterHasWaited) {
  constexpr int kReaders = 2;
  constexpr uint16_t kLast = 150;
  struct Ground {
    std::atomic<uint16_t> owner{0};   // As the settings' active_pairs.
    std::array<int, kReaders> plain;  // One for each reader.
  };
  std::array<Ground, 2> grounds;  // Of even and of odd settings.
  grounds[1].owner = 1;           // As the store is made.
  NetSettingsStore store;
  std::atomic<int> wrong{0};
  std::vector<Thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(Thread::Start("reader", [&, i] {
                        NetSettingsReader reader(store);
                        uint16_t pairs = 0;
                        for (int batch = 0; pairs != kLast; ++batch) {
                          pairs = reader.Begin().active_pairs;
                          for (int frame = 0; frame <= batch % 3; ++frame) {
                            if (frame != 0)
                              pairs = reader.Refresh().active_pairs;
                            Ground& ground = grounds[pairs % 2];
                            ground.plain[i] = pairs;
                            // Relaxed: it orders nothing, which is for the
                            // store to do.
                            wrong += ground.owner.load(
                                         std::memory_order_relaxed) != pairs;
                            wrong += ground.plain[i] != pairs;
                          }
                          reader.End();
                        }
                      }).value());
  }
  for (uint16_t pairs = 2; pairs <= kLast; ++pairs) {
    Ground& next = grounds[pairs % 2];
    next.plain.fill(-1);
    next.owner.store(pairs, std::memory_order_relaxed);
    store.Publish(WithPairs(pairs));
    store.WaitForReaders();
    // From here on the ground of pairs - 1 is the writer's.
  }
  readers.clear();  // Joins.
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace annulus::virtio
