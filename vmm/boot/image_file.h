#ifndef VMM_BOOT_IMAGE_FILE_H_
#define VMM_BOOT_IMAGE_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "memory/guest_address.h"
#include "memory/guest_memory.h"
#include "memory/guest_span.h"

namespace annulus::boot {

// A kernel or an initrd, as a file to read from, or as one that is in memory.
//
// A file is read with pread(2), never mapped: one that somebody truncates
// meanwhile gives an error here, where a mapping would give SIGBUS.
//
// Threads: thread-compatible.
// Trust: the content is untrusted, and two reads of one place may differ; a
//   header is therefore read once.
// Errors: InvalidArgument, beginning with the object's name and a colon.
class ImageFile {
 public:
  // `fd` is borrowed and must outlive the object. `name` is what error messages
  // call it: "kernel". Refuses all but regular files, and empty ones.
  static absl::StatusOr<ImageFile> Open(int fd, absl::string_view name);

  // The same for what is in memory already; `content` must outlive the object.
  static absl::StatusOr<ImageFile> OfMemory(absl::Span<const uint8_t> content,
                                            absl::string_view name);

  // As of Open().
  uint64_t size() const { return size_; }
  const std::string& name() const { return name_; }

  // Reads exactly out.size() bytes; it is an error if the file has less.
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> out) const;

  // The same, straight into guest RAM. ResourceExhausted where
  // [address, address + length) is not RAM. The RAM is fresh: what is zero in a
  // content in memory is not written, so that it takes no memory of the host.
  absl::Status ReadIntoGuest(uint64_t offset, uint64_t length,
                             const memory::GuestMemory& memory,
                             memory::GuestAddress address) const;

  // "kernel: " + reason, the form of all errors about the content.
  absl::Status Invalid(absl::string_view reason) const;

 private:
  ImageFile(int fd, absl::Span<const uint8_t> content, absl::string_view name,
            uint64_t size)
      : fd_(fd), content_(content), name_(name), size_(size) {}

  // OK where all of `target` has been filled.
  absl::Status Fill(uint64_t offset, const memory::GuestSpan& target) const;

  int fd_;                             // Not owned. -1: it is in memory.
  absl::Span<const uint8_t> content_;  // Not owned. Only where it is in memory.
  std::string name_;
  uint64_t size_;
};

}  // namespace annulus::boot

#endif  // VMM_BOOT_IMAGE_FILE_H_
