; From the loader's 32-bit protected mode to C in long mode, in the higher half.
;
; Both entries arrive with paging off, flat segments and the address of their information in EBX.
; The tables made here hold
;   - an identity map of the image, only until the jump to the higher half;
;   - the image at KERNEL_BASE in 4 KiB pages: text r-x, rodata r--, data rw-, so that W^X holds
;     from the first C instruction on;
;   - the first 4 GiB at DIRECT_MAP in 2 MiB pages, rw- and no-execute, read-only where the image's
;     text and rodata lie. mm/table/direct_map.c replaces it by one that covers all memory and nothing else.

%include "boot/layout.inc"

extern kernel_entry
extern __text_start, __text_end, __rodata_end, __image_end

%define PHYS(sym) (sym - KERNEL_BASE)
IMAGE_TABLES    equ 8                   ; tables of 4 KiB pages for the image
; For linker.ld, which compares them with its own.
global asm_kernel_base, asm_image_end
asm_kernel_base equ KERNEL_BASE
asm_image_end   equ KERNEL_BASE + IMAGE_TABLES * 0x200000

global start_pvh, start_multiboot2, boot_stack_top, boot_pml4, boot_gdt_desc

section .text
bits 32
start_pvh:
        xor     ebp, ebp                ; BOOT_PVH
        jmp     start32

start_multiboot2:
        mov     ebp, 1                  ; BOOT_MULTIBOOT2
        cmp     eax, 0x36d76289
        je      start32
        mov     ebp, 2                  ; an unknown loader: C says so on the console

start32:
        cli
        cld
        mov     esp, PHYS(boot_stack_top)
        call    check_long_mode
        call    build_tables

        ENABLE_LONG_MODE PHYS(boot_pml4)
        lgdt    [PHYS(boot_gdt_desc)]
        jmp     0x08:PHYS(long_mode)

; A CPU without long mode or NX cannot run Pteron: say so on the serial line and stop.
check_long_mode:
        mov     esi, ebx                ; CPUID overwrites the loader's EBX
        mov     eax, 0x80000000
        cpuid
        cmp     eax, 0x80000001
        jb      .missing
        mov     eax, 0x80000001
        cpuid
        mov     ebx, esi
        and     edx, (1 << 29) | (1 << 20)
        cmp     edx, (1 << 29) | (1 << 20)
        jne     .missing
        ret
.missing:
        mov     esi, PHYS(no_long_mode)
        mov     dx, 0x3f8
.next:
        lodsb
        test    al, al
        jz      .stop
        out     dx, al
        jmp     .next
.stop:
        hlt
        jmp     .stop

build_tables:
        ; L4: identity (temporary), direct map, image
        mov     dword [PHYS(boot_pml4)], PHYS(direct_l3) + PTE_P + PTE_RW
        mov     dword [PHYS(boot_pml4) + DIRECT_MAP_L4 * 8], PHYS(direct_l3) + PTE_P + PTE_RW
        mov     dword [PHYS(boot_pml4) + DIRECT_MAP_L4 * 8 + 4], PTE_NX_HIGH
        mov     dword [PHYS(boot_pml4) + 511 * 8], PHYS(image_l3) + PTE_P + PTE_RW
        mov     dword [PHYS(image_l3) + 510 * 8], PHYS(image_l2) + PTE_P + PTE_RW

        ; L3 and L2 of the first 4 GiB
        mov     edi, PHYS(direct_l3)
        mov     eax, PHYS(direct_l2) + PTE_P + PTE_RW
        mov     ecx, 4
.l3:
        mov     [edi], eax
        add     eax, 0x1000
        add     edi, 8
        loop    .l3
        mov     edi, PHYS(direct_l2)
        mov     eax, PTE_P | PTE_RW | PTE_PSE
        mov     ecx, 4 * 512
.l2:
        mov     [edi], eax
        add     eax, 0x200000
        add     edi, 8
        loop    .l2
        ; not writable through the direct map: text and rodata
        mov     esi, PHYS(__text_start)
        shr     esi, 21
.ro:
        and     dword [PHYS(direct_l2) + esi * 8], ~PTE_RW
        inc     esi
        mov     eax, esi
        shl     eax, 21
        cmp     eax, PHYS(__rodata_end)
        jb      .ro

        ; L2 and L1 of the image
        mov     edi, PHYS(image_l2)
        mov     eax, PHYS(image_l1) + PTE_P + PTE_RW
        mov     ecx, IMAGE_TABLES
.image_l2:
        mov     [edi], eax
        add     eax, 0x1000
        add     edi, 8
        loop    .image_l2
        mov     edi, PHYS(image_l1)
        mov     esi, PHYS(__text_start)
        mov     ecx, esi
        shr     ecx, 12
        lea     edi, [edi + ecx * 8]    ; the tables map from physical 0 on
.page:
        cmp     esi, PHYS(__image_end)
        jae     .done
        mov     eax, esi
        or      eax, PTE_P | PTE_G
        xor     edx, edx
        cmp     esi, PHYS(__text_end)
        jb      .store
        mov     edx, PTE_NX_HIGH
        cmp     esi, PHYS(__rodata_end)
        jb      .store
        or      eax, PTE_RW
.store:
        mov     [edi], eax
        mov     [edi + 4], edx
        add     esi, 0x1000
        add     edi, 8
        jmp     .page
.done:
        ret

bits 64
long_mode:
        mov     rax, higher_half
        jmp     rax

section .text
higher_half:
        mov     rsp, boot_stack_top
        lgdt    [rel boot_gdt_desc64]
        xor     eax, eax
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     fs, eax
        mov     gs, eax
        mov     qword [rel boot_pml4], 0        ; the identity map goes
        mov     rax, cr4
        mov     rcx, rax
        and     ecx, ~CR4_PGE
        mov     cr4, rcx                        ; and with it every TLB entry, global ones too
        mov     cr4, rax
        mov     edi, ebp
        mov     esi, ebx
        xor     ebp, ebp                        ; the end of a backtrace
        call    kernel_entry
.never:
        hlt
        jmp     .never

section .rodata
no_long_mode:
        db "pteron: this CPU has no 64-bit mode with no-execute pages; Pteron needs both", 13, 10, 0
align 8
boot_gdt:
        dq 0
        dq 0x00af9a000000ffff           ; 0x08 kernel code, 64-bit
        dq 0x00cf92000000ffff           ; 0x10 kernel data
boot_gdt_end:
boot_gdt_desc:
        dw boot_gdt_end - boot_gdt - 1
        dd PHYS(boot_gdt)
align 8
boot_gdt_desc64:
        dw boot_gdt_end - boot_gdt - 1
        dq boot_gdt

section .bss nobits alloc noexec write align=4096
boot_pml4:      resb 4096
image_l3:       resb 4096
image_l2:       resb 4096
direct_l3:      resb 4096
direct_l2:      resb 4 * 4096
image_l1:       resb IMAGE_TABLES * 4096
boot_stack:     resb 16384
boot_stack_top:
