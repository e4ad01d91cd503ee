// Entry points of the microguest: PVH (32-bit), the 64-bit Linux protocol, and
// application processors. All end in C++ in long mode, on identity-mapped
// memory below 4 GiB.

  .set CODE32, 0x08
  .set DATA, 0x10
  .set CODE64, 0x18
  .set STACK_SIZE, 0x4000
  .set AP_STACK_SIZE, 0x1000
  .set MAX_APS, 31
  .set CR0_PE, 1
  .set CR0_PG_BIT, 31
  .set CR4_PAE, 0x20
  .set MSR_EFER, 0xc0000080
  .set EFER_LME, 0x100

#ifdef GUEST_PVH
// "PVH": Xen's x86/HVM direct boot ABI. XEN_ELFNOTE_PHYS32_ENTRY is 18.
  .section .note.pvh, "a", @note
  .long 4, 8, 18
  .asciz "Xen"
  .quad pvh_entry
#endif

  .section .text.entry, "ax"

// Linux/x86 "64-bit Boot Protocol": rsi is the zero page, paging is on.
  .code64
  .globl linux64_entry
linux64_entry:
  cli
  mov $boot_stack_top, %esp
  lgdt gdt_pointer
  mov $page_map, %eax
  mov %rax, %cr3
  call load_segments
  mov $1, %edi
  jmp call_main

// ebx is hvm_start_info; 32-bit protected mode, paging is off.
  .code32
  .globl pvh_entry
pvh_entry:
  cli
  mov $boot_stack_top, %esp
  lgdt gdt_pointer
  call enable_paging
  ljmp $CODE64, $pvh_entry64

// Turns long mode on: the next far jump to CODE64 enters it.
enable_paging:
  mov $page_map, %eax
  mov %eax, %cr3
  mov %cr4, %eax
  or $CR4_PAE, %eax
  mov %eax, %cr4
  mov $MSR_EFER, %ecx
  rdmsr
  or $EFER_LME, %eax
  wrmsr
  mov %cr0, %eax
  bts $CR0_PG_BIT, %eax
  mov %eax, %cr0
  ret

  .code64
pvh_entry64:
  mov $boot_stack_top, %esp
  call load_segments
  mov %ebx, %esi
  xor %edi, %edi
call_main:
  // rdi: 0 for PVH, 1 for Linux; rsi: that protocol's structure.
  call GuestMain
1:
  hlt
  jmp 1b

load_segments:
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  // A far return to CODE64.
  pop %rax
  push $CODE64
  push %rax
  lretq

// Application processors. The startup IPI enters at a page below 1 MiB, so
// this part is copied there (smp.cc) and addresses itself through its cs.
  .code16
  .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
  cli
  mov %cs, %ax
  mov %ax, %ds
  lgdtl ap_gdt_pointer - ap_trampoline
  mov %cr0, %eax
  or $CR0_PE, %al
  mov %eax, %cr0
  ljmpl $CODE32, $ap_entry32
ap_gdt_pointer:
  .word gdt_end - gdt - 1
  .long gdt
ap_trampoline_end:

  .code32
ap_entry32:
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %ss
  // Each processor takes a number, and with it a stack.
  mov $1, %edi
  lock xadd %edi, ap_next
  cmp $MAX_APS, %edi
  jae 1f
  lea 1(%edi), %esp
  imul $AP_STACK_SIZE, %esp
  add $ap_stacks, %esp
  call enable_paging
  ljmp $CODE64, $ap_entry64
1:
  hlt
  jmp 1b

  .code64
ap_entry64:
  // The upper halves are undefined after the switch of modes.
  mov %esp, %esp
  mov %edi, %edi
  call load_segments
  call ApplicationProcessorMain
1:
  hlt
  jmp 1b

// Interrupts: a stub for each vector, 16 bytes apart.
  .text
  .balign 16
  .globl interrupt_stubs
interrupt_stubs:
  .set vector, 0
  .rept 256
  .balign 16
  // Of the exceptions, these push an error code; the others get a 0.
  .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
  push $0
  .endif
  .byte 0x68  // push imm32, whatever the value: all stubs have one length.
  .long vector
  jmp interrupt_common
  .set vector, vector + 1
  .endr

interrupt_common:
  push %rax
  push %rcx
  push %rdx
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  lea 72(%rsp), %rdi  // struct InterruptFrame
  cld
  call HandleInterrupt
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rax
  add $16, %rsp
  iretq

  .section .rodata
  .balign 8
gdt:
  .quad 0
  .quad 0x00cf9b000000ffff  // CODE32
  .quad 0x00cf93000000ffff  // DATA
  .quad 0x00af9b000000ffff  // CODE64
gdt_end:
gdt_pointer:
  .word gdt_end - gdt - 1
  .quad gdt

// Identity map of 4 GiB in 2 MiB pages. Not computed at run time: a software
// KVM needs milliseconds for that. .data: the processor sets accessed bits.
  .data
  .balign 0x1000
  .globl page_map
page_map:
  .quad page_directory_pointers + 3
  .fill 511, 8, 0
  .globl page_directory_pointers
page_directory_pointers:
  .quad page_directories + 0x0003
  .quad page_directories + 0x1003
  .quad page_directories + 0x2003
  .quad page_directories + 0x3003
  .fill 508, 8, 0
page_directories:
  .set page, 0
  .rept 2048
  .quad page + 0x83  // Present, writable, 2 MiB.
  .set page, page + 0x200000
  .endr

  .bss
  .balign 16
  .skip STACK_SIZE
boot_stack_top:
  .skip AP_STACK_SIZE * MAX_APS
  .set ap_stacks, boot_stack_top
ap_next:
  .skip 4

  .section .note.GNU-stack, "", @progbits
