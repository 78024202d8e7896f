#!/bin/sh
# Who may include whom:
#   mm/       kernel/, mm/, pv/pv_ops.h; at boot (early.c, init.c) also kernel/param/boot_info.h
#   pv/       kernel/, pv/, drivers/, and of mm/ only types, addresses and the lazy mode;
#             who pays invalidations, also mm/lazy/tlb.h
#   pv/soft/  the same, and of mm/ also early.h and mm.h
#   kernel/   anything but a backend (of pv/: pv_ops.h and batch.h)
#   drivers/  anything but a backend
# and nobody in mm/ or kernel/ asks which hypervisor it runs on.
set -eu

bad=$(
	grep -Hn '^#include "' mm/*.[ch] |
		grep -v '"kernel/' | grep -v '"mm/' | grep -v '"pv/pv_ops\.h"' |
		grep -Ev '^mm/(early|init)\.c:.*"boot/boot_info\.h"' || :
	grep -Hn '^#include "' pv/*.[ch] |
		grep -Ev '^pv/patch\.c:.*"pv/(xen|soft)/' |
		grep -Ev '"(kernel|pv|drivers)/' | grep -Ev '"mm/([a-z_]*_types|addr|lazy_mmu)\.h"' |
		grep -Ev '^pv/(batch|native)\.c:.*"mm/tlb\.h"' || :
	grep -Hn '^#include "' pv/soft/*.[ch] |
		grep -Ev '"(kernel|pv)/' | grep -Ev '"mm/([a-z_]*_types|addr|early|lazy_mmu|mm)\.h"' || :
	grep -Hn '^#include "pv/' kernel/*.[ch] drivers/*.[ch] boot/[!x]*.[ch] |
		grep -Ev '"pv/(pv_ops|batch)\.h"' || :
	grep -Hn -iE 'if \(.*(is_?xen|xen_domain|pv_ops\.name)' mm/*.[ch] kernel/*.[ch] || :
)
if [ -n "$bad" ]; then
	printf '%s\nlayers: the lines above break the rule in tests/check_layers.sh\n' "$bad" >&2
	exit 1
fi
echo "layers: clean"
