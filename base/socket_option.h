#ifndef ANNULUS_BASE_SOCKET_OPTION_H_
#define ANNULUS_BASE_SOCKET_OPTION_H_

namespace annulus {

// What a descriptor that somebody passed is, before it is used as a socket.
// Both take any number, also one of no open file, and change nothing.

// getsockopt(2) of SOL_SOCKET for an option that is an int and never negative,
// such as SO_DOMAIN, SO_TYPE and SO_ACCEPTCONN. -1: not a socket, or no such
// option.
int SocketOption(int fd, int name);

// Whether it is a socket that was connected. The other end may be gone by now:
// that is seen when something is sent.
bool IsConnected(int fd);

}  // namespace annulus

#endif  // ANNULUS_BASE_SOCKET_OPTION_H_
