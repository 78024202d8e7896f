; The least that a kernel does for a page fault and for a system call: what tests/bench/meter.c lets ring 3
; and the kernel measure, in a build with METER=1. Each saves what a C function may change, as if it had one
; to call, and goes back; a fault's goes on behind the instruction, which is PROBE_SIZE long.
;
; While they are in place (meter_probe()) no other fault may come; a system call may: the one that ends it.

%ifdef CONFIG_METER
default rel

%include "kernel/arch/ptregs.inc"
%include "pv/xen/iret.inc"

extern cpu_tss, syscall_user_sp, syscall_entry, xen_syscall_callback

global meter_fault, meter_syscall, meter_xen_fault, meter_xen_syscall

PROBE_SIZE      equ 3                   ; mov byte [rax], 0
METER_CALL      equ 298                 ; perf_event_open
SAVED           equ 9 * 8

%macro SAVE 0
        push    rax
        push    rcx
        push    rdx
        push    rsi
        push    rdi
        push    r8
        push    r9
        push    r10
        push    r11
%endmacro

%macro RESTORE 0
        pop     r11
        pop     r10
        pop     r9
        pop     r8
        pop     rdi
        pop     rsi
        pop     rdx
        pop     rcx
        pop     rax
%endmacro

section .text

meter_fault:
        test    byte [rsp + 2 * 8], 3
        jz      .kernel
        swapgs
.kernel:
        SAVE
        cld
        mov     rax, cr2
        add     qword [rsp + SAVED + 8], PROBE_SIZE
        test    byte [rsp + SAVED + 2 * 8], 3
        jz      .to_kernel
        swapgs
.to_kernel:
        RESTORE
        add     rsp, 8
        iretq

meter_syscall:
        cmp     eax, METER_CALL
        je      syscall_entry
        swapgs
        mov     [rel gs:syscall_user_sp], rsp
        mov     rsp, [rel gs:cpu_tss + TSS_SP0]
        push    rcx
        push    r11
        pop     r11
        pop     rcx
        mov     rsp, [rel gs:syscall_user_sp]
        swapgs
        o64 sysret

; Xen pushes rcx and r11 besides, and keeps CR2 in memory: the load is one of the stack instead.
meter_xen_fault:
        pop     rcx
        pop     r11
        SAVE
        cld
        mov     rax, [rsp]
        add     qword [rsp + SAVED + 8], PROBE_SIZE
        RESTORE
        mov     qword [rsp], 0          ; the error code becomes iret_context.flags
        XEN_IRET

meter_xen_syscall:
        cmp     eax, METER_CALL
        je      xen_syscall_callback
        pop     rcx
        pop     r11
        mov     qword [rsp + 8], USER_CS
        mov     qword [rsp + 32], USER_DS
        push    0
        XEN_IRET
%endif
