#include "vmm/boot/image_file.h"

#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/checked_math.h"
#include "memory/guest_span.h"
#include "vmm/boot/layout.h"

namespace annulus::boot {
namespace {

// Linux moves at most 2 GiB - 4 KiB in one call; pieces of this size also keep
// a signal's wait short.
constexpr size_t kMaxPiece = size_t{64} << 20;

// preadv(2) until all of `target` is filled. 0 on success, -1 at the end of
// the file, else errno.
int ReadFully(int fd, uint64_t offset, const memory::GuestSpan& target) {
  size_t done = 0;
  while (done < target.size()) {
    const iovec piece =
        target.Subspan(done, std::min(target.size() - done, kMaxPiece))
            .AsIovec();
    const ssize_t got =
        ::preadv(fd, &piece, 1, static_cast<off_t>(offset + done));
    if (got == 0) return -1;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    done += static_cast<size_t>(got);
  }
  return 0;
}

void CopyWhatIsNotZero(absl::Span<const uint8_t> from,
                       const memory::GuestSpan& to) {
  static constexpr uint8_t kZeroes[kPageSize] = {};
  for (size_t done = 0; done < from.size(); done += kPageSize) {
    const absl::Span<const uint8_t> piece = from.subspan(done, kPageSize);
    if (std::memcmp(piece.data(), kZeroes, piece.size()) == 0) continue;
    to.CopyIn(done, piece);
  }
}

}  // namespace

absl::StatusOr<ImageFile> ImageFile::Open(int fd, absl::string_view name) {
  struct stat status;
  if (::fstat(fd, &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(name, ": cannot stat"));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": not a regular file"));
  }
  if (status.st_size <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": file is empty"));
  }
  return ImageFile(fd, {}, name, static_cast<uint64_t>(status.st_size));
}

absl::StatusOr<ImageFile> ImageFile::OfMemory(absl::Span<const uint8_t> content,
                                              absl::string_view name) {
  if (content.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": is empty"));
  }
  return ImageFile(-1, content, name, content.size());
}

absl::Status ImageFile::Fill(uint64_t offset,
                             const memory::GuestSpan& target) const {
  const int error = ReadFully(fd_, offset, target);
  if (error < 0) return Invalid("file became shorter while it was read");
  if (error > 0) {
    return absl::ErrnoToStatus(error, absl::StrCat(name_, ": cannot read"));
  }
  return absl::OkStatus();
}

absl::Status ImageFile::ReadAt(uint64_t offset, absl::Span<uint8_t> out) const {
  // Also keeps the sum below 2^63, which is all that off_t can say.
  if (!RangeFits<uint64_t>(offset, out.size(), size_)) {
    return Invalid(absl::StrFormat(
        "truncated: %u bytes at %#x are needed, the file has %u bytes",
        out.size(), offset, size_));
  }
  if (fd_ < 0) {
    std::copy_n(content_.begin() + static_cast<ptrdiff_t>(offset), out.size(),
                out.begin());
    return absl::OkStatus();
  }
  return Fill(offset, memory::GuestSpan(out.data(), out.size()));
}

absl::Status ImageFile::ReadIntoGuest(uint64_t offset, uint64_t length,
                                      const memory::GuestMemory& memory,
                                      memory::GuestAddress address) const {
  if (!RangeFits<uint64_t>(offset, length, size_)) {
    return Invalid(absl::StrFormat(
        "truncated: %u bytes at %#x are needed, the file has %u bytes", length,
        offset, size_));
  }
  const std::optional<memory::GuestSpan> span = memory.Map(address, length);
  if (!span.has_value()) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: %u bytes at %#x are not in guest RAM", name_,
                        length, address.value()));
  }
  // Also what a failed read has left there.
  memory.MarkDirty(address, length);
  if (fd_ >= 0) return Fill(offset, *span);
  CopyWhatIsNotZero(content_.subspan(offset, length), *span);
  return absl::OkStatus();
}

absl::Status ImageFile::Invalid(absl::string_view reason) const {
  return absl::InvalidArgumentError(absl::StrCat(name_, ": ", reason));
}

}  // namespace annulus::boot
