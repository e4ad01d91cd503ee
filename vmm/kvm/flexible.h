#ifndef VMM_KVM_FLEXIBLE_H_
#define VMM_KVM_FLEXIBLE_H_

#include <cstddef>
#include <cstdlib>
#include <type_traits>

#include "base/check.h"

namespace annulus::kvm {

// Zeroed storage for one of KVM's structures that end in an array: a Header
// followed by room for `count` Elements.
//
// Threads: thread-compatible.
template <typename Header, typename Element>
class Flexible {
  static_assert(std::is_trivial_v<Header> && std::is_trivial_v<Element>);

 public:
  explicit Flexible(size_t count)
      : header_(static_cast<Header*>(
            std::calloc(1, sizeof(Header) + count * sizeof(Element)))) {
    ANNULUS_CHECK(header_ != nullptr);  // A few KiB, of our own choosing.
  }
  ~Flexible() { std::free(header_); }
  Flexible(const Flexible&) = delete;
  Flexible& operator=(const Flexible&) = delete;

  Header* get() { return header_; }
  Header* operator->() { return header_; }

 private:
  Header* const header_;
};

}  // namespace annulus::kvm

#endif  // VMM_KVM_FLEXIBLE_H_
