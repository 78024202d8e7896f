; Entries to the kernel on native hardware: exceptions, interrupts, system calls, and the way back.
;
; Every entry builds a struct pt_regs (kernel/arch/ptregs.h). In the kernel GS base is the per-CPU offset;
; entries from user mode swap it in. Debug exception, NMI, double fault and machine check come on stacks
; of their own at any moment, also before the swap, so they load GS base from the top of that stack.
; (A debug exception too: `mov ss` in user mode delays one into the first instruction of the kernel.)
;
; What the user controls stays at the door (kernel/entry/doors.h): SYSCALL clears the flags that SYSCALL_FLAGS
; names, exceptions clear TF and NT, and each entry clears DF here and AC in PV_CPU_ENTER_KERNEL. That also
; ends speculation, behind the point where the ways with and without swapgs meet: whichever was guessed
; wrongly, no load by GS follows it.

default rel

%include "kernel/arch/ptregs.inc"

extern trap_dispatch, syscall_dispatch, exit_to_user_mode, pv_ops
extern cpu_tss, syscall_user_sp

global trap_stubs, step_stub, syscall_entry, task_enter_user

MSR_GS_BASE     equ 0xc0000101

; A recorded call site of the pv table, for the patching of boot/patch.c.
%macro PV_CALL 1
%%site: call    [rel pv_ops + %1]
        [section .pv_sites progbits alloc noexec nowrite align=8]
        dq      %%site, pv_ops + %1
        __?SECT?__
%endmacro

section .text

; 256 stubs of 16 bytes: error code (or 0), vector, jump.
align 16
trap_stubs:
%assign vec 0
%rep 256
  %if vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || vec == 29 || vec == 30
  %else
        push    0
  %endif
        push    strict dword vec
  %if vec == 1 || vec == 2 || vec == 8 || vec == 18
        jmp     near ist_entry
  %else
        jmp     near trap_entry
  %endif
        align   16
  %assign vec vec + 1
%endrep

; A debug exception that stays on the task's stack: while the kernel is single-stepped (traps.h).
step_stub:
        push    0
        push    1
trap_entry:
        xchg    rdi, [rsp]              ; the vector; rdi takes its place
        PUSH_REGS
        test    byte [rsp + PT_REGS_CS], 3
        jz      .kernel
        swapgs
.kernel:
        cld
        PV_CALL PV_CPU_ENTER_KERNEL
        mov     esi, edi
        mov     rdi, rsp
        xor     ebp, ebp
        test    byte [rsp + PT_REGS_CS], 3
        jnz     .from_user
        mov     rbp, [rsp + 4 * 8]      ; the interrupted frame goes on in the backtrace
        call    trap_dispatch
        POP_REGS
        add     rsp, 8
        iretq
.from_user:
        call    trap_dispatch
return_to_user:
        mov     rdi, rsp
        call    exit_to_user_mode       ; returns with interrupts off
        swapgs
        POP_REGS
        add     rsp, 8
        iretq

; void task_enter_user(struct pt_regs *regs): the first way to user mode of a new task, whose
; registers lie at the top of its kernel stack.
task_enter_user:
        mov     rsp, rdi
        jmp     return_to_user

ist_entry:
        xchg    rdi, [rsp]
        PUSH_REGS
        mov     r13d, edi
        test    byte [rsp + PT_REGS_CS], 3
        jz      .from_kernel
        ; From user mode it may end the task: go on as any other exception, on the task's stack.
        swapgs
        cld
        mov     rsi, rsp
        mov     rsp, [rel gs:cpu_tss + TSS_SP0]
        sub     rsp, PT_REGS_SIZE
        mov     rdi, rsp
        mov     ecx, PT_REGS_SIZE / 8
        rep movsq
        PV_CALL PV_CPU_ENTER_KERNEL
        mov     esi, r13d
        mov     rdi, rsp
        xor     ebp, ebp
        call    trap_dispatch
        jmp     return_to_user
.from_kernel:
        mov     ecx, MSR_GS_BASE
        rdmsr
        mov     ebx, eax                ; GS base as it was found
        mov     r12d, edx
        mov     rax, rsp                ; the stack's last 8 bytes hold this CPU's
        or      rax, IST_STACK_SIZE - 1
        mov     rax, [rax - 7]
        mov     rdx, rax
        shr     rdx, 32
        wrmsr
        cld
        PV_CALL PV_CPU_ENTER_KERNEL
        mov     esi, r13d
        mov     rdi, rsp
        mov     rbp, [rsp + PT_REGS_BP]
        call    trap_dispatch
        mov     ecx, MSR_GS_BASE
        mov     eax, ebx
        mov     edx, r12d
        wrmsr
        POP_REGS
        add     rsp, 8
        iretq

syscall_entry:
        swapgs
        mov     [rel gs:syscall_user_sp], rsp
        mov     rsp, [rel gs:cpu_tss + TSS_SP0]
        push    USER_DS
        push    qword [rel gs:syscall_user_sp]
        push    r11
        push    USER_CS
        push    rcx
        push    rax
        push    rdi
        PUSH_REGS
        xor     ebp, ebp
        sti
        mov     rdi, rsp
        mov     esi, eax
        call    syscall_dispatch        ; returns with interrupts off
        ; sysret only to where it cannot fault in ring 0: rip in the user half (AMD APM vol. 3,
        ; SYSRET; CVE-2012-0217)
        mov     rcx, [rsp + PT_REGS_IP]
        mov     r11, rcx
        shr     r11, 47
        jnz     .iret
        mov     r11, [rsp + PT_REGS_FLAGS]
        LOAD_SYSCALL_REGS
        swapgs
        mov     rsp, [rsp + PT_REGS_SP]
        o64 sysret
.iret:
        swapgs
        POP_REGS
        add     rsp, 8
        iretq
