#ifndef BASE_SETTLE_HEAP_H_
#define BASE_SETTLE_HEAP_H_

namespace annulus {

// The C library opens files for the heaps of threads, each when it first wants
// to know: free(3) /proc/sys/vm/overcommit_memory when such a heap shrinks,
// malloc(3) /sys/devices/system/cpu/online when there are many. Makes that be
// now, and not in a thread that a sandbox kills for it.
//
// Threads: any; starts two for a moment, the first time.
void SettleHeap();

}  // namespace annulus

#endif  // BASE_SETTLE_HEAP_H_
