// Any bytes, in any pieces, with events in between and a client that reads as
// it likes: nothing crashes, what waits is bounded, and what comes out can be
// read.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "proto/control.pb.h"
#include "vmm/control/control_session.h"
#include "vmm/control/delimited_message.h"
#include "vmm/control/fake_control_target.h"

namespace annulus {
namespace {

class NoTimer final : public StopTimer {
 public:
  void StopAfter(absl::Duration delay) override {
    ANNULUS_CHECK(delay > absl::ZeroDuration());
  }
};

// What a client with patience makes of it.
void Read(ControlSession& session, DelimitedReader& reader, size_t most) {
  const absl::string_view output = session.output().substr(0, most);
  reader.Append(output);
  session.Sent(output.size());
  while (const std::optional<absl::string_view> message = reader.Next()) {
    proto::ControlReply reply;
    ANNULUS_CHECK(reply.ParseFromArray(message->data(),
                                       static_cast<int>(message->size())));
  }
  ANNULUS_CHECK(reader.status().ok());
  session.Serve();
}

}  // namespace

// The first byte of each step says what happens: a piece of so many bytes
// comes, an event, or the client reads.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  absl::string_view input(reinterpret_cast<const char*>(data), size);
  FakeControlTarget target;
  target.counters = 100;
  NoTimer timer;
  ControlSession session(target, timer);
  DelimitedReader client(kMaxControlReply);
  while (!input.empty() && !session.failed()) {
    const auto step = static_cast<uint8_t>(input.front());
    input.remove_prefix(1);
    if (step < 0xc0) {
      const absl::string_view piece = input.substr(0, step);
      input.remove_prefix(piece.size());
      if (session.WantsInput()) session.Receive(piece);
    } else if (step < 0xe0) {
      session.OnEvent({.kind = static_cast<VmEvent::Kind>(step & 7),
                       .device = step & 8 ? "net0" : ""},
                      step & 16);
    } else {
      Read(session, client, size_t{1} << (step & 31));
    }
    ANNULUS_CHECK(session.output().size() <=
                  ControlSession::kMaxOutput + 16384 + size * 64);
  }
  while (!session.output().empty()) Read(session, client, 4096);
  return 0;
}

}  // namespace annulus
