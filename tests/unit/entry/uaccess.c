/*
 * Suite `uaccess`: copies to and from user memory.
 *
 * Oracle: what is mapped is copied, byte for byte; everything else answers -EFAULT and nothing
 * crashes: holes, the kernel's half, non-canonical addresses, lengths that wrap, read-only pages,
 * ranges that begin well, faults that must not be resolved.
 */
#include "kernel/entry/uaccess.h"

#include "kernel/debug/counters.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void copies(struct ktest *t)
{
	static char out[3 * PAGE_SIZE], in[3 * PAGE_SIZE];
	struct mm *mm = test_mm_enter();
	long m = do_mmap(0, sizeof(out), PROT_READ | PROT_WRITE, ANON, NULL, 0);

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = i * 7;
	KEXPECT(t, m > 0);
	for (unsigned n = 0; n < 200; n++) {
		size_t off = rng_below(&t->rng, sizeof(out)),
		       len = rng_below(&t->rng, sizeof(out) - off);

		KEXPECT_EQ(t, copy_to_user(m + off, out + off, len), 0);
		memset(in, 0, sizeof(in));
		KEXPECT_EQ(t, copy_from_user(in, m + off, len), 0);
		KEXPECT(t, !memcmp(in, out + off, len));
	}
	KEXPECT_EQ(t, clear_user(m + 100, PAGE_SIZE), 0);
	KEXPECT_EQ(t, copy_from_user(in, m + 100, PAGE_SIZE), 0);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		KEXPECT(t, !in[i]);
	do_munmap(m, sizeof(out));
	test_mm_leave(mm);
}

static void bad_addresses(struct ktest *t)
{
	static const unsigned long bad[] = {
		0,
		0x10,
		0x00007ffffffff000UL,
		0x0000800000000000UL,
		0x8000000000000000UL,
		0xffff888000000000UL,
		0xffffffff80200000UL,
		~0UL - 7,
		~0UL,
	};
	struct mm *mm = test_mm_enter();
	char buf[64] = {0};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		KEXPECT_EQ(t, copy_to_user(bad[i], buf, sizeof(buf)), -EFAULT);
		KEXPECT_EQ(t, copy_from_user(buf, bad[i], sizeof(buf)), -EFAULT);
		KEXPECT_EQ(t, clear_user(bad[i], sizeof(buf)), -EFAULT);
	}
	KEXPECT_EQ(t, copy_from_user(buf, 0x1000, ~0UL - 0x800), -EFAULT);
	test_mm_leave(mm);
}

static void holes_and_rights(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	long m = do_mmap(0, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, ANON, NULL, 0);
	char buf[128] = {1};

	KEXPECT_EQ(t, do_munmap(m + PAGE_SIZE, PAGE_SIZE), 0);
	KEXPECT_EQ(t, copy_to_user(m + PAGE_SIZE - 64, buf, 64), 0);
	KEXPECT_EQ(t, copy_to_user(m + PAGE_SIZE - 64, buf, 65), -EFAULT);
	KEXPECT_EQ(t, copy_from_user(buf, m + PAGE_SIZE - 64, 65), -EFAULT);
	KEXPECT_EQ(t, copy_from_user(buf, m + 2 * PAGE_SIZE, 64), 0);
	KEXPECT_EQ(t, do_mprotect(m, PAGE_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, copy_from_user(buf, m, 64), 0);
	KEXPECT_EQ(t, copy_to_user(m, buf, 64), -EFAULT);
	KEXPECT_EQ(t, do_mprotect(m, PAGE_SIZE, 0), 0);
	KEXPECT_EQ(t, copy_from_user(buf, m, 64), -EFAULT);
	do_munmap(m, 3 * PAGE_SIZE);
	test_mm_leave(mm);
}

static void faults_disabled(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	long m = do_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, ANON, NULL, 0);
	u32 v = 5;

	pagefault_disable();
	KEXPECT_EQ(t, get_user32(m, &v), -EFAULT);
	pagefault_enable();
	KEXPECT_EQ(t, get_user32(m, &v), 0);
	KEXPECT_EQ(t, v, 0);
	pagefault_disable();
	KEXPECT_EQ(t, get_user32(m, &v), 0); /* present now */
	pagefault_enable();
	do_munmap(m, PAGE_SIZE);
	test_mm_leave(mm);
}

static void out_of_memory(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	long m = do_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, ANON, NULL, 0);

	alloc_page_fail_after(1);
	KEXPECT_EQ(t, put_user32(m, 1), -EFAULT);
	alloc_page_fail_after(0);
	KEXPECT_EQ(t, put_user32(m, 1), 0);
	do_munmap(m, PAGE_SIZE);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"copies", copies},
	{"bad_addresses", bad_addresses},
	{"holes_and_rights", holes_and_rights},
	{"faults_disabled", faults_disabled},
	{"out_of_memory", out_of_memory},
};
KTEST_SUITE(uaccess_suite, "uaccess", "copies to and from user memory", true, cases);
