/*
 * The console: what ring 3 writes is never at the start of a line, whatever it is and however it is
 * cut, and all of it comes out; and no name makes a line of the kernel into two. Oracle: the marks
 * taken off, the text is what was written.
 */
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "tests/ktest.h"

#define TEXT_MAX 600

static char got[4 * TEXT_MAX];
static size_t got_len;

static void capture(const char *s, size_t n)
{
	n = min(n, sizeof(got) - got_len);
	memcpy(got + got_len, s, n);
	got_len += n;
}

/*
 * Take the marks off what was captured, into @text; its length, or SIZE_MAX where a line has none.
 */
static size_t without_marks(char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < got_len; i++) {
		bool whole = got[i] == '|' && i + 1 < got_len && got[i + 1] == ' ';

		if (!whole && (got[i] != '|' || i + 1 == got_len || got[i + 1] != '+'))
			return SIZE_MAX;
		for (i += 2; i < got_len && got[i] != '\n'; i++)
			text[n++] = got[i];
		if (whole)
			text[n++] = '\n';
	}
	return n;
}

/* Many ends of lines, and many lines longer than a piece. */
static void random_text(struct rng *rng, char *text, size_t n)
{
	static const char some[] = "\n\n\r|+ #ok1\x1b";
	unsigned often = rng_below(rng, 200) + 1;

	for (size_t i = 0; i < n; i++)
		text[i] = rng_below(rng, often) ? (char)rng_below(rng, 256)
						: some[rng_below(rng, sizeof(some) - 1)];
}

static void write_captured(const char *text, size_t n, size_t cut)
{
	console_out_t was;

	got_len = 0;
	was = console_redirect(capture);
	console_write_user(text, cut);
	console_write_user(text + cut, n - cut);
	console_redirect(was);
}

static void ring_3_begins_no_line(struct ktest *t)
{
	static char text[TEXT_MAX], again[4 * TEXT_MAX];

	for (unsigned round = 0; round < 300 && !t->failures; round++) {
		size_t n = rng_below(&t->rng, TEXT_MAX + 1);

		random_text(&t->rng, text, n);
		write_captured(text, n, rng_below(&t->rng, n + 1));
		KEXPECT_EQ(t, without_marks(again), n);
		KEXPECT(t, !memcmp(text, again, n));
	}
}

/* Sizes around that of a piece, of bytes that are all alike. */
static void long_lines(struct ktest *t)
{
	static char text[TEXT_MAX], again[4 * TEXT_MAX];

	for (size_t n = 0; n < TEXT_MAX && !t->failures; n++) {
		memset(text, 'x', n);
		write_captured(text, n, n);
		KEXPECT_EQ(t, without_marks(again), n);
		for (size_t i = 0, line = 0; i < got_len; i++) {
			line = got[i] == '\n' ? 0 : line + 1;
			KEXPECT(t, line < 127); /* what Xen's console takes at once, and the end */
		}
	}
}

static void behind_an_open_line_of_the_kernel(struct ktest *t)
{
	console_out_t was;

	got_len = 0;
	was = console_redirect(capture);
	printk("# there are:");
	console_write_user("x\n", 2);
	printk(" more\n");
	console_redirect(was);
	KEXPECT_EQ(t, got_len, 12 + 1 + 4 + 6);
	KEXPECT(t, !memcmp(got, "# there are:\n| x\n more\n", got_len));
}

static void names_have_one_line(struct ktest *t)
{
	static const char want[] = "# task a?# panic: b?[?é|?\n";
	console_out_t was;

	got_len = 0;
	was = console_redirect(capture);
	pr_info("task %s|%c\n", "a\n# panic: b\x1b[\x7fé", '\r');
	console_redirect(was);
	KEXPECT_EQ(t, got_len, sizeof(want) - 1);
	KEXPECT(t, !memcmp(got, want, got_len));
}

static const struct ktest_case cases[] = {
	{"ring_3_begins_no_line", ring_3_begins_no_line},
	{"long_lines", long_lines},
	{"behind_an_open_line_of_the_kernel", behind_an_open_line_of_the_kernel},
	{"names_have_one_line", names_have_one_line},
};

KTEST_SUITE(console_suite, "console", "ring 3 cannot write the kernel's words", true, cases);
