#include "cli/control_text.h"

#include "gtest/gtest.h"

namespace annulus::cli {
namespace {

proto::ControlEvent Event(proto::ControlEvent::Kind kind) {
  proto::ControlEvent event;
  event.set_kind(kind);
  event.set_time_ns(1767323045678000000);
  return event;
}

TEST(ControlTextTest, EventsAreOneLineEach) {
  proto::ControlEvent event = Event(proto::ControlEvent::QUEUE_BROKEN);
  event.set_device("net0");
  event.set_queue(3);
  EXPECT_EQ(EventLine(event), "2026-01-02T03:04:05.678Z net0 queue 3 broken\n");
  event = Event(proto::ControlEvent::LINK_CHANGED);
  event.set_device("net1");
  event.set_lost(12);
  EXPECT_EQ(EventLine(event),
            "2026-01-02T03:04:05.678Z (12 lost before) net1 link down\n");
  event = Event(proto::ControlEvent::STOPPED);
  event.set_exit_reason("debug exit");
  event.set_exit_code(5);
  EXPECT_EQ(EventLine(event),
            "2026-01-02T03:04:05.678Z stopped: debug exit (code 5)\n");
  // Of a newer machine.
  event = Event(static_cast<proto::ControlEvent::Kind>(99));
  EXPECT_EQ(EventLine(event), "2026-01-02T03:04:05.678Z something else\n");
}

TEST(ControlTextTest, StatusIsALineForEachField) {
  proto::ControlStatus status;
  status.set_name("vm\x1b[2J");
  status.set_state(proto::ControlStatus::RUNNING);
  status.set_uptime_ms(61250);
  status.set_cpus(2);
  status.set_memory_bytes(512 << 20);
  status.set_net_cards(1);
  status.set_pid(77);
  EXPECT_EQ(StatusText(status),
            "name:    vm\\x1b[2J\nstate:   running\nuptime:  61.2 s\n"
            "cpus:    2\nmemory:  512 MiB\ncards:   1\npid:     77\n");
}

}  // namespace
}  // namespace annulus::cli
