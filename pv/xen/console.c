/*
 * Xen PV: the console. A dom0 has console_io, a hypercall; any other domain a ring in a page that
 * it shares with the console daemon of dom0. Source: Xen's public/io/console.h.
 *
 * Nothing is dropped: where the ring is full the vCPU yields until the daemon has read. No lock of
 * its own: kernel/debug/printk.c serialises, but for a panic.
 */
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "mm/types/addr.h"
#include "pv/xen/xen.h"

#include <xen/io/console.h>

static struct xencons_interface *ring;

static void write_io(const char *s, size_t n)
{
	hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, n, (u64)s, 0);
}

static void notify_daemon(void)
{
	struct evtchn_send send = {.port = xen_start_info->console.domU.evtchn};

	xen_event_channel_op(EVTCHNOP_send, &send);
}

/* What fits; a line ends with \r\n, because it goes to a terminal in the end. */
static size_t fill_ring(const char *s, size_t n)
{
	XENCONS_RING_IDX cons = READ_ONCE(ring->out_cons), prod = ring->out_prod;
	size_t i;

	smp_mb(); /* what the daemon has read may be overwritten */
	/*
	 * A panic goes without the lock: a vCPU that it overtook here may have set out_prod back.
	 */
	if (prod - cons > sizeof(ring->out))
		prod = cons;
	for (i = 0; i < n && prod - cons + 2 <= sizeof(ring->out); i++) {
		if (s[i] == '\n')
			ring->out[MASK_XENCONS_IDX(prod++, ring->out)] = '\r';
		ring->out[MASK_XENCONS_IDX(prod++, ring->out)] = s[i];
	}
	smp_store_release(&ring->out_prod, prod);
	return i;
}

static void write_ring(const char *s, size_t n)
{
	while (n) {
		size_t written = fill_ring(s, n);

		s += written;
		n -= written;
		notify_daemon();
		if (!written)
			xen_sched_op(SCHEDOP_yield, NULL);
	}
}

/* The daemon must have read everything before the domain goes. */
void xen_console_drain(void)
{
	while (ring && READ_ONCE(ring->out_cons) != ring->out_prod)
		xen_sched_op(SCHEDOP_yield, NULL);
}

static u64 ring_pfn(void)
{
	return xen_mfn_to_pfn(xen_start_info->console.domU.mfn);
}

void xen_console_init(void)
{
	if (xen_start_info->flags & SIF_INITDOMAIN) {
		console_open(write_io);
		return;
	}
	ring = (void *)(KERNEL_BASE + (ring_pfn() << PAGE_SHIFT));
	console_open(write_ring);
	BUG_ON(ring_pfn() >= xen_first_free_pfn());
}

void xen_console_use_direct_map(void)
{
	if (ring)
		ring = __va(ring_pfn() << PAGE_SHIFT);
}
