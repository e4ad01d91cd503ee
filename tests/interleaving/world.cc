#include "tests/interleaving/world.h"

#include <cstring>
#include <type_traits>

#include "base/check.h"

namespace annulus::interleaving {

World::World(const Locations& locations, bool trust_fences)
    : sync_count_(locations.sync_count()), data_count_(locations.data_count()) {
  for (const Location& l : locations.all()) {
    if (l.sync) {
      syncs_[l.index].fenced = trust_fences && l.fenced;
      syncs_[l.index].count = 1;
      syncs_[l.index].messages[0].value =
          static_cast<uint32_t>(locations.Initial(l));
    } else {
      data_[l.index].value = locations.Initial(l);
    }
  }
  // Epoch 0 is what came before, known to both.
  for (const Side side : {kDriver, kDevice}) {
    threads_[side].current.Epoch(side) = 1;
  }
}

size_t World::Readable(Side side, size_t sync) const {
  return syncs_[sync].count - threads_[side].current.at[sync];
}

uint32_t World::Newest(size_t sync) const {
  return syncs_[sync].messages[syncs_[sync].count - 1].value;
}

bool World::IsDominated(Side side, size_t sync, size_t which) const {
  const size_t first = threads_[side].current.at[sync];
  const Message& message = syncs_[sync].messages[first + which];
  for (size_t i = first; i < first + which; ++i) {
    const Message& older = syncs_[sync].messages[i];
    if (older.value != message.value || older.writer != message.writer) {
      continue;
    }
    if (View::Meet(older.view, message.view).at == older.view.at) return true;
  }
  return false;
}

uint32_t World::Load(Side side, size_t sync, size_t which, bool acquire) {
  Thread& thread = threads_[side];
  const size_t index = thread.current.at[sync] + which;
  ANNULUS_CHECK(index < syncs_[sync].count);
  const Message& message = syncs_[sync].messages[index];
  // Coherence: never back to an older one, whatever the order.
  thread.current.at[sync] = static_cast<uint8_t>(index);
  thread.acquired.at[sync] =
      std::max(thread.acquired.at[sync], static_cast<uint8_t>(index));
  if (message.writer != side) {
    thread.acquired.Join(message.view);
    if (acquire) thread.current.Join(message.view);
  }
  return message.value;
}

bool World::Store(Side side, size_t sync, uint32_t value, bool release) {
  Thread& thread = threads_[side];
  Sync& to = syncs_[sync];
  if (Readable(side, sync) != 1) return false;
  ANNULUS_CHECK(to.count < kMaxMessages);
  const uint8_t index = to.count++;
  thread.current.at[sync] = index;
  thread.acquired.at[sync] = index;
  Message& message = to.messages[index];
  message = {.value = value,
             .writer = side,
             .view = release ? thread.current : thread.released};
  message.view.at[sync] = index;
  if (release) {
    thread.acquired.Join(thread.current);
    ++thread.current.Epoch(side);
  }
  return true;
}

std::optional<uint64_t> World::LoadData(Side side, size_t data,
                                        bool exclusive) {
  const Thread& thread = threads_[side];
  Datum& datum = data_[data];
  if (datum.writer != side &&
      datum.written > thread.current.Epoch(datum.writer)) {
    return std::nullopt;
  }
  if (exclusive) datum.read[side] = thread.current.Epoch(side);
  return datum.value;
}

bool World::StoreData(Side side, size_t data, uint64_t value) {
  const Thread& thread = threads_[side];
  const Side other = Other(side);
  Datum& datum = data_[data];
  const uint8_t known = thread.current.Epoch(other);
  if (datum.read[other] > known) return false;
  if (datum.writer == other && datum.written > known) return false;
  datum.value = value;
  datum.writer = side;
  datum.written = thread.current.Epoch(side);
  return true;
}

void World::Fence(Side side) {
  Thread& thread = threads_[side];
  thread.current.Join(thread.acquired);
  thread.current.Join(fences_);
  fences_ = thread.current;
  thread.acquired = thread.current;
  thread.released = thread.current;
  ++thread.current.Epoch(side);
}

void World::NotifyOther(Side side) {
  Thread& other = threads_[Other(side)];
  other.notified = true;
  other.notification.Join(threads_[side].current);
  ++threads_[side].current.Epoch(side);
}

void World::TakeNotification(Side side) {
  Thread& thread = threads_[side];
  ANNULUS_CHECK(thread.notified);
  thread.notified = false;
  thread.current.Join(thread.notification);
  thread.acquired.Join(thread.notification);
  thread.notification = View();
}

template <typename Function>
void World::ForEachView(Function function) {
  for (Thread& thread : threads_) {
    function(thread.current);
    function(thread.acquired);
    function(thread.released);
    function(thread.notification);
  }
  function(fences_);
  for (size_t i = 0; i < sync_count_; ++i) {
    for (size_t m = 0; m < syncs_[i].count; ++m) {
      function(syncs_[i].messages[m].view);
    }
  }
}

void World::Normalize() {
  ForgetOldMessages();
  ForgetKnownViews();
  CompressEpochs(kDriver);
  CompressEpochs(kDevice);
}

// The first message that one side can still read. Where it fences before, what
// the fences so far know of is known by then.
uint8_t World::Oldest(size_t sync) const {
  const uint8_t oldest =
      std::min(threads_[0].current.at[sync], threads_[1].current.at[sync]);
  return syncs_[sync].fenced ? std::max(oldest, fences_.at[sync]) : oldest;
}

// Those that neither side can read any more.
void World::ForgetOldMessages() {
  for (size_t i = 0; i < sync_count_; ++i) {
    const uint8_t old = Oldest(i);
    if (old == 0) continue;
    Sync& sync = syncs_[i];
    std::copy(sync.messages.begin() + old, sync.messages.begin() + sync.count,
              sync.messages.begin());
    sync.count = static_cast<uint8_t>(sync.count - old);
    ForEachView([i, old](View& view) {
      view.at[i] = static_cast<uint8_t>(std::max(view.at[i], old) - old);
    });
  }
}

// A view only ever joins that of a side: what this side knows anyway may as
// well be in it.
void World::ForgetKnownViews() {
  for (size_t i = 0; i < sync_count_; ++i) {
    for (size_t m = 0; m < syncs_[i].count; ++m) {
      Message& message = syncs_[i].messages[m];
      message.view.Join(threads_[Other(message.writer)].current);
      if (syncs_[i].fenced) message.view.Join(fences_);
    }
  }
  for (const Side side : {kDriver, kDevice}) {
    Thread& thread = threads_[side];
    thread.acquired.Join(thread.current);
    thread.acquired.Join(fences_);
    thread.released.Join(threads_[Other(side)].current);
    thread.notification.Join(thread.current);
  }
  fences_.Join(View::Meet(threads_[0].current, threads_[1].current));
}

// Epochs are only compared with those in views: rank them among these.
void World::CompressEpochs(Side side) {
  std::array<uint8_t, 256> rank = {};
  ForEachView([&](const View& view) { rank[view.Epoch(side)] = 1; });
  uint8_t below = 0;
  for (uint8_t& entry : rank) {
    const uint8_t present = entry;
    entry = below;
    below = static_cast<uint8_t>(below + present);
  }
  ForEachView([&](View& view) { view.Epoch(side) = rank[view.Epoch(side)]; });
  for (size_t i = 0; i < data_count_; ++i) {
    Datum& datum = data_[i];
    datum.read[side] = rank[datum.read[side]];
    if (datum.writer == side) datum.written = rank[datum.written];
  }
}

// Calls `function` with each trivially copyable piece of the state.
template <typename Function>
void World::Fields(Function function) {
  const auto view = [&](View& v) {
    for (size_t i = 0; i < sync_count_; ++i) function(v.at[i]);
    for (size_t i = kMaxSync; i < View::kSize; ++i) function(v.at[i]);
  };
  function(deferred);
  function(tried);
  for (Thread& thread : threads_) {
    function(thread.node);
    function(thread.notified);
    view(thread.current);
    view(thread.acquired);
    view(thread.released);
    view(thread.notification);
  }
  view(fences_);
  for (size_t i = 0; i < sync_count_; ++i) {
    function(syncs_[i].count);
    for (size_t m = 0; m < syncs_[i].count; ++m) {
      Message& message = syncs_[i].messages[m];
      function(message.value);
      function(message.writer);
      view(message.view);
    }
  }
  for (size_t i = 0; i < data_count_; ++i) {
    function(data_[i].value);
    function(data_[i].writer);
    function(data_[i].written);
    function(data_[i].read);
  }
}

std::string World::Encode() const {
  static_assert(sizeof(World) < 8192);
  std::array<char, 8192> bytes;
  char* at = bytes.data();
  const_cast<World*>(this)->Fields([&at](const auto& field) {
    static_assert(std::is_trivially_copyable_v<std::decay_t<decltype(field)>>);
    std::memcpy(at, &field, sizeof(field));
    at += sizeof(field);
  });
  return std::string(bytes.data(), at);
}

void World::Decode(const std::string& bytes) {
  size_t at = 0;
  Fields([&](auto& field) {
    std::memcpy(&field, bytes.data() + at, sizeof(field));
    at += sizeof(field);
  });
  ANNULUS_CHECK(at == bytes.size());
}

}  // namespace annulus::interleaving
