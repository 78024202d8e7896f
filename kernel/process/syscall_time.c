/*
 * The system calls that know the time: clocks, sleeps, and futexes, whose waits may have an end.
 * Arguments and errors as in syscall.c. No locks.
 */
#include "kernel/debug/unsupported.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/futex.h"
#include "kernel/process/syscall.h"
#include "kernel/process/syscall_time.h"
#include "kernel/sched/timeout.h"
#include "kernel/time/clock.h"

#define COARSE_NS 4000000UL /* HZ is 250 */
/*
 * REALTIME, MONOTONIC, MONOTONIC_RAW, both COARSE ones, BOOTTIME and TAI. The ALARM ones need an
 * alarm that wakes the machine, and there is none. Nobody sets the time, so REALTIME and TAI, which
 * knows no leap seconds here, are ahead of the others by what the boot found.
 */
#define CLOCKS_KNOWN 0x8f3U
#define NR_CLOCKS 12
#define TIMER_ABSTIME 1

/* What clock @id is ahead of clock_ns(). */
static u64 ahead(int id)
{
	return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI
		       ? clock_epoch()
		       : 0;
}

/* The timespec at @addr in nanoseconds; FOREVER: more than can be counted. -EFAULT, -EINVAL. */
static long read_timespec(unsigned long addr, u64 *ns)
{
	s64 ts[2];

	if (copy_from_user(ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (s64)NS_PER_S)
		return -EINVAL;
	*ns = FOREVER;
	if ((u64)ts[0] < FOREVER / NS_PER_S - 1)
		*ns = ts[0] * NS_PER_S + ts[1];
	return 0;
}

/* What a time-out counts from. */
enum timeout_from {
	FROM_NOW,
	FROM_EPOCH, /* of its clock */
};

/* @ns from now on, or of clock @id, by clock_ns(). */
static u64 deadline_of(u64 ns, int id, enum timeout_from from)
{
	u64 now = clock_ns();

	if (ns == FOREVER)
		return FOREVER;
	if (from == FROM_EPOCH)
		return ns - min(ns, ahead(id));
	return ns < FOREVER - now ? now + ns : FOREVER;
}

/* The waits and what else a futex can do; see kernel/process/futex.h. */
struct futex_call {
	unsigned long addr;
	u32 val;
	unsigned long timeout; /* of operations that do not wait: a second number */
	unsigned long addr2;
	u32 val3;
};

/* The time-out is one of clock @id. */
static long wait_on_futex(const struct futex_call *c, struct futex f, u32 bitset, int id,
			  enum timeout_from from)
{
	u64 ns = FOREVER;
	long err = c->timeout ? read_timespec(c->timeout, &ns) : 0;

	if (err)
		return err;
	return bitset ? futex_wait_bits(f, c->val, bitset, deadline_of(ns, id, from)) : -EINVAL;
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
		return wait_on_futex(c, f, FUTEX_BITSET_ANY, CLOCK_MONOTONIC, FROM_NOW);
	case FUTEX_WAIT_BITSET:
		return wait_on_futex(c, f, c->val3, CLOCK_MONOTONIC, FROM_EPOCH);
	case FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME:
		return wait_on_futex(c, f, c->val3, CLOCK_REALTIME, FROM_EPOCH);
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

/* The time by @id, which the errors say may not be: -EINVAL. */
static long read_clock(int id, u64 *ns)
{
	if (is_cpu_clock(id))
		return cpu_clock_read(id, ns);
	*ns = clock_ns() + ahead(id);
	return clock_known(id) ? 0 : -EINVAL;
}

static long read_resolution(int id, u64 *ns)
{
	if (is_cpu_clock(id))
		return cpu_clock_resolution(id, ns);
	*ns = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE ? COARSE_NS : 1;
	return clock_known(id) ? 0 : -EINVAL;
}

static long put_timespec(unsigned long addr, u64 ns)
{
	u64 ts[2] = {ns / NS_PER_S, ns % NS_PER_S};

	return copy_to_user(addr, ts, sizeof(ts));
}

SYSCALL_DEFINE2(clock_gettime, int, id, unsigned long, addr)
{
	u64 ns;
	long err = read_clock(id, &ns);

	return err ? err : put_timespec(addr, ns);
}

SYSCALL_DEFINE2(clock_getres, int, id, unsigned long, addr)
{
	u64 ns;
	long err = read_resolution(id, &ns);

	return err || !addr ? err : put_timespec(addr, ns);
}

SYSCALL_DEFINE1(time, unsigned long, addr)
{
	u64 now = (clock_ns() + clock_epoch()) / NS_PER_S;

	return addr && copy_to_user(addr, &now, sizeof(now)) ? -EFAULT : (long)now;
}

/* The time zone is Greenwich's, without summer time. */
SYSCALL_DEFINE2(gettimeofday, unsigned long, addr, unsigned long, zone)
{
	u64 ns = clock_ns() + clock_epoch(), tv[2] = {ns / NS_PER_S, ns % NS_PER_S / 1000};

	if (addr && copy_to_user(addr, tv, sizeof(tv)))
		return -EFAULT;
	return zone && clear_user(zone, 2 * sizeof(u32)) ? -EFAULT : 0;
}

/* Only the end of the process comes before the time is over, so nobody reads what was left. */
SYSCALL_DEFINE2(nanosleep, unsigned long, request, unsigned long, left __unused)
{
	u64 ns;
	long err = read_timespec(request, &ns);

	return err ? err : sleep_until(deadline_of(ns, CLOCK_MONOTONIC, FROM_NOW));
}

static bool may_sleep_on(int id)
{
	return id == CLOCK_REALTIME || id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME ||
	       id == CLOCK_TAI;
}

/* As Linux: first the clock, then whether it can be slept on, then the time (posix-timers.c). */
SYSCALL_DEFINE4(clock_nanosleep, int, id, int, flags, unsigned long, request, unsigned long,
		left __unused)
{
	bool absolute = flags & TIMER_ABSTIME;
	u64 time;
	long err;

	if (id >= 0 && !clock_known(id) && !is_cpu_clock(id) && !is_alarm_clock(id))
		return -EINVAL;
	if (id == CLOCK_THREAD_CPUTIME_ID || is_file_clock(id) ||
	    (!is_cpu_clock(id) && !may_sleep_on(id)))
		return -EOPNOTSUPP;
	err = read_timespec(request, &time);
	if (err)
		return err;
	if (is_cpu_clock(id))
		return cpu_clock_sleep(id, time, absolute);
	return sleep_until(deadline_of(time, id, absolute ? FROM_EPOCH : FROM_NOW));
}
