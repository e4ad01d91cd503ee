#include "devices/virtio/vsock/backend/unix_address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace annulus::virtio {

absl::StatusOr<UnixAddress> UnixAddress::Create(absl::string_view path) {
  if (path.empty() || path == "@") {
    return absl::InvalidArgumentError("the path of a socket is empty");
  }
  if (path.find('\0') != path.npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the path of a socket has a null character: ", QuotedPath(path)));
  }
  const absl::Status fits = CheckPathLength(path, "");
  if (!fits.ok()) return fits;
  UnixAddress address;
  std::copy(path.begin(), path.end(), address.address_.sun_path);
  if (path[0] == '@') address.address_.sun_path[0] = '\0';
  address.size_ = path.size();
  return address;
}

bool UnixAddress::Append(uint32_t number) {
  char* const begin = address_.sun_path;
  const std::to_chars_result end =
      std::to_chars(begin + size_, begin + kMaxBytes, number);
  if (end.ec != std::errc()) return false;
  size_ = static_cast<size_t>(end.ptr - begin);
  return true;
}

const sockaddr* UnixAddress::get() const {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address_));
}

sockaddr* AsSocketAddress(sockaddr_un& address) {
  return static_cast<sockaddr*>(static_cast<void*>(&address));
}

absl::string_view UnixName(const sockaddr_un& address, socklen_t size) {
  constexpr size_t kBegin = offsetof(sockaddr_un, sun_path);
  if (size <= kBegin) return {};
  const size_t bytes = std::min(size - kBegin, sizeof(address.sun_path));
  if (address.sun_path[0] == '\0') return {address.sun_path, bytes};
  return {address.sun_path, ::strnlen(address.sun_path, bytes)};
}

std::string QuotedPath(absl::string_view path) {
  return absl::StrCat("\"", absl::CHexEscape(path), "\"");
}

absl::Status CheckPathLength(absl::string_view path, absl::string_view suffix) {
  const size_t bytes = path.size() + suffix.size();
  if (bytes <= UnixAddress::kMaxBytes) return absl::OkStatus();
  const std::string with =
      suffix.empty() ? "" : absl::StrCat(" with the suffix ", suffix);
  return absl::InvalidArgumentError(absl::StrCat(
      "the path of a socket is too long: ", QuotedPath(path), " has ", bytes,
      " bytes", with, ", ", bytes - UnixAddress::kMaxBytes, " more than the ",
      UnixAddress::kMaxBytes, " of a socket's address"));
}

}  // namespace annulus::virtio
