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

/* The waits and what else a futex can do; see kernel/futex.h. */
struct futex_call {
	unsigned long addr;
	u32 val;
	unsigned long timeout; /* of operations that do not wait: a second number */
	unsigned long addr2;
	u32 val3;
};

static long wait_on_futex(const struct futex_call *c, bool absolute)
{
	u64 deadline = FOREVER;
	long err = c->timeout ? read_deadline(c->timeout, absolute, &deadline) : 0;

	return err ? err : futex_wait(c->addr, c->val, deadline);
}

/* Of the sets of bits only the one that every wake meets. */
static long wait_bitset(const struct futex_call *c)
{
	if (!c->val3)
		return -EINVAL;
	return c->val3 == FUTEX_BITSET_ANY ? wait_on_futex(c, true) : -ENOSYS;
}

static long do_futex(const struct futex_call *c, int op)
{
	switch (op & ~FUTEX_PRIVATE) {
	case FUTEX_WAIT:
		return wait_on_futex(c, false);
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME:
		return wait_bitset(c);
	case FUTEX_WAKE:
		return futex_wake(c->addr, c->val);
	case FUTEX_REQUEUE:
		if ((int)c->val < 0 || (int)c->timeout < 0)
			return -EINVAL;
		return futex_requeue(c->addr, c->val, c->addr2, c->timeout);
	default:
		return -ENOSYS;
	}
}

SYSCALL_DEFINE6(futex, unsigned long, addr, int, op, u32, val, unsigned long, timeout,
		unsigned long, addr2, u32, val3)
{
	const struct futex_call c = {addr, val, timeout, addr2, val3};

	return do_futex(&c, op);
}

static bool clock_known(int id)
{
	return id >= 0 && id < NR_CLOCKS && (CLOCKS_KNOWN & BIT(id));
}

SYSCALL_DEFINE2(clock_gettime, int, id, unsigned long, addr)
{
	u64 ns = clock_ns(), ts[2] = {ns / NS_PER_S, ns % NS_PER_S};

	if (!clock_known(id))
		return -EINVAL;
	return copy_to_user(addr, ts, sizeof(ts));
}

SYSCALL_DEFINE2(clock_getres, int, id, unsigned long, addr)
{
	u64 ts[2] = {0, 1};

	if (!clock_known(id))
		return -EINVAL;
	return addr ? copy_to_user(addr, ts, sizeof(ts)) : 0;
}

/* Only the end of the process comes before the time is over, so nobody reads what was left. */
SYSCALL_DEFINE2(nanosleep, unsigned long, request, unsigned long, left __unused)
{
	u64 deadline;
	long err = read_deadline(request, false, &deadline);

	return err ? err : sleep_until(deadline);
}

SYSCALL_DEFINE4(clock_nanosleep, int, id, int, flags, unsigned long, request, unsigned long,
		left __unused)
{
	u64 deadline;
	long err = read_deadline(request, flags & TIMER_ABSTIME, &deadline);

	if (!clock_known(id))
		return -EINVAL;
	return err ? err : sleep_until(deadline);
}
