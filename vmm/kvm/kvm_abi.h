#ifndef VMM_KVM_KVM_ABI_H_
#define VMM_KVM_KVM_ABI_H_

// <linux/kvm.h> as C sees it. The one file that includes it.
//
// Kernel headers before 6.6 declare a structure's last array by way of an empty
// structure, which takes no byte in C and one in C++: sizes, offsets, and the
// ioctl numbers that encode the sizes would all be wrong (KVM_SET_GSI_ROUTING
// fails with ENOTTY). So the macro that does it is replaced first.
// kvm_abi_test.cc checks the result.

#include <linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]

#include <linux/kvm.h>

#endif  // VMM_KVM_KVM_ABI_H_
