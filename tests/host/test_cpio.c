/*
 * The cpio reader against damaged archives. Oracle: a good archive gives its files; one that is cut
 * off anywhere or has any byte changed gives a file inside of it or a reason, and ASan sees no
 * access beyond it.
 */
#include "kernel/lib/cpio.h"
#include "kernel/lib/string.h"
#include "tests/ktest.h"

#include <stdio.h>
#include <stdlib.h>

struct archive {
	char data[2048];
	size_t size;
};

static volatile u8 touched;

static void add(struct archive *a, const char *name, const void *data, size_t size)
{
	size_t names = strlen(name) + 1;
	char *p = a->data + a->size;

	p += sprintf(p, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0100644, 0,
		     0, 1, 0, (unsigned)size, 0, 0, 0, 0, (unsigned)names, 0);
	memcpy(p, name, names);
	a->size = ALIGN_UP((size_t)(p - a->data) + names, 4UL);
	memcpy(a->data + a->size, data, size);
	a->size = ALIGN_UP(a->size + size, 4UL);
}

static struct archive sample(void)
{
	struct archive a = {.size = 0};

	add(&a, "first", "12345", 5);
	add(&a, "second", "some more bytes", 15);
	add(&a, "TRAILER!!!", "", 0);
	return a;
}

/* In memory of exactly @size bytes, so that ASan notices the first byte beyond. */
static bool find_in_copy(const struct archive *a, size_t size, const char *name)
{
	char *copy = malloc(size ? size : 1);
	const char *wrong = NULL;
	struct file f;
	bool found;

	memcpy(copy, a->data, size);
	found = cpio_find(copy, size, name, &f, &wrong);
	for (size_t i = 0; found && i < f.size; i++)
		touched += ((const u8 *)f.data)[i];
	free(copy);
	return found || wrong ? found : (abort(), false);
}

static void finds_files(struct ktest *t)
{
	struct archive a = sample();
	const char *wrong;
	struct file f;

	KEXPECT(t, cpio_find(a.data, a.size, "second", &f, &wrong));
	KEXPECT(t, f.size == 15 && !memcmp(f.data, "some more bytes", 15));
	KEXPECT(t, cpio_find(a.data, a.size, "first", &f, &wrong) && f.size == 5);
	KEXPECT(t, !cpio_find(a.data, a.size, "third", &f, &wrong));
	KEXPECT(t, !strcmp(wrong, "the archive has no such file"));
}

static void names_from_anywhere(struct ktest *t)
{
	static const char *const names[] = {"bin/prog", "./bin/prog", "/bin/prog"};
	const char *wrong;
	struct file f;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct archive a = {.size = 0};

		add(&a, ".", "", 0);
		add(&a, names[i], "12345", 5);
		add(&a, "TRAILER!!!", "", 0);
		for (unsigned k = 0; k < ARRAY_SIZE(names); k++)
			KEXPECT(t, cpio_find(a.data, a.size, names[k], &f, &wrong) && f.size == 5);
		KEXPECT(t, !cpio_find(a.data, a.size, "prog", &f, &wrong));
		KEXPECT(t, !cpio_find(a.data, a.size, ".bin/prog", &f, &wrong));
	}
}

static void cut_off(struct ktest *t)
{
	struct archive a = sample();

	for (size_t size = 0; size < a.size; size++)
		KEXPECT(t, !find_in_copy(&a, size, "third"));
}

static void damaged(struct ktest *t)
{
	for (unsigned n = 0; n < 3000; n++) {
		struct archive a = sample();

		for (unsigned k = rng_below(&t->rng, 3); k < 3; k++)
			a.data[rng_below(&t->rng, a.size)] =
				"0123456789abcdefF\xff"[rng_below(&t->rng, 18)];
		find_in_copy(&a, a.size, "second");
	}
}

static const struct ktest_case cases[] = {
	{"finds_files", finds_files},
	{"names_from_anywhere", names_from_anywhere},
	{"cut_off", cut_off},
	{"damaged", damaged},
};
KTEST_SUITE(cpio_suite, "cpio", "archives", true, cases);
