#ifndef BASE_COUNTING_ALLOCATOR_H_
#define BASE_COUNTING_ALLOCATOR_H_

namespace annulus {

// For tests that a path allocates nothing: a program that links this counts
// what goes through operator new, unless it is aligned.
//
// Threads: any.
int AllocationCount();

}  // namespace annulus

#endif  // BASE_COUNTING_ALLOCATOR_H_
