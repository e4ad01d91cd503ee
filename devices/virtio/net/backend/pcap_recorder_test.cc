#include "devices/virtio/net/backend/pcap_recorder.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"
#include "devices/virtio/net/backend/all_offloads.h"
#include "devices/virtio/net/backend/frame_ring.h"
#include "devices/virtio/net/backend/loopback_backend.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/net/backend/null_backend.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {
namespace {

class CountingLog : public LogSink {
 public:
  void Log(LogSeverity, absl::string_view line) override {
    ++lines;
    last = std::string(line);
  }
  int lines = 0;
  std::string last;
};

std::string PathOf(absl::string_view name) {
  return absl::StrCat(testing::TempDir(), "/", name, ".pcap");
}

UniqueFd Open(const std::string& path) {
  return UniqueFd(
      ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600));
}

// What tcpdump says of each frame, and an error at the end if there is one.
std::string TcpDump(const std::string& path, absl::string_view options) {
  const std::string command = absl::StrCat("tcpdump --nano -nn -r '", path,
                                           "' ", options, " 2>/dev/null");
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::string all;
  char some[4096];
  while (const size_t bytes = ::fread(some, 1, sizeof(some), pipe)) {
    all.append(some, bytes);
  }
  if (::pclose(pipe) != 0) all += "(tcpdump failed)\n";
  return all;
}

bool HasTcpDump() {
  return std::system("tcpdump --version >/dev/null 2>&1") == 0;
}

// Of ethertype 0x88b5, from :01 to :02.
std::vector<uint8_t> Frame(size_t bytes, uint8_t content) {
  std::vector<uint8_t> frame = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
  frame.resize(bytes, content);
  return frame;
}

Transfer Send(NetBackendQueue& queue, std::vector<uint8_t> frame) {
  std::array<uint8_t, kNetHeaderBytes> header = {};
  const iovec vectors[] = {{header.data(), header.size()},
                           {frame.data(), 13},
                           {frame.data() + 13, frame.size() - 13}};
  const Transfer sent =
      queue.Send(vectors, static_cast<uint32_t>(header.size() + frame.size()));
  queue.Flush();
  return sent;
}

Transfer Receive(NetBackendQueue& queue, size_t room_bytes) {
  std::vector<uint8_t> room(kNetHeaderBytes + room_bytes);
  const iovec vectors[] = {{room.data(), kNetHeaderBytes},
                           {room.data() + kNetHeaderBytes, 7},
                           {room.data() + kNetHeaderBytes + 7, room_bytes - 7}};
  return queue.Receive(vectors);
}

std::unique_ptr<PcapRecorder> Record(std::unique_ptr<NetBackend> backend,
                                     const std::string& path, LogSink& log) {
  auto recorder = PcapRecorder::Create(std::move(backend), Open(path), log);
  EXPECT_TRUE(recorder.ok()) << recorder.status();
  return *std::move(recorder);
}

TEST(PcapRecorderTest, TcpDumpReadsBothDirections) {
  if (!HasTcpDump()) GTEST_SKIP() << "no tcpdump here";
  const std::string path = PathOf("both");
  const auto recorder =
      Record(*LoopbackBackend::Create(1), path, NullLogSink());
  NetBackendQueue& queue = recorder->queue(0);
  // Nothing there, and no frame: not recorded.
  EXPECT_EQ(Receive(queue, 100).status, TransferStatus::kAgain);
  EXPECT_EQ(Send(queue, Frame(FrameRing::kMaxFrameBytes, 1)).status,
            TransferStatus::kDropped);
  ASSERT_EQ(Send(queue, Frame(20, 0xab)).status, TransferStatus::kDone);
  ASSERT_EQ(Receive(queue, 100).status, TransferStatus::kDone);
  EXPECT_EQ(
      TcpDump(path, "-t -e -xx"),
      "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype Unknown (0x88b5), "
      "length 20: \n"
      "\t0x0000:  0200 0000 0002 0200 0000 0001 88b5 abab\n"
      "\t0x0010:  abab abab\n"
      "02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype Unknown (0x88b5), "
      "length 20: \n"
      "\t0x0000:  0200 0000 0001 0200 0000 0002 88b5 abab\n"
      "\t0x0010:  abab abab\n");
}

TEST(PcapRecorderTest, TimesAreThoseOfNow) {
  if (!HasTcpDump()) GTEST_SKIP() << "no tcpdump here";
  const std::string path = PathOf("times");
  const auto recorder = Record(*NullBackend::Create({}), path, NullLogSink());
  const time_t before = ::time(nullptr);
  ASSERT_EQ(Send(recorder->queue(0), Frame(20, 1)).status,
            TransferStatus::kDone);
  const time_t after = ::time(nullptr);
  long long seconds = 0;
  char digits[10] = {};
  ASSERT_EQ(
      ::sscanf(TcpDump(path, "-tt").c_str(), "%lld.%9[0-9]", &seconds, digits),
      2);
  EXPECT_EQ(std::string(digits).size(), 9u);
  EXPECT_GE(seconds, before);
  EXPECT_LE(seconds, after);
}

TEST(PcapRecorderTest, FrameThatWasCutOffHasItsLengthStill) {
  if (!HasTcpDump()) GTEST_SKIP() << "no tcpdump here";
  const std::string path = PathOf("cut");
  const auto recorder = Record(*NullBackend::Create({.generate_bytes = 100}),
                               path, NullLogSink());
  ASSERT_EQ(Receive(recorder->queue(0), 20).bytes, 112u);
  EXPECT_EQ(TcpDump(path, "-t -e -xx"),
            "02:00:00:00:00:00 > ff:ff:ff:ff:ff:ff, ethertype Unknown "
            "(0x88b5), length 100: \n"
            "\t0x0000:  ffff ffff ffff 0200 0000 0000 88b5 0000\n"
            "\t0x0010:  0000 0000\n");
}

// As header split reads: the first bytes to other memory than the rest. The
// record has the frame as it was.
TEST(PcapRecorderTest, FrameThatWasReadToSeveralPlacesIsOneRecord) {
  constexpr off_t kFileHead = 24;
  constexpr off_t kRecordHead = 16;
  const std::string path = PathOf("aside");
  const auto recorder =
      Record(*LoopbackBackend::Create(1), path, NullLogSink());
  NetBackendQueue& queue = recorder->queue(0);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  off_t at = kFileHead;
  for (const size_t aside_bytes : {1ul, 13ul, 66ul, 100ul, 500ul}) {
    ASSERT_EQ(Send(queue, Frame(100, 0xab)).status, TransferStatus::kDone);
    at += kRecordHead + 100;  // As it was sent.
    std::array<uint8_t, kNetHeaderBytes> header;
    std::vector<uint8_t> aside(aside_bytes, 0xee);
    std::vector<uint8_t> page(20, 0xee);
    std::vector<uint8_t> overflow(kNetMaxFrameBytes, 0xee);
    const iovec vectors[] = {{header.data(), header.size()},
                             {aside.data(), aside.size()},
                             {page.data(), page.size()},
                             {overflow.data(), overflow.size()}};
    ASSERT_EQ(queue.Receive(vectors).bytes, 112u);
    std::array<uint32_t, 4> record;
    ASSERT_EQ(::pread(file.get(), record.data(), sizeof(record), at),
              kRecordHead);
    EXPECT_EQ(record[2], 100u);
    EXPECT_EQ(record[3], 100u);
    std::vector<uint8_t> frame(100);
    ASSERT_EQ(::pread(file.get(), frame.data(), 100, at + kRecordHead), 100);
    std::vector<uint8_t> swapped = Frame(100, 0xab);
    std::swap_ranges(swapped.begin(), swapped.begin() + 6, swapped.begin() + 6);
    EXPECT_EQ(frame, swapped);
    at += kRecordHead + 100;
  }
}

TEST(PcapRecorderTest, RecordsOfConcurrentQueuesStayWhole) {
  if (!HasTcpDump()) GTEST_SKIP() << "no tcpdump here";
  const std::string path = PathOf("concurrent");
  const auto recorder =
      Record(*NullBackend::Create({.queue_pairs = 2, .generate_bytes = 300}),
             path, NullLogSink());
  constexpr int kFrames = 500;
  std::thread threads[] = {std::thread([&] {
                             for (int i = 0; i < kFrames; ++i)
                               Send(recorder->queue(0), Frame(100, 1));
                           }),
                           std::thread([&] {
                             for (int i = 0; i < kFrames; ++i)
                               Send(recorder->queue(1), Frame(200, 2));
                           }),
                           std::thread([&] {
                             for (int i = 0; i < kFrames; ++i)
                               Receive(recorder->queue(1), 300);
                           })};
  for (std::thread& thread : threads) thread.join();
  for (const int length : {100, 200, 300}) {
    const std::string lines =
        TcpDump(path, absl::StrCat("-t -e | grep -c 'length ", length, ":'"));
    EXPECT_EQ(lines, absl::StrCat(kFrames, "\n"));
  }
}

TEST(PcapRecorderTest, FailedWriteEndsRecordingAndNothingElse) {
  const std::string path = PathOf("full");
  CountingLog log;
  const auto recorder = Record(*NullBackend::Create({}), path, log);
  // The file may grow by one record, and a half.
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {24 + 116 + 50, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  TransferStatus status[4];
  for (TransferStatus& each : status) {
    each = Send(recorder->queue(0), Frame(100, 1)).status;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_DFL);
  for (const TransferStatus each : status) {
    EXPECT_EQ(each, TransferStatus::kDone);
  }
  EXPECT_EQ(log.lines, 1);
  EXPECT_TRUE(absl::StrContains(log.last, "recording of frames ends"))
      << log.last;
}

TEST(PcapRecorderTest, WhatIsNoWritableFileIsRefused) {
  for (const char* path : {"/dev/null", "/proc/self/exe"}) {
    const auto recorder = PcapRecorder::Create(
        *NullBackend::Create({}), UniqueFd(::open(path, O_RDONLY | O_CLOEXEC)),
        NullLogSink());
    EXPECT_FALSE(recorder.ok()) << path;
  }
}

TEST(PcapRecorderTest, WhatIsDiscardedWasNotReceived) {
  const std::string path = PathOf("discarded");
  const auto recorder =
      Record(*LoopbackBackend::Create(1), path, NullLogSink());
  NetBackendQueue& queue = recorder->queue(0);
  ASSERT_EQ(Send(queue, Frame(20, 0xab)).status, TransferStatus::kDone);
  queue.Discard();
  EXPECT_EQ(Receive(queue, 100).status, TransferStatus::kAgain);
}

TEST(PcapRecorderTest, ItIsTheOtherBackendInAllElse) {
  const auto recorder = Record(*NullBackend::Create({.queue_pairs = 3}),
                               PathOf("other"), NullLogSink());
  EXPECT_EQ(recorder->queue_pairs(), 3);
  EXPECT_EQ(recorder->offloads(), kAllOffloads);
  EXPECT_EQ(recorder->queue(2).readable_fd(), -1);
  EXPECT_TRUE(recorder->link_up());
}

}  // namespace
}  // namespace annulus::virtio
