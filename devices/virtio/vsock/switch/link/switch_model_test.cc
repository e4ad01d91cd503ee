// Random guests against a model of what each of them must see: every packet of
// a connection once and in order, nothing of an earlier connection between the
// same ports, and the end of each connection, whoever ended it.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "devices/virtio/spec/vsock.h"
#include "devices/virtio/vsock/backend/socket_testing.h"
#include "devices/virtio/vsock/packet_header.h"
#include "devices/virtio/vsock/switch/switch_fixture.h"
#include "devices/virtio/vsock/switch/vsock_switch.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

// A connection as one guest sees it. Its packets carry `id` as their buf_alloc
// and count RW in fwd_cnt, which the switch leaves alone.
struct View {
  uint32_t id = 0;
  bool asked = false;  // It is to be answered.
  bool open = false;
  uint32_t sent = 0;
  uint32_t received = 0;
};
// Own port, peer's CID, peer's port.
using Key = std::tuple<uint32_t, uint64_t, uint32_t>;

struct Guest {
  std::unique_ptr<TestGuest> test;
  std::map<Key, View> views;
};

class Model {
 public:
  Model(uint32_t seed, VsockSwitch& one, VsockSwitch& two) : random_(seed) {
    for (const uint64_t cid : {3, 4, 5}) {
      guests_[cid].test =
          std::make_unique<TestGuest>(cid == 5 ? two : one, cid);
    }
  }

  void Step() {
    auto& [cid, guest] = *std::next(guests_.begin(), Below(3));
    switch (Below(20)) {
      case 0:
      case 1:
        Request(guest);
        break;
      case 2:
        if (Below(10) == 0) Restart(guest);
        break;
      case 3:
        End(guest, kVsockOpRst);
        break;
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        Data(guest);
        break;
      default:
        guest.test->sink.buffers = Below(12);
        Deliver(guest);
        break;
    }
  }

  // Lets everything arrive; then both ends must agree.
  void Finish() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& [cid, guest] : guests_) {
        guest.test->sink.buffers = 1000;
        const bool readable = guest.test->Readable();
        busy |= Deliver(guest) || readable;
      }
    }
    for (auto& [cid, guest] : guests_) {
      for (const auto& [key, view] : guest.views) {
        const auto [own_port, peer_cid, peer_port] = key;
        auto& peer_views = guests_[peer_cid].views;
        const auto other = peer_views.find({peer_port, cid, own_port});
        ASSERT_NE(other, peer_views.end())
            << cid << " was not told of the end of " << view.id;
        EXPECT_EQ(other->second.id, view.id);
        EXPECT_TRUE(view.open);
        EXPECT_EQ(other->second.sent, view.received);
        survivors += 1;
      }
    }
  }

  int survivors = 0;
  int packets = 0;
  int resets = 0;

 private:
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>(random_() % bound);
  }

  // False: it is answered with RST.
  static bool Send(Guest& guest, const Key& key, uint32_t id, uint16_t op,
                   uint32_t count = 0, const std::string& payload = "") {
    const auto [own_port, peer_cid, peer_port] = key;
    PacketHeader header = guest.test->Header(peer_cid, own_port, peer_port, op);
    header.buf_alloc = id;
    header.fwd_cnt = count;
    if (op == kVsockOpRw) header.flags = kVsockSeqEom;
    return !guest.test->Send(header, payload).has_value();
  }

  // Few ports, so that they are reused at once; also of a live connection.
  void Request(Guest& guest) {
    const uint64_t peer = 3 + Below(3);
    if (peer == guest.test->cid()) return;
    const Key key = {1000 + Below(3), peer, 80 + Below(2)};
    guest.views[key] = {.id = ++last_id_};
    if (!Send(guest, key, last_id_, kVsockOpRequest)) guest.views.erase(key);
  }

  std::optional<Key> Any(const Guest& guest) {
    if (guest.views.empty()) return std::nullopt;
    return std::next(guest.views.begin(),
                     Below(static_cast<uint32_t>(guest.views.size())))
        ->first;
  }

  void Data(Guest& guest) {
    const std::optional<Key> key = Any(guest);
    if (!key || !guest.views[*key].open) return;
    View& view = guest.views[*key];
    const std::string payload(1 + Below(9000), static_cast<char>(view.sent));
    if (Send(guest, *key, view.id, kVsockOpRw, view.sent, payload)) {
      ++view.sent;
    } else {
      guest.views.erase(*key);
    }
  }

  void End(Guest& guest, uint16_t op) {
    const std::optional<Key> key = Any(guest);
    if (!key) return;
    const View view = guest.views[*key];
    guest.views.erase(*key);
    EXPECT_TRUE(Send(guest, *key, view.id, op));  // Never answered.
    if (view.open) totals_[view.id][guest.test->cid()] = view.sent;
  }

  void Restart(Guest& guest) {
    guest.test->Reset();
    guest.views.clear();
    guest.test->Start();
  }

  // True: something came. The guest reads all of it, then it answers.
  bool Deliver(Guest& guest) {
    guest.test->Deliver();
    const std::vector<RecordingSink::Packet> came =
        std::exchange(guest.test->sink.packets, {});
    for (const auto& packet : came) Take(guest, packet);
    std::vector<Key> asked;
    for (const auto& [key, view] : guest.views) {
      if (view.asked) asked.push_back(key);
    }
    for (const Key& key : asked) Answer(guest, key);
    return !came.empty();
  }

  void Answer(Guest& guest, const Key& key) {
    View& view = guest.views[key];
    view.asked = false;
    view.open = true;
    if (Below(5) == 0) {
      EXPECT_TRUE(Send(guest, key, view.id, kVsockOpRst));
      guest.views.erase(key);
    } else if (!Send(guest, key, view.id, kVsockOpResponse)) {
      guest.views.erase(key);
    }
  }

  void Take(Guest& guest, const RecordingSink::Packet& packet) {
    ++packets;
    const PacketHeader& header = packet.header;
    ASSERT_EQ(header.dst_cid, guest.test->cid());
    const Key key = {header.dst_port, header.src_cid, header.src_port};
    const auto found = guest.views.find(key);
    const bool known = found != guest.views.end();
    switch (header.op) {
      case kVsockOpRequest:
        ASSERT_FALSE(known) << "REQUEST on a live connection";
        guest.views[key] = {.id = header.buf_alloc, .asked = true};
        return;
      case kVsockOpResponse:
        ASSERT_TRUE(known && !found->second.open && !found->second.asked);
        ASSERT_EQ(found->second.id, header.buf_alloc);
        found->second.open = true;
        return;
      case kVsockOpRst: {
        ASSERT_TRUE(known) << "told twice, or of nothing";
        const auto total = totals_.find(found->second.id);
        if (total != totals_.end() && total->second.contains(header.src_cid)) {
          EXPECT_EQ(found->second.received, total->second[header.src_cid]);
        }
        ++resets;
        guest.views.erase(found);
        return;
      }
      case kVsockOpRw: {
        ASSERT_TRUE(known && found->second.open);
        View& view = found->second;
        ASSERT_EQ(view.id, header.buf_alloc) << "of another connection";
        ASSERT_EQ(view.received, header.fwd_cnt) << "lost or out of order";
        ASSERT_EQ(packet.payload,
                  std::string(header.len, static_cast<char>(view.received)));
        // One packet of the sender may become several; the last has its flags.
        if (header.flags == kVsockSeqEom) ++view.received;
        return;
      }
      default:
        FAIL() << header.op;
    }
  }

  std::mt19937 random_;
  std::map<uint64_t, Guest> guests_;
  uint32_t last_id_ = 0;
  // How much each end had sent of a connection that it ended.
  std::map<uint32_t, std::map<uint64_t, uint32_t>> totals_;
};

// Whether the third guest lives in another process.
class SwitchModelTest : public ::testing::TestWithParam<bool> {};

TEST_P(SwitchModelTest, NothingIsLostReorderedOrMistaken) {
  const SocketDirectory directory;
  int survivors = 0;
  int packets = 0;
  int resets = 0;
  for (uint32_t seed = 0; seed < 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const SwitchOptions options = {.directory = directory.path()};
    const auto one = *VsockSwitch::Create(options);
    const auto two = GetParam() ? *VsockSwitch::Create(options) : one;
    Model model(seed, *one, *two);
    for (int i = 0; i < 1000 && !HasFatalFailure(); ++i) model.Step();
    model.Finish();
    survivors += model.survivors;
    packets += model.packets;
    resets += model.resets;
  }
  // It did happen.
  EXPECT_GT(survivors, 100);
  EXPECT_GT(packets, 10000);
  EXPECT_GT(resets, 1000);
}

INSTANTIATE_TEST_SUITE_P(Processes, SwitchModelTest, ::testing::Bool());

}  // namespace
}  // namespace annulus::virtio
