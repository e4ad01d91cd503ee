#include "devices/virtio/net/backend/pcap_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"

namespace annulus::virtio {
namespace {

struct FileHeader {
  uint32_t magic = 0xa1b23c4d;  // Times in nanoseconds.
  uint16_t major = 2;
  uint16_t minor = 4;
  uint32_t reserved[2] = {};
  uint32_t snap_length = PcapFile::kSnapLength;
  uint32_t link_type = 1;  // LINKTYPE_ETHERNET
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
  uint32_t seconds;
  uint32_t nanoseconds;
  uint32_t captured;  // Bytes that follow.
  uint32_t original;  // Bytes that the frame had.
};
static_assert(sizeof(RecordHeader) == 16);

}  // namespace

absl::Status PcapFile::Begin() {
  struct stat file;
  if (::fstat(file_.get(), &file) != 0) {
    return absl::ErrnoToStatus(errno, "looking at the pcap file");
  }
  // Anything else could make a worker wait.
  if (!S_ISREG(file.st_mode)) {
    return absl::InvalidArgumentError("the pcap file is no regular file");
  }
  const FileHeader header;
  const ssize_t written = ::write(file_.get(), &header, sizeof(header));
  if (written == sizeof(header)) return absl::OkStatus();
  return absl::ErrnoToStatus(written < 0 ? errno : ENOSPC,
                             "writing the head of the pcap file");
}

void PcapFile::Append(absl::Span<const iovec> vectors, size_t bytes) {
  if (failed_.load(std::memory_order_relaxed)) return;
  // Interrupted, a write to a file that began is not, and one that did not
  // begin is none: threads of the library see no signal, however.
  const ssize_t written =
      ::writev(file_.get(), vectors.data(), static_cast<int>(vectors.size()));
  if (written != static_cast<ssize_t>(bytes)) Fail(written, errno);
}

void PcapFile::Fail(ssize_t written, int error) {
  // Another thread may be here, too: one line.
  if (failed_.exchange(true, std::memory_order_relaxed)) return;
  log_.Log(LogSeverity::kWarning,
           absl::StrCat(
               "recording of frames ends: writing the pcap file: ",
               written < 0 ? std::strerror(error) : "only a part was written"));
}

void PcapWriter::Write(absl::Span<const iovec> vectors, uint32_t bytes) {
  if (vectors.size() >= kMaxVectors) return;
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  RecordHeader header = {static_cast<uint32_t>(now.tv_sec),
                         static_cast<uint32_t>(now.tv_nsec), 0, bytes};
  vectors_[0] = {&header, sizeof(header)};
  size_t count = 1;
  for (const iovec& vector : vectors) {
    const size_t part =
        std::min<size_t>(vector.iov_len, bytes - header.captured);
    if (part == 0) break;
    vectors_[count++] = {vector.iov_base, part};
    header.captured += static_cast<uint32_t>(part);
  }
  file_.Append(absl::MakeConstSpan(vectors_.data(), count),
               sizeof(header) + header.captured);
}

}  // namespace annulus::virtio
