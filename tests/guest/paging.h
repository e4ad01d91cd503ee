#ifndef TESTS_GUEST_PAGING_H_
#define TESTS_GUEST_PAGING_H_

#include <cstdint>

namespace guest {

// Makes the GiB around `address` accessible, one to one. The first four are
// from the start.
void MapGigabyte(uint64_t address);

}  // namespace guest

#endif  // TESTS_GUEST_PAGING_H_
