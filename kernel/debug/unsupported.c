/*
 * What is refused though Linux has it: named once in the log, so that who wonders why a program
 * gives up finds the reason, and a program that asks a thousand times fills no log.
 *
 * What was said is remembered by a hash of the text, in a table that never forgets; when that is
 * full, this is said, and nothing more. No locks: a slot is taken by one compare-and-exchange.
 */
#include "kernel/debug/unsupported.h"

#include "kernel/arch/current.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/atomic.h"
#include "kernel/lib/errno.h"

#define NR_SAID 512
#define REASON_MAX 120

static u32 said[NR_SAID];
static bool said_all;

static u32 hash_text(const char *s)
{
	u32 h = 2166136261u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (u8)*s) * 16777619u;
	return h ? h : 1;
}

/* True for whoever comes first with @text. Two texts of one hash are taken for one. */
static bool first_time(const char *text)
{
	u32 h = hash_text(text);

	for (unsigned i = 0; i < NR_SAID; i++) {
		u32 *slot = &said[(h + i) % NR_SAID], free = 0;

		if (READ_ONCE(*slot) == h)
			return false;
		if (!READ_ONCE(*slot) &&
		    __atomic_compare_exchange_n(slot, &free, h, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (free == h)
			return false;
	}
	if (!xchg(&said_all, true))
		pr_info("more refusals than %u: those that follow are not named\n", NR_SAID);
	return false;
}

static const char *error_name(int error)
{
	switch (error) {
	case EINVAL:
		return "EINVAL";
	case EOPNOTSUPP:
		return "EOPNOTSUPP";
	case EPERM:
		return "EPERM";
	case ENOMEM:
		return "ENOMEM";
	default:
		return "ENOSYS";
	}
}

long unsupported(int error, const char *reason, ...)
{
	char text[REASON_MAX];
	va_list args;

	va_start(args, reason);
	vsnprintf(text, sizeof(text), reason, args);
	va_end(args);
	if (first_time(text))
		pr_info("task %s: %s (%s)\n", current_head()->name, text, error_name(error));
	return -error;
}
