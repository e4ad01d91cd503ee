#ifndef MEMORY_SHARED_MESSAGE_H_
#define MEMORY_SHARED_MESSAGE_H_

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace annulus::memory {

// sendmsg(2) and recvmsg(2) of bytes that may lie in guest RAM. The kernel
// bears the guest's races with them; ThreadSanitizer, which knows nothing of
// the guest and so of what it orders, would look at the bytes in the C
// library's functions of these names.
//
// Threads: any. Errors: as the system calls, in errno.
inline ssize_t SendShared(int fd, const msghdr& message, int flags) {
  return ::syscall(SYS_sendmsg, fd, &message, flags);
}
inline ssize_t ReceiveShared(int fd, msghdr& message, int flags) {
  return ::syscall(SYS_recvmsg, fd, &message, flags);
}

}  // namespace annulus::memory

#endif  // MEMORY_SHARED_MESSAGE_H_
