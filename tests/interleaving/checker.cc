#include "tests/interleaving/checker.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "tests/interleaving/action.h"
#include "tests/interleaving/world.h"

namespace annulus::interleaving {
namespace {

using Kind = Action::Kind;

absl::string_view Name(Side side) {
  return side == kDriver ? "driver" : "device";
}

absl::string_view Name(Call call) {
  switch (call) {
    case Call::kNone:
      return "(loop)";
    case Call::kAdd:
      return "Add";
    case Call::kNeedsNotification:
      return "NeedsNotification";
    case Call::kGetUsed:
      return "GetUsed";
    case Call::kDisableCallbacks:
      return "DisableCallbacks";
    case Call::kEnableCallbacks:
      return "EnableCallbacks";
    case Call::kPop:
      return "Pop";
    case Call::kPush:
      return "Push";
    case Call::kPublish:
      return "Publish";
    case Call::kDisableNotifications:
      return "DisableNotifications";
    case Call::kEnableNotifications:
      return "EnableNotifications";
    case Call::kHasAvailable:
      return "HasAvailable";
  }
  return "?";
}

absl::string_view OrderName(int order) {
  if (order == __ATOMIC_ACQUIRE) return " acquire";
  if (order == __ATOMIC_RELEASE) return " release";
  return "";
}

// What a store puts into one of the fields that it covers.
uint64_t PartOf(const Action& action, const Location& l) {
  return action.value >> (8 * (l.offset - action.offset)) &
         ~uint64_t{0} >> (64 - 8 * l.bytes);
}

// 128 bits, so that two states are taken for one practically never.
using Key = std::pair<uint64_t, uint64_t>;

uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

Key KeyOf(absl::string_view bytes) {
  uint64_t a = 0x9e3779b97f4a7c15 ^ bytes.size();
  uint64_t b = 0xc2b2ae3d27d4eb4f;
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    __builtin_memcpy(&word, bytes.data() + i,
                     std::min<size_t>(8, bytes.size() - i));
    a = Mix(a ^ word, 0xd6e8feb86659fd93);
    b = Mix(b + word, 0xa0761d6478bd642f) + a;
  }
  return {a, b};
}

struct Step {
  Side side = kDriver;
  uint8_t option = 0;
};

class Explorer {
 public:
  Explorer(const Locations& locations, Automaton& driver, Automaton& device,
           const Method& method)
      : locations_(locations), sides_{&driver, &device}, method_(method) {}

  Exploration Run();

 private:
  struct Visit {
    uint32_t parent = 0;
    Step step;
  };

  const Action& ActionOf(const World& world, Side side) const {
    return sides_[side]->action(world.thread(side).node);
  }
  bool Acquires(const Action& action) const {
    return method_.model == Model::kX86 || action.order != __ATOMIC_RELAXED;
  }

  // The synchronizing field among those that a load covers, if any.
  const Location* SyncField(const Action& action) const;
  // Nothing that the other side does can matter to it, nor can it matter to the
  // other: done together with the action before it.
  bool IsLocal(const World& world, Side side) const;
  size_t Options(const World& world, Side side) const;
  std::vector<Step> Steps(const World& world) const;
  void Defer(World& world) const;
  // Another option leaves the side with the same value and fewer duties: all
  // that can follow this one can follow that one.
  bool IsDominated(const World& world, Side side, size_t option) const;
  // What the driver waits for happened: the device did something on whose order
  // with the driver's next action something depends.
  bool Conflicts(const Action& driver, const Action& device) const;

  // Does one action, and the local ones that follow. False: failure_ says why.
  bool Apply(World& world, Step step);
  bool Do(World& world, Side side, size_t option);
  bool DoLoad(World& world, Side side, const Action& action, size_t option,
              uint64_t& value);
  bool DoStore(World& world, Side side, const Action& action);
  bool RunLocal(World& world, Side side);
  bool Fail(std::string what);
  // Both sleep, and nothing will wake them: is there nothing to do?
  bool CheckSleep(const World& world);

  void Trace(Side side, const Action& action, absl::string_view what);
  void TraceTo(uint32_t state);

  const Locations& locations_;
  Automaton* const sides_[kSides];
  const Method method_;
  Exploration result_;
  std::vector<Visit> visits_;
  bool tracing_ = false;
};

const Location* Explorer::SyncField(const Action& action) const {
  for (const Location& l : locations_.Fields(action.offset, action.bytes)) {
    if (l.sync) return &l;
  }
  return nullptr;
}

bool Explorer::IsLocal(const World& world, Side side) const {
  const Action& action = ActionOf(world, side);
  switch (action.kind) {
    case Kind::kStore:
      // The other side may see an older value as long as it likes: to store
      // sooner takes no choice from it.
      return true;
    case Kind::kLoad:
      // Ordered, or a failure.
      return SyncField(action) == nullptr;
    case Kind::kNotify:
      // Not if it might become one with a notification before it.
      return method_.reduce && !world.thread(Other(side)).notified;
    case Kind::kFail:
      return true;
    default:
      return false;
  }
}

size_t Explorer::Options(const World& world, Side side) const {
  const Action& action = ActionOf(world, side);
  switch (action.kind) {
    case Kind::kLoad:
      return world.Readable(side, SyncField(action)->index);
    case Kind::kWait:
      return (world.thread(side).notified ? 1 : 0) +
             (action.may_add && world.tried == 0 ? 1 : 0);
    case Kind::kChoose:
      return action.value;
    default:
      return 1;
  }
}

bool Explorer::IsDominated(const World& world, Side side, size_t option) const {
  const Action& action = ActionOf(world, side);
  return method_.reduce && action.kind == Kind::kLoad &&
         world.IsDominated(side, SyncField(action)->index, option);
}

bool Explorer::Conflicts(const Action& driver, const Action& device) const {
  switch (driver.kind) {
    case Kind::kLoad:
      return device.kind == Kind::kStore &&
             SyncField(device) == SyncField(driver);
    case Kind::kFence:
      return device.kind == Kind::kFence;
    case Kind::kWait:
      return device.kind == Kind::kNotify;
    case Kind::kNotify:
      return device.kind == Kind::kWait;
    default:
      return false;
  }
}

bool Explorer::Apply(World& world, Step step) {
  if (step.side == kDriver) {
    world.deferred = false;
  } else if (method_.reduce && ActionOf(world, kDevice).kind != Kind::kChoose) {
    if (!world.deferred) Defer(world);
    world.deferred = true;
  }
  if (!Do(world, step.side, step.option)) return false;
  if (!RunLocal(world, step.side)) return false;
  world.Normalize();
  return CheckSleep(world);
}

bool Explorer::RunLocal(World& world, Side side) {
  while (IsLocal(world, side)) {
    if (!Do(world, side, 0)) return false;
  }
  return true;
}

bool Explorer::Do(World& world, Side side, size_t option) {
  const Action action = ActionOf(world, side);
  if (side == kDriver) {
    world.tried = 0;
  } else if (world.deferred && Conflicts(ActionOf(world, kDriver), action)) {
    world.deferred = false;
  }
  uint64_t value = 0;
  switch (action.kind) {
    case Kind::kLoad:
      if (!DoLoad(world, side, action, option, value)) return false;
      break;
    case Kind::kStore:
      if (!DoStore(world, side, action)) return false;
      break;
    case Kind::kFence:
      Trace(side, action, "fence");
      world.Fence(side);
      break;
    case Kind::kNotify:
      Trace(side, action, absl::StrCat("notifies the ", Name(Other(side))));
      world.NotifyOther(side);
      break;
    case Kind::kWait:
      if (world.thread(side).notified && option == 0) {
        value = kNotified;
        world.TakeNotification(side);
      } else {
        value = kAsked;
      }
      Trace(side, action,
            value == kNotified ? "wakes, notified" : "wakes to add buffers");
      break;
    case Kind::kChoose:
      value = option;
      Trace(side, action, absl::StrCat("chooses ", option));
      break;
    case Kind::kFail:
      Trace(side, action, action.text);
      return Fail(absl::StrCat(Name(side), ": ", action.text));
  }
  world.thread(side).node = sides_[side]->Next(world.thread(side).node, value);
  return true;
}

bool Explorer::DoLoad(World& world, Side side, const Action& action,
                      size_t option, uint64_t& value) {
  const absl::Span<const Location> fields =
      locations_.Fields(action.offset, action.bytes);
  std::string what = absl::StrCat("load", OrderName(action.order));
  const Location* const sync = SyncField(action);
  uint64_t sync_value = 0;
  if (sync != nullptr) {
    sync_value = world.Load(side, sync->index, option, Acquires(action));
  }
  for (const Location& l : fields) {
    uint64_t part = sync_value;
    if (tracing_) absl::StrAppend(&what, " ", l.name);
    if (&l != sync) {
      const std::optional<uint64_t> loaded =
          world.LoadData(side, l.index, sync == nullptr);
      if (!loaded.has_value() && sync == nullptr) {
        Trace(side, action, what);
        return Fail(absl::StrCat("the ", Name(side), " loads ", l.name,
                                 ", not ordered after the other's store"));
      }
      // One word is loaded with the field that says whether to look at it. If
      // not, it may be anything.
      part = loaded.value_or(~uint64_t{0} >> (64 - 8 * l.bytes));
    }
    if (tracing_) absl::StrAppendFormat(&what, " = %#x", part);
    value |= part << (8 * (l.offset - action.offset));
  }
  if (tracing_ && sync != nullptr && world.Readable(side, sync->index) != 1) {
    absl::StrAppendFormat(&what, " (old: %s = %#x is stored)", sync->name,
                          world.Newest(sync->index));
  }
  Trace(side, action, what);
  return true;
}

bool Explorer::DoStore(World& world, Side side, const Action& action) {
  const absl::Span<const Location> fields =
      locations_.Fields(action.offset, action.bytes);
  if (tracing_) {
    std::string what = absl::StrCat("store", OrderName(action.order));
    for (const Location& l : fields) {
      absl::StrAppendFormat(&what, " %s = %#x", l.name, PartOf(action, l));
    }
    Trace(side, action, what);
  }
  // Those that do not synchronize first: whoever sees the one that does, by an
  // acquire of a release, sees them too.
  for (const bool sync : {false, true}) {
    for (const Location& l : fields) {
      if (l.sync != sync) continue;
      const uint64_t part = PartOf(action, l);
      const bool ordered =
          sync ? world.Store(side, l.index, static_cast<uint32_t>(part),
                             Acquires(action))
               : world.StoreData(side, l.index, part);
      if (ordered) continue;
      return Fail(absl::StrCat("the ", Name(side), " stores ", l.name,
                               ", not ordered after the other's access"));
    }
  }
  return true;
}

bool Explorer::CheckSleep(const World& world) {
  for (const Side side : {kDriver, kDevice}) {
    if (ActionOf(world, side).kind != Kind::kWait ||
        world.thread(side).notified) {
      return true;
    }
  }
  const uint64_t in_flight = ActionOf(world, kDriver).value;
  if (in_flight == 0) {
    if (!tracing_) ++result_.resting;
    return true;
  }
  return Fail(absl::StrCat("both sides sleep, and ", in_flight,
                           " buffers are not back"));
}

bool Explorer::Fail(std::string what) {
  result_.failure = std::move(what);
  return false;
}

void Explorer::Trace(Side side, const Action& action, absl::string_view what) {
  if (!tracing_) return;
  result_.trace.push_back(absl::StrFormat("%4d  %-6s  %-20s  %s",
                                          result_.trace.size() + 1, Name(side),
                                          Name(action.call), what));
}

// Goes to state number `state` from the start once more, writing it down.
void Explorer::TraceTo(uint32_t state) {
  std::vector<Step> steps;
  for (uint32_t at = state; at != 0; at = visits_[at].parent) {
    steps.push_back(visits_[at].step);
  }
  tracing_ = true;
  World world(locations_, method_.trust_fences);
  for (const Side side : {kDriver, kDevice}) {
    world.thread(side).node = sides_[side]->start();
    if (!RunLocal(world, side)) return;
  }
  world.Normalize();
  for (size_t i = steps.size(); i > 0; --i) {
    if (!Apply(world, steps[i - 1])) return;
  }
}

// The driver goes first, unless its next action is deferred until the device
// has done something that conflicts with it. An order in which the driver acts
// after device actions that do not conflict is the same as one in which it acts
// before.
std::vector<Step> Explorer::Steps(const World& world) const {
  std::vector<Step> steps;
  const auto add = [&](Side side, size_t from) {
    const size_t options = Options(world, side);
    for (size_t option = from; option < options; ++option) {
      if (IsDominated(world, side, option)) continue;
      steps.push_back({side, static_cast<uint8_t>(option)});
    }
  };
  if (ActionOf(world, kDevice).kind == Kind::kChoose) {
    add(kDevice, 0);
    return steps;
  }
  if (!world.deferred) {
    const bool load = ActionOf(world, kDriver).kind == Kind::kLoad;
    add(kDriver, load ? world.tried : 0);
  }
  // A choice is nobody else's concern.
  if (ActionOf(world, kDriver).kind != Kind::kChoose) add(kDevice, 0);
  return steps;
}

// The options that the driver has now are tried at once; later only those count
// that it has not now.
void Explorer::Defer(World& world) const {
  const Action& action = ActionOf(world, kDriver);
  if (action.kind == Kind::kLoad) {
    world.tried = static_cast<uint8_t>(Options(world, kDriver));
  } else if (action.kind == Kind::kWait) {
    world.tried = 1;
  }
}

Exploration Explorer::Run() {
  absl::flat_hash_set<Key> seen;
  std::deque<std::pair<uint32_t, std::string>> frontier;
  World world(locations_, method_.trust_fences);
  bool ok = true;
  for (const Side side : {kDriver, kDevice}) {
    world.thread(side).node = sides_[side]->start();
    ok = ok && RunLocal(world, side);
  }
  world.Normalize();
  visits_.emplace_back();
  frontier.emplace_back(0, world.Encode());
  seen.insert(KeyOf(frontier.back().second));
  size_t level_end = 1;  // States up to the present depth.

  while (ok && !frontier.empty() && visits_.size() < method_.max_states) {
    const auto [state, bytes] = std::move(frontier.front());
    frontier.pop_front();
    if (state == level_end) {
      ++result_.depth;
      level_end = visits_.size();
    }
    world.Decode(bytes);
    for (const Step step : Steps(world)) {
      World next = world;
      ++result_.transitions;
      ok = Apply(next, step);
      if (!ok) {
        visits_.push_back({state, step});
        break;
      }
      std::string encoded = next.Encode();
      if (!seen.insert(KeyOf(encoded)).second) continue;
      frontier.emplace_back(static_cast<uint32_t>(visits_.size()),
                            std::move(encoded));
      visits_.push_back({state, step});
    }
  }
  result_.states = visits_.size();
  result_.complete = ok && frontier.empty();
  result_.driver_nodes = sides_[kDriver]->size();
  result_.device_nodes = sides_[kDevice]->size();
  if (!ok) TraceTo(static_cast<uint32_t>(visits_.size() - 1));
  return std::move(result_);
}

}  // namespace

std::string Exploration::Summary() const {
  return absl::StrFormat(
      "%8d states, %9d transitions, depth %4d, %5d at rest; "
      "nodes: driver %5d, device %5d%s",
      states, transitions, depth, resting, driver_nodes, device_nodes,
      complete          ? ""
      : failure.empty() ? "; NOT COMPLETE"
                        : "; FAILURE");
}

Exploration Explore(const Locations& locations, Automaton& driver,
                    Automaton& device, const Method& method) {
  return Explorer(locations, driver, device, method).Run();
}

}  // namespace annulus::interleaving
