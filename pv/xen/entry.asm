; Xen PV: the ELF notes, the first instructions, and the entries that Xen calls.
;
; Xen enters with rcx and r11 pushed on top of the usual frame, on the kernel stack, with the kernel's
; GS base, and leaves masking of events to flags in shared memory. The way back is the iret hypercall.
; Of the user's flags Xen clears TF, NT, RF and AC (its create_bounce_frame); DF is ours to clear.
; Sources: Xen's public/elfnote.h and public/arch-x86/xen-x86_64.h (struct iret_context).

default rel

%include "kernel/arch/ptregs.inc"
%include "pv/xen/iret.inc"

extern xen_entry_c, xen_ap_main, trap_dispatch, syscall_dispatch, exit_to_user_mode, xen_upcall
extern boot_stack_top

global xen_trap_stubs, xen_event_callback, xen_failsafe_callback, xen_syscall_callback
global xen_ap_entry, xen_enter_user, xen_hypercall_page


%macro NOTE 2+                          ; type, descriptor
        dd      4, %%end - %%desc, %1
        db      "Xen", 0
%%desc: %2
%%end:  align   4, db 0
%endmacro

section .note.xen note alloc noexec nowrite align=4
        NOTE 6, db "Pteron", 0          ; GUEST_OS
        NOTE 5, db "xen-3.0", 0         ; XEN_VERSION
        NOTE 8, db "generic", 0         ; LOADER
        NOTE 9, db "yes", 0             ; PAE_MODE
        NOTE 1, dq xen_start            ; ENTRY
        NOTE 2, dq xen_hypercall_page   ; HYPERCALL_PAGE
        NOTE 3, dq KERNEL_BASE          ; VIRT_BASE
        NOTE 4, dq 0                    ; PADDR_OFFSET
        NOTE 15, dq XEN_P2M             ; INIT_P2M: out of the way, whatever its size
        NOTE 10, db "!writable_page_tables|pae_pgdir_above_4gb", 0      ; FEATURES

; Dispatch by %1, as a trap or an event comes: the frame is complete, its address goes to rdi.
%macro DISPATCH 1
        cld
        mov     rdi, rsp
        xor     ebp, ebp
        test    byte [rsp + PT_REGS_CS], 3
        jnz     %%from_user
        mov     rbp, [rsp + PT_REGS_BP] ; the interrupted frame goes on in the backtrace
        call    %1
        jmp     xen_restore
%%from_user:
        call    %1
        jmp     xen_return_to_user
%endmacro

section .text
align 4096
xen_hypercall_page:
        times   4096 db 0xcc            ; filled by Xen; we make hypercalls ourselves

xen_start:
        cld
        mov     rsp, boot_stack_top
        mov     rdi, rsi                ; struct start_info
        xor     ebp, ebp
        call    xen_entry_c
        ud2

xen_ap_entry:
        xor     ebp, ebp
        call    xen_ap_main
        ud2

; 32 stubs of 32 bytes: what Xen adds comes off, then error code (or 0), vector, jump.
align 32
xen_trap_stubs:
%assign vec 0
%rep 32
        pop     rcx
        pop     r11
  %if vec == 8 || (vec >= 10 && vec <= 14) || vec == 17
  %else
        push    0
  %endif
        push    strict dword vec
        jmp     near xen_trap_entry
        align   32
  %assign vec vec + 1
%endrep

xen_trap_entry:
        xchg    rdi, [rsp]
        PUSH_REGS
        mov     esi, edi
        DISPATCH trap_dispatch

xen_return_to_user:
        mov     rdi, rsp
        call    exit_to_user_mode

xen_restore:
        POP_REGS
        mov     qword [rsp], 0          ; orig_ax becomes iret_context.flags
        XEN_IRET

xen_event_callback:
        pop     rcx
        pop     r11
        push    -1
        push    rdi
        PUSH_REGS
        DISPATCH xen_upcall

; Xen gives its own selectors for user mode's.
xen_syscall_callback:
        pop     rcx
        pop     r11
        mov     qword [rsp + 8], USER_CS
        mov     qword [rsp + 32], USER_DS
        push    rax
        push    rdi
        PUSH_REGS
        cld                             ; natively SYSCALL does it
        xor     ebp, ebp
        mov     rdi, rsp
        mov     esi, eax
        call    syscall_dispatch
        LOAD_SYSCALL_REGS
        ; Before rip a struct iret_context has flags, rcx, r11 and rax, from the top down: Xen loads the
        ; three, and rcx and r11 hold again what SYSCALL leaves in them.
        add     rsp, PT_REGS_IP
        push    0
        push    qword [rsp + 8]         ; rip
        push    qword [rsp + 2 * 8 + PT_REGS_FLAGS - PT_REGS_IP]
        push    rax
        mov     eax, HYPERVISOR_IRET
        syscall
        ud2

; Xen could not load a data segment register on the way back, and has set it to null: a general
; protection of whom it was going to. Frame: rcx, r11, ds, es, fs, gs, then as usual.
xen_failsafe_callback:
        pop     rcx
        pop     r11
        add     rsp, 4 * 8
        push    0
        push    strict dword TRAP_GP
        jmp     near xen_trap_entry

; void xen_enter_user(struct pt_regs *regs): the first way to user mode of a new task.
xen_enter_user:
        mov     rsp, rdi
        jmp     xen_return_to_user
