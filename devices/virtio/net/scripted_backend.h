#ifndef DEVICES_VIRTIO_NET_SCRIPTED_BACKEND_H_
#define DEVICES_VIRTIO_NET_SCRIPTED_BACKEND_H_

#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "devices/virtio/net/backend/frame_copy.h"
#include "devices/virtio/net/backend/net_backend.h"
#include "devices/virtio/spec/net.h"
#include "gtest/gtest.h"

namespace annulus::virtio {

// Bytes that look like no others.
inline std::string NoiseFrame(size_t bytes, uint32_t seed) {
  std::string frame(bytes, '\0');
  for (char& byte : frame) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return frame;
}

// For tests of one queue: keeps what is sent, gives what it was told to, and
// fails as it was told to. Everything is a header and then a frame.
//
// Threads: all on one.
class ScriptedBackend final : public NetBackendQueue {
 public:
  // What the next Send() or Receive() does instead; then as usual.
  std::deque<TransferStatus> failures;
  std::vector<std::string> sent;
  std::deque<std::string> to_receive;

  Transfer Send(absl::Span<const iovec> frame, uint32_t bytes) override {
    if (!failures.empty()) return Fail();
    std::string all;
    for (const iovec& vector : frame) {
      EXPECT_NE(vector.iov_len, 0u);
      all.append(static_cast<const char*>(vector.iov_base), vector.iov_len);
    }
    EXPECT_EQ(all.size(), bytes);
    EXPECT_EQ(frame[0].iov_len, kNetHeaderBytes);
    EXPECT_LE(frame.size(), 1024u) << "more than writev takes";
    sent.push_back(std::move(all));
    return {TransferStatus::kDone, bytes};
  }

  uint32_t SendPlain(absl::Span<const iovec> frames) override {
    if (!failures.empty()) return 0;
    EXPECT_FALSE(frames.empty());
    const size_t count = std::min<size_t>(frames.size(), takes_plain);
    for (const iovec& frame : frames.first(count)) {
      sent.push_back(
          std::string(kNetHeaderBytes, '\0')
              .append(static_cast<const char*>(frame.iov_base), frame.iov_len));
    }
    sent_plain += static_cast<uint32_t>(count);
    return static_cast<uint32_t>(count);
  }

  // How many frames SendPlain() takes at once; how many it took in all.
  uint32_t takes_plain = 0;
  uint32_t sent_plain = 0;

  Transfer Receive(absl::Span<const iovec> room) override {
    if (!failures.empty()) return Fail();
    if (to_receive.empty()) return {TransferStatus::kAgain, 0};
    EXPECT_EQ(room[0].iov_len, kNetHeaderBytes);
    EXPECT_LE(room.size(), 1024u) << "more than readv takes";
    const std::string frame = to_receive.front();
    to_receive.pop_front();
    size_t done = 0;
    for (const iovec& vector : room) {
      const size_t here = std::min(vector.iov_len, frame.size() - done);
      std::memcpy(vector.iov_base, frame.data() + done, here);
      done += here;
    }
    EXPECT_EQ(done, frame.size()) << "a frame was cut off";
    return {TransferStatus::kDone, static_cast<uint32_t>(frame.size())};
  }

  uint32_t CopyPlain(absl::Span<const iovec> rooms,
                     absl::Span<uint32_t> bytes) override {
    if (!failures.empty() || !copies_plain) return 0;
    EXPECT_LE(rooms.size(), bytes.size());
    uint32_t count = 0;
    while (count < rooms.size() && count < to_receive.size()) {
      const std::string& frame = to_receive[count];
      constexpr size_t kLeast = kNetHeaderBytes + 14;  // An Ethernet header.
      if (frame.size() < kLeast ||
          frame.size() > kNetHeaderBytes + kNetMaxFrameBytes ||
          frame.size() > rooms[count].iov_len ||
          frame.find_first_not_of('\0') < kNetHeaderBytes) {
        break;
      }
      CopyPlainFrame(PlainFrame(frame), rooms[count]);
      bytes[count++] = static_cast<uint32_t>(frame.size());
    }
    if (after_copy) after_copy();
    last_copied_ = count;
    return count;
  }
  void TakeCopied() override {
    copied += last_copied_;
    to_receive.erase(to_receive.begin(), to_receive.begin() + last_copied_);
  }

  // Whether CopyPlain() gives any; called before it returns; how many frames
  // were taken by it.
  bool copies_plain = true;
  std::function<void()> after_copy;
  uint32_t copied = 0;

  // Of no meaning: nobody polls here.
  int readable_fd() const override { return 1000; }
  int writable_fd() const override { return 1001; }

 private:
  static absl::Span<const uint8_t> PlainFrame(const std::string& all) {
    return absl::MakeConstSpan(
        reinterpret_cast<const uint8_t*>(all.data()) + kNetHeaderBytes,
        all.size() - kNetHeaderBytes);
  }
  Transfer Fail() {
    const TransferStatus status = failures.front();
    failures.pop_front();
    return {status, 0};
  }

  uint32_t last_copied_ = 0;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_SCRIPTED_BACKEND_H_
