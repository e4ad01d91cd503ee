#ifndef TESTS_INTERLEAVING_WORLD_H_
#define TESTS_INTERLEAVING_WORLD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/interleaving/action.h"
#include "tests/interleaving/automaton.h"
#include "tests/interleaving/locations.h"

namespace annulus::interleaving {

// What is known to have happened: for each synchronizing field how many of its
// messages, and for each side how many of its epochs.
struct View {
  static constexpr size_t kSize = kMaxSync + kSides;

  std::array<uint8_t, kSize> at = {};

  uint8_t& Epoch(Side side) { return at[kMaxSync + side]; }
  uint8_t Epoch(Side side) const { return at[kMaxSync + side]; }

  void Join(const View& other) {
    for (size_t i = 0; i < kSize; ++i) at[i] = std::max(at[i], other.at[i]);
  }
  static View Meet(const View& a, const View& b) {
    View view;
    for (size_t i = 0; i < kSize; ++i) view.at[i] = std::min(a.at[i], b.at[i]);
    return view;
  }
};

// A store to a synchronizing field. What a load that reads it may learn is in
// `view`.
struct Message {
  uint32_t value = 0;
  Side writer = kDriver;
  View view;
};

// A field that belongs to one side at a time: who accessed it last, and when.
struct Datum {
  uint64_t value = 0;
  Side writer = kDriver;
  uint8_t written = 0;                    // The writer's epoch.
  std::array<uint8_t, kSides> read = {};  // The readers' epochs.
};

// One state of both sides and of the memory between them, as the memory model
// has it. See README.md for the model.
class World {
 public:
  static constexpr size_t kMaxMessages = 24;

  struct Thread {
    Automaton::Node node = 0;
    bool notified = false;  // An eventfd: one signal stands for many.
    View current;           // What the side knows.
    View acquired;          // What it will know after its next fence.
    View released;          // What its relaxed stores tell.
    View notification;      // What the notifications tell.
  };

  // `trust_fences`: Location::fenced holds.
  World(const Locations& locations, bool trust_fences);

  // The explorer's: the driver's next action waits for the device to do
  // something that conflicts with it; this many of its options were tried.
  bool deferred = false;
  uint8_t tried = 0;

  Thread& thread(Side side) { return threads_[side]; }
  const Thread& thread(Side side) const { return threads_[side]; }

  // Synchronizing fields. A load may read any of Readable() messages, counted
  // from the oldest. Store() is false if the other side stored to the field and
  // this one does not know: either store could be the one that stays.
  size_t Readable(Side side, size_t sync) const;
  uint32_t Load(Side side, size_t sync, size_t which, bool acquire);
  [[nodiscard]] bool Store(Side side, size_t sync, uint32_t value,
                           bool release);
  uint32_t Newest(size_t sync) const;
  // An older message has the same value and tells no more.
  bool IsDominated(Side side, size_t sync, size_t which) const;

  // Other fields. nullopt or false: not ordered after what the other side did
  // to the field last.
  // `exclusive`: nor may the other side store to it at the same time.
  std::optional<uint64_t> LoadData(Side side, size_t data,
                                   bool exclusive = true);
  [[nodiscard]] bool StoreData(Side side, size_t data, uint64_t value);

  void Fence(Side side);
  void NotifyOther(Side side);
  void TakeNotification(Side side);  // REQUIRES: notified.

  // Forgets all that cannot matter any more, so that worlds that behave the
  // same are the same.
  void Normalize();

  // REQUIRES: Normalize()d.
  std::string Encode() const;
  void Decode(const std::string& bytes);

 private:
  struct Sync {
    bool fenced = false;  // As in Location; constant.
    uint8_t count = 0;
    std::array<Message, kMaxMessages> messages;  // Oldest first.
  };

  template <typename Function>
  void ForEachView(Function function);
  template <typename Function>
  void Fields(Function function);
  uint8_t Oldest(size_t sync) const;
  void ForgetOldMessages();
  void ForgetKnownViews();
  void CompressEpochs(Side side);

  size_t sync_count_;
  size_t data_count_;
  std::array<Thread, kSides> threads_;
  View fences_;  // What every fence so far knew.
  std::array<Sync, kMaxSync> syncs_;
  std::array<Datum, kMaxData> data_;
};

}  // namespace annulus::interleaving

#endif  // TESTS_INTERLEAVING_WORLD_H_
