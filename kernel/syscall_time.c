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
#include "kernel/unsupported.h"

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

static long wait_on_futex(const struct futex_call *c, struct futex f, u32 bitset, bool absolute)
{
	u64 deadline = FOREVER;
	long err = c->timeout ? read_deadline(c->timeout, absolute, &deadline) : 0;

	if (err)
		return err;
	return bitset ? futex_wait_bits(f, c->val, bitset, deadline) : -EINVAL;
}

static long requeue(const struct futex_call *c, struct futex f, struct futex f2,
		    const u32 *expected)
{
	if ((int)c->val < 0 || (int)c->timeout < 0)
		return -EINVAL;
	return futex_requeue_if(f, c->val, f2, c->timeout, expected);
}

/* As many as Linux wakes: one at least. */
static u32 to_wake(u32 n)
{
	return max((int)n, 1);
}

static const char *futex_op_name(int op)
{
	static const char *const names[] = {
		[2] = "FUTEX_FD",
		[6] = "FUTEX_LOCK_PI",
		[7] = "FUTEX_UNLOCK_PI",
		[8] = "FUTEX_TRYLOCK_PI",
		[11] = "FUTEX_WAIT_REQUEUE_PI",
		[12] = "FUTEX_CMP_REQUEUE_PI",
		[13] = "FUTEX_LOCK_PI2",
	};

	return (unsigned)op < ARRAY_SIZE(names) && names[op] ? names[op] : NULL;
}

static long unknown_op(int op)
{
	const char *name = futex_op_name(op);

	return name ? unsupported(ENOSYS, "futex: %s", name) : -ENOSYS;
}

static long do_futex(const struct futex_call *c, int op)
{
	struct futex f = {c->addr, op & FUTEX_PRIVATE}, f2 = {c->addr2, op & FUTEX_PRIVATE};

	switch (op & ~FUTEX_PRIVATE) {
	case FUTEX_WAIT:
		return wait_on_futex(c, f, FUTEX_BITSET_ANY, false);
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME:
		return wait_on_futex(c, f, c->val3, true);
	case FUTEX_WAKE:
		return futex_wake_bits(f, to_wake(c->val), FUTEX_BITSET_ANY);
	case FUTEX_WAKE_BITSET:
		return c->val3 ? futex_wake_bits(f, to_wake(c->val), c->val3) : -EINVAL;
	case FUTEX_REQUEUE:
		return requeue(c, f, f2, NULL);
	case FUTEX_CMP_REQUEUE:
		return requeue(c, f, f2, &c->val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(f, to_wake(c->val), f2, to_wake(c->timeout), c->val3);
	default:
		return unknown_op(op & ~(FUTEX_PRIVATE | FUTEX_CLOCK_REALTIME));
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
