/*
 * The system calls that know the time: clocks, sleeps, and futexes, whose waits may have an end.
 * Arguments and errors as in syscall.c. No locks.
 */
#include "kernel/clock.h"
#include "kernel/errno.h"
#include "kernel/futex.h"
#include "kernel/syscall.h"
#include "kernel/timeout.h"
#include "kernel/uaccess.h"

#define NS_PER_S 1000000000UL
/* REALTIME, MONOTONIC, MONOTONIC_RAW, both COARSE ones, BOOTTIME and TAI: all of them count from
 * boot. The time that a process or thread was running is not kept. */
#define CLOCKS_KNOWN 0x8f3U
#define NR_CLOCKS 12
#define TIMER_ABSTIME 1

/* The timespec at @addr as a deadline; one that is not @absolute begins now. -EFAULT, -EINVAL. */
static long read_deadline(unsigned long addr, bool absolute, u64 *deadline)
{
	u64 now = absolute ? 0 : clock_ns();
	s64 ts[2];

	if (copy_from_user(ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (s64)NS_PER_S)
		return -EINVAL;
	*deadline = FOREVER;
	if ((u64)ts[0] < (FOREVER - now) / NS_PER_S - 1)
		*deadline = now + ts[0] * NS_PER_S + ts[1];
	return 0;
}

static long wait_on_futex(struct pt_regs *r, bool absolute)
{
	u64 deadline = FOREVER;
	long err = r->r10 ? read_deadline(r->r10, absolute, &deadline) : 0;

	return err ? err : futex_wait(r->di, r->dx, deadline);
}

/* Of the sets of bits only the one that every wake meets. */
static long wait_bitset(struct pt_regs *r)
{
	u32 bitset = r->r9;

	if (!bitset)
		return -EINVAL;
	return bitset == FUTEX_BITSET_ANY ? wait_on_futex(r, true) : -ENOSYS;
}

long sys_futex(struct pt_regs *r)
{
	switch (r->si & ~(unsigned long)FUTEX_PRIVATE) {
	case FUTEX_WAIT:
		return wait_on_futex(r, false);
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME:
		return wait_bitset(r);
	case FUTEX_WAKE:
		return futex_wake(r->di, r->dx);
	case FUTEX_REQUEUE:
		if ((int)r->dx < 0 || (int)r->r10 < 0)
			return -EINVAL;
		return futex_requeue(r->di, r->dx, r->r8, r->r10);
	default:
		return -ENOSYS;
	}
}

static bool clock_known(unsigned long id)
{
	return id < NR_CLOCKS && (CLOCKS_KNOWN & BIT(id));
}

long sys_clock_gettime(struct pt_regs *r)
{
	u64 ns = clock_ns(), ts[2] = {ns / NS_PER_S, ns % NS_PER_S};

	if (!clock_known(r->di))
		return -EINVAL;
	return copy_to_user(r->si, ts, sizeof(ts));
}

long sys_clock_getres(struct pt_regs *r)
{
	u64 ts[2] = {0, 1};

	if (!clock_known(r->di))
		return -EINVAL;
	return r->si ? copy_to_user(r->si, ts, sizeof(ts)) : 0;
}

/* Only the end of the process comes before the time is over, so nobody reads what was left. */
long sys_nanosleep(struct pt_regs *r)
{
	u64 deadline;
	long err = read_deadline(r->di, false, &deadline);

	return err ? err : sleep_until(deadline);
}

long sys_clock_nanosleep(struct pt_regs *r)
{
	u64 deadline;
	long err = read_deadline(r->dx, r->si & TIMER_ABSTIME, &deadline);

	if (!clock_known(r->di))
		return -EINVAL;
	return err ? err : sleep_until(deadline);
}
