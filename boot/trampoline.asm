; The first code of an application processor: real mode, at the page that SIPI named. boot/smp.c
; copies it to TRAMPOLINE and fills the words at its end. The tables in trampoline_cr3 are the
; kernel's, and this one page mapped to itself, executable and read-only.

%include "boot/layout.inc"

global trampoline_start, trampoline_end, trampoline_cr3, trampoline_stack, trampoline_entry

%define AT(sym) (TRAMPOLINE + sym - trampoline_start)

section .rodata
align 16
bits 16
trampoline_start:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        lgdt    [AT(gdt_desc)]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword 0x08:AT(protected)

bits 32
protected:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        ENABLE_LONG_MODE [AT(trampoline_cr3)]
        jmp     0x18:AT(long_mode)

bits 64
long_mode:
        xor     eax, eax
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     fs, eax
        mov     gs, eax
        mov     rsp, [AT(trampoline_stack)]
        mov     rax, [AT(trampoline_entry)]
        xor     ebp, ebp
        call    rax

align 8
gdt:
        dq 0
        dq 0x00cf9a000000ffff           ; 0x08 code, 32-bit
        dq 0x00cf92000000ffff           ; 0x10 data
        dq 0x00af9a000000ffff           ; 0x18 code, 64-bit
gdt_end:
gdt_desc:
        dw gdt_end - gdt - 1
        dd AT(gdt)
align 8
trampoline_cr3:         dq 0
trampoline_stack:       dq 0
trampoline_entry:       dq 0
trampoline_end:
