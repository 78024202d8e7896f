/*
 * Copies to and from user memory; see uaccess.h. No locks; a fault may sleep on mmap_lock.
 */
#include "kernel/entry/uaccess.h"

#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "pv/pv_ops.h"

bool access_ok(unsigned long addr, size_t n)
{
	return n <= USER_END && addr <= USER_END - n;
}

/* `rep INSN` that goes on behind itself when it faults, with what is left in rcx. */
#define REP_MAY_FAULT(insn, dst, src, n, value)                                                    \
	__asm__ volatile("1: rep " insn "\n"                                                       \
			 "2:\n"                                                                    \
			 ".pushsection .ex_table, \"a\"\n.balign 8\n.quad 1b, 2b\n.popsection\n"   \
			 : "+D"(dst), "+S"(src), "+c"(n)                                           \
			 : "a"(value)                                                              \
			 : "memory")

/* How many bytes are left over; of the word in which a fault comes, all. */
static __always_inline size_t copy_user_left(unsigned long dst, unsigned long src, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	pv_uaccess_begin();
	REP_MAY_FAULT("movsq", dst, src, words, 0);
	if (!words)
		REP_MAY_FAULT("movsb", dst, src, rest, 0);
	pv_uaccess_end();
	return words * 8 + rest;
}

static int copy_user(unsigned long dst, unsigned long src, size_t n)
{
	return copy_user_left(dst, src, n) ? -EFAULT : 0;
}

size_t copy_from_user_partial(void *dst, unsigned long src, size_t n)
{
	size_t left, last;

	if (!access_ok(src, n))
		return 0;
	left = copy_user_left((unsigned long)dst, src, n);
	if (!left)
		return n;
	last = min(left, 8UL); /* byte by byte, as far as it goes */
	dst = (char *)dst + (n - left);
	src += n - left;
	left -= last;
	pv_uaccess_begin();
	REP_MAY_FAULT("movsb", dst, src, last, 0);
	pv_uaccess_end();
	return n - left - last;
}

int copy_from_user(void *dst, unsigned long src, size_t n)
{
	return access_ok(src, n) ? copy_user((unsigned long)dst, src, n) : -EFAULT;
}

int copy_to_user(unsigned long dst, const void *src, size_t n)
{
	return access_ok(dst, n) ? copy_user(dst, (unsigned long)src, n) : -EFAULT;
}

int clear_user(unsigned long dst, size_t n)
{
	size_t words = n / 8, rest = n % 8;
	unsigned long unused = 0;

	if (!access_ok(dst, n))
		return -EFAULT;
	pv_uaccess_begin();
	REP_MAY_FAULT("stosq", dst, unused, words, 0);
	if (!words)
		REP_MAY_FAULT("stosb", dst, unused, rest, 0);
	pv_uaccess_end();
	return words || rest ? -EFAULT : 0;
}

/* One instruction that, when it faults, leaves err at -EFAULT. */
#define MOVE_MAY_FAULT(insn, err, ...)                                                             \
	__asm__ volatile("1: " insn "\n\t"                                                         \
			 "xor %0, %0\n"                                                            \
			 "2:\n"                                                                    \
			 ".pushsection .ex_table, \"a\"\n.balign 8\n.quad 1b, 2b\n.popsection\n"   \
			 : "+r"(err), __VA_ARGS__                                                  \
			 : "memory", "cc")

int put_user32(unsigned long dst, u32 v)
{
	int err = -EFAULT;

	if (!access_ok(dst, sizeof(v)))
		return -EFAULT;
	pv_uaccess_begin();
	MOVE_MAY_FAULT("movl %1, (%2)", err, "+r"(v) : "r"(dst));
	pv_uaccess_end();
	return err;
}

int get_user32(unsigned long src, u32 *v)
{
	int err = -EFAULT;
	u32 got = 0;

	if (!access_ok(src, sizeof(got)))
		return -EFAULT;
	pv_uaccess_begin();
	MOVE_MAY_FAULT("movl (%2), %1", err, "+r"(got) : "r"(src));
	pv_uaccess_end();
	*v = got;
	return err;
}

int cmpxchg_user32(unsigned long dst, u32 old, u32 new)
{
	u32 found = old;
	int err = -EFAULT;

	if (!access_ok(dst, sizeof(old)))
		return -EFAULT;
	pv_uaccess_begin();
	MOVE_MAY_FAULT("lock cmpxchgl %3, (%2)", err, "+a"(found) : "r"(dst), "r"(new));
	pv_uaccess_end();
	if (err)
		return err;
	return found == old ? 0 : -EAGAIN;
}
