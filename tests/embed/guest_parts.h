#ifndef TESTS_EMBED_GUEST_PARTS_H_
#define TESTS_EMBED_GUEST_PARTS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "vmm/vmm.h"

namespace annulus {

// Parts of machines for tests that hand descriptors over themselves.

// An entropy device, which a program of the microguest uses; "rng" or
// "hostile".
VmConfig RngConfigOf(TransportKind transport, absl::string_view program);

// A card of one queue pair whose guest awaits each of its frames back.
VmConfig NetConfigOf(TransportKind transport, NetConfig::Backend backend,
                     uint64_t rounds = 20);

// A socket device whose guest sends back what one program of the host sends to
// port 5678. `listener` is a descriptor of the process.
VmConfig VsockConfigOf(TransportKind transport, const UniqueFd& listener);

// Listens at an abstract name that the kernel has chosen.
UniqueFd ListenSomewhere();
// A caller of it.
UniqueFd Call(const UniqueFd& listener);

// Both ends of a pipe: reading, writing.
std::pair<UniqueFd, UniqueFd> MakePipe();

// To the end.
std::string ReadAll(const UniqueFd& fd);

// What the guest of VsockConfigOf() is for: sends a message, and awaits it
// back. True if it came, and then the end. The socket has called already.
bool ExchangeMessage(const UniqueFd& socket);

}  // namespace annulus

#endif  // TESTS_EMBED_GUEST_PARTS_H_
