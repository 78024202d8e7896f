; The context switch proper, and the first steps of a new task.

default rel

extern sched_task_start, task_exit
global switch_stacks, task_entry

section .text

; struct task *switch_stacks(struct task *prev, struct task *next)
; Saves what the System V ABI lets a callee keep; `sp` is the first field of struct task, which
; kernel/sched/task.c asserts. Returns prev in the context of next.
switch_stacks:
        push    rbp
        push    rbx
        push    r12
        push    r13
        push    r14
        push    r15
        mov     [rdi], rsp
        mov     rsp, [rsi]
        pop     r15
        pop     r14
        pop     r13
        pop     r12
        pop     rbx
        pop     rbp
        mov     rax, rdi
        ret

; A new task: task_create() left its function in rbx and the argument in r12.
task_entry:
        mov     rdi, rax
        call    sched_task_start
        mov     rdi, r12
        xor     ebp, ebp                ; the end of a backtrace
        call    rbx
        call    task_exit
