#include "devices/virtio/net/backend/tap_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "devices/virtio/spec/net.h"

namespace annulus::virtio {
namespace {

constexpr char kTunPath[] = "/dev/net/tun";

// TUN_F_USO4 and TUN_F_USO6: since Linux 6.2, which takes both or none.
constexpr unsigned int kTunUso = 0x20 | 0x40;

constexpr short kTapFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

std::string Quoted(absl::string_view name) {
  return absl::StrCat("tap \"", name, "\"");
}

absl::Status CheckName(absl::string_view name) {
  // '%' would be a pattern from which the kernel makes up a name.
  if (name.empty() || name.size() >= IFNAMSIZ ||
      name.find_first_of("%/: \t\n") != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is no name of a network interface"));
  }
  return absl::OkStatus();
}

ifreq RequestFor(absl::string_view name) {
  ifreq request = {};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

absl::StatusOr<UniqueFd> OpenSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "opening a socket");
  return fd;
}

absl::Status BringUp(int socket, absl::string_view name) {
  ifreq request = RequestFor(name);
  if (::ioctl(socket, SIOCGIFFLAGS, &request) == 0) {
    request.ifr_flags |= IFF_UP;
    if (::ioctl(socket, SIOCSIFFLAGS, &request) == 0) return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("bringing up ", Quoted(name)));
}

// TUNSETIFF, as errno or 0.
int Attach(int fd, absl::string_view name, short flags) {
  ifreq request = RequestFor(name);
  request.ifr_flags = flags;
  return ::ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
}

absl::Status AttachError(int fd, int error, const OpenTapOptions& options) {
  const std::string name = Quoted(options.name);
  switch (error) {
    case EINVAL:
      // TUNSETIFF says no more than that; another attempt does.
      if (options.queue_pairs > 1 && Attach(fd, options.name, kTapFlags) == 0) {
        return absl::FailedPreconditionError(
            absl::StrCat(name, " has a single queue, ", options.queue_pairs,
                         " were asked for; make it with: ip tuntap add ",
                         options.name, " mode tap multi_queue"));
      }
      return absl::FailedPreconditionError(
          absl::StrCat("interface \"", options.name, "\" is no tap"));
    case EBUSY:
      return absl::UnavailableError(
          absl::StrCat(name, " is in use by another process"));
    case E2BIG:
      return absl::UnavailableError(
          absl::StrCat(name, " has fewer than the ", options.queue_pairs,
                       " queues that were asked for left"));
    default:
      return absl::ErrnoToStatus(error, absl::StrCat("attaching to ", name));
  }
}

absl::StatusOr<UniqueFd> OpenQueue(const OpenTapOptions& options) {
  UniqueFd fd(::open(kTunPath, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) {
    return absl::ErrnoToStatus(
        errno,
        absl::StrCat("opening ", kTunPath, " for ", Quoted(options.name)));
  }
  const bool several = options.queue_pairs > 1;
  int error = EINVAL;
  if (!several) error = Attach(fd.get(), options.name, kTapFlags);
  // One made for several is not to be had otherwise.
  if (error == EINVAL) {
    error = Attach(fd.get(), options.name, kTapFlags | IFF_MULTI_QUEUE);
  }
  if (error != 0) return AttachError(fd.get(), error, options);
  return fd;
}

absl::StatusOr<bool> IsTun(int fd) {
  struct stat file;
  if (::fstat(fd, &file) != 0) {
    return absl::ErrnoToStatus(errno, "looking at a tap's descriptor");
  }
  constexpr unsigned int kMisc = 10;
  constexpr unsigned int kTunMinor = 200;
  return S_ISCHR(file.st_mode) && major(file.st_rdev) == kMisc &&
         minor(file.st_rdev) == kTunMinor;
}

unsigned int TunFlags(const FeatureSet& offloads) {
  if (!offloads.Has(kNetGuestCsum)) return 0;
  unsigned int flags = TUN_F_CSUM;
  if (offloads.Has(kNetGuestTso4)) flags |= TUN_F_TSO4;
  if (offloads.Has(kNetGuestTso6)) flags |= TUN_F_TSO6;
  if ((flags & (TUN_F_TSO4 | TUN_F_TSO6)) != 0 && offloads.Has(kNetGuestEcn)) {
    flags |= TUN_F_TSO_ECN;
  }
  if (offloads.Has(kNetGuestUfo)) flags |= TUN_F_UFO;
  if (offloads.Has(kNetGuestUso4) && offloads.Has(kNetGuestUso6)) {
    flags |= kTunUso;
  }
  return flags;
}

}  // namespace

absl::StatusOr<std::vector<UniqueFd>> OpenTap(const OpenTapOptions& options) {
  ANNULUS_RETURN_IF_ERROR(CheckName(options.name));
  if (options.queue_pairs == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(options.name), " was asked for no queue pair"));
  }
  ANNULUS_ASSIGN_OR_RETURN(const UniqueFd socket, OpenSocket());
  // Looked for first: TUNSETIFF makes what is not there, and does not say so.
  ifreq request = RequestFor(options.name);
  const bool exists = ::ioctl(socket.get(), SIOCGIFINDEX, &request) == 0;
  if (!exists && !options.create) {
    return absl::NotFoundError(absl::StrCat(
        Quoted(options.name), " does not exist; make it with: ip tuntap add ",
        options.name, " mode tap",
        options.queue_pairs > 1 ? " multi_queue" : ""));
  }
  std::vector<UniqueFd> queues;
  for (uint16_t i = 0; i < options.queue_pairs; ++i) {
    ANNULUS_ASSIGN_OR_RETURN(UniqueFd queue, OpenQueue(options));
    queues.push_back(std::move(queue));
  }
  if (!exists) ANNULUS_RETURN_IF_ERROR(BringUp(socket.get(), options.name));
  return queues;
}

absl::StatusOr<TapInterface> DescribeTap(int fd) {
  ifreq request = {};
  if (::ioctl(fd, TUNGETIFF, &request) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("descriptor ", fd,
                                            " is no tap's, or its tap is "
                                            "gone: asking for its interface"));
  }
  TapInterface interface = {};
  interface.name = request.ifr_name;
  const short flags = request.ifr_flags;
  if ((flags & kTapFlags) != kTapFlags) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the descriptor of ", Quoted(interface.name),
        " was not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR"));
  }
  ANNULUS_ASSIGN_OR_RETURN(const bool is_tun, IsTun(fd));
  interface.multi_queue = !is_tun || (flags & IFF_MULTI_QUEUE) != 0;
  if (::ioctl(fd, SIOCGIFHWADDR, &request) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("asking for the address of ",
                                                   Quoted(interface.name)));
  }
  std::memcpy(interface.mac.data(), request.ifr_hwaddr.sa_data,
              interface.mac.size());
  return interface;
}

absl::Status PrepareTapQueue(int fd, absl::string_view name) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("making non-blocking ", Quoted(name)));
  }
  const int header_bytes = kNetHeaderBytes;
  if (::ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("setting the header size of ", Quoted(name)));
  }
  const int little_endian = 1;
  if (::ioctl(fd, TUNSETVNETLE, &little_endian) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("setting the byte order of ", Quoted(name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<FeatureSet> ProbeTapOffloads(int fd, absl::string_view name) {
  struct Step {
    unsigned int flags;
    FeatureSet offloads;
  };
  // Each needs those before it. What the kernel would give to a guest it takes
  // from one, too.
  const Step steps[] = {
      {TUN_F_CSUM, FeatureSet::Of(kNetCsum, kNetGuestCsum)},
      {TUN_F_TSO4, FeatureSet::Of(kNetHostTso4, kNetGuestTso4)},
      {TUN_F_TSO6, FeatureSet::Of(kNetHostTso6, kNetGuestTso6)},
      {TUN_F_TSO_ECN, FeatureSet::Of(kNetHostEcn, kNetGuestEcn)},
      {TUN_F_UFO, FeatureSet::Of(kNetHostUfo, kNetGuestUfo)},
      {kTunUso, FeatureSet::Of(kNetHostUso, kNetGuestUso4, kNetGuestUso6)},
  };
  FeatureSet offloads;
  unsigned int flags = 0;
  for (const Step& step : steps) {
    if (::ioctl(fd, TUNSETOFFLOAD, flags | step.flags) != 0) continue;
    flags |= step.flags;
    offloads = offloads.Union(step.offloads);
  }
  ANNULUS_RETURN_IF_ERROR(SetTapReceiveOffloads(fd, FeatureSet(), name));
  return offloads;
}

absl::Status SetTapReceiveOffloads(int fd, const FeatureSet& offloads,
                                   absl::string_view name) {
  if (::ioctl(fd, TUNSETOFFLOAD, TunFlags(offloads)) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(
      errno, absl::StrCat("setting the receive offloads of ", Quoted(name)));
}

absl::Status SetTapQueueAttached(int fd, bool attached,
                                 absl::string_view name) {
  ifreq request = {};
  request.ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
  if (::ioctl(fd, TUNSETQUEUE, &request) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(
      errno, absl::StrCat(attached ? "attaching" : "detaching", " a queue of ",
                          Quoted(name)));
}

}  // namespace annulus::virtio
