; Xen PV: machine frames of guest frames, and back. Several of a page fault's instructions: a compiler, which
; must keep all registers but rax here, also saves those that nobody changes.

default rel

%include "asm-offsets.inc"

extern xen_p2m

global xen_pfn_to_mfn, xen_mfn_to_pfn

section .text

; u64 xen_pfn_to_mfn(u64 pfn)
xen_pfn_to_mfn:
        mov     rax, [xen_p2m]
        mov     rax, [rax + rdi * 8]
        ret

; u64 xen_mfn_to_pfn(u64 mfn)
xen_mfn_to_pfn:
        mov     rax, XEN_M2P
        mov     rax, [rax + rdi * 8]
        ret
