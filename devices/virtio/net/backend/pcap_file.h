#ifndef DEVICES_VIRTIO_NET_BACKEND_PCAP_FILE_H_
#define DEVICES_VIRTIO_NET_BACKEND_PCAP_FILE_H_

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/log_sink.h"
#include "base/unique_fd.h"

namespace annulus::virtio {

// A file of Ethernet frames with times in nanoseconds, as tcpdump(1) and
// Wireshark read it: pcap-savefile(5), in the byte order of the host.
//
// Threads: thread-safe but for Begin(), which comes first. Records stay whole:
//   each is one write to a regular file, which Linux serializes.
class PcapFile {
 public:
  static constexpr uint32_t kSnapLength = 262'144;

  // `log` outlives it.
  PcapFile(UniqueFd file, LogSink& log) : file_(std::move(file)), log_(log) {}

  // Writes the head of the file. Fails if that fails, or if this is no regular
  // file: writes to others may block, and be torn.
  absl::Status Begin();

  // Hot. Appends `bytes` in `vectors`. A failure is logged, and the last write.
  void Append(absl::Span<const iovec> vectors, size_t bytes);

 private:
  ABSL_ATTRIBUTE_COLD void Fail(ssize_t written, int error);

  const UniqueFd file_;
  LogSink& log_;
  std::atomic<bool> failed_{false};  // Relaxed: guards no other memory.
};

// Writes records of a PcapFile.
//
// Threads: thread-compatible: one per thread.
// Allocation: none.
class PcapWriter {
 public:
  explicit PcapWriter(PcapFile& file) : file_(file) {}

  // Hot. Records a frame of `bytes`, of which `vectors` hold the beginning or
  // all; not one of more vectors than writev(2) takes.
  void Write(absl::Span<const iovec> vectors, uint32_t bytes);

 private:
  static constexpr size_t kMaxVectors = 1024;  // UIO_MAXIOV

  PcapFile& file_;
  std::array<iovec, kMaxVectors> vectors_;
};

}  // namespace annulus::virtio

#endif  // DEVICES_VIRTIO_NET_BACKEND_PCAP_FILE_H_
