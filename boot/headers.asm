; What a loader looks for in the image: the PVH note (QEMU -kernel, Xen PVH) and the Multiboot2
; header (GRUB). There is no Multiboot1 header: QEMU refuses a 64-bit ELF that has one.
; Sources: Xen's public/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY), Multiboot2 specification 2.0, 3.1.

%include "boot/layout.inc"

extern start_pvh
extern start_multiboot2

XEN_ELFNOTE_PHYS32_ENTRY equ 18

section .note.pvh note alloc noexec nowrite align=4
        dd 4                            ; name size
        dd 8                            ; descriptor size
        dd XEN_ELFNOTE_PHYS32_ENTRY
        db "Xen", 0
        dq start_pvh - KERNEL_BASE      ; physical, paging off

MB2_MAGIC       equ 0xe85250d6
MB2_TAG_ENTRY   equ 3
MB2_TAG_ALIGN   equ 6
MB2_TAG_END     equ 0

; The first 32 KiB of the file, 8-byte aligned.
section .multiboot2 progbits alloc noexec nowrite align=8
mb2_header:
        dd MB2_MAGIC
        dd 0                            ; i386, protected mode
        dd mb2_header_end - mb2_header
        dd 0x100000000 - (MB2_MAGIC + (mb2_header_end - mb2_header))
        align 8
        dw MB2_TAG_ENTRY, 0
        dd 12
        dd start_multiboot2 - KERNEL_BASE
        align 8
        dw MB2_TAG_ALIGN, 0             ; modules start on a page
        dd 8
        align 8
        dw MB2_TAG_END, 0
        dd 8
mb2_header_end:
