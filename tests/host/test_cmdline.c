/*
 * The command-line parser. Oracle: good words are taken; anything else is refused as a whole.
 */
#include "boot/cmdline.h"
#include "kernel/cpumask.h"
#include "tests/ktest.h"

#include <string.h>

cpumask_t cpu_online_mask;

static void numbers(struct ktest *t)
{
	static const char *const bad[] = {"",
					  "x",
					  "0x",
					  "12a",
					  "-1",
					  "1 ",
					  "0xg",
					  "18446744073709551616",
					  "0x10000000000000000"};
	u64 v = 7;

	KEXPECT(t, parse_u64("0", &v) && v == 0);
	KEXPECT(t, parse_u64("18446744073709551615", &v) && v == ~0UL);
	KEXPECT(t, parse_u64("0xffffffffffffffff", &v) && v == ~0UL);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		KEXPECT(t, !parse_u64(bad[i], &v));
}

static void good_lines(struct ktest *t)
{
	KEXPECT(t, cmdline_parse(""));
	KEXPECT(t, cmdline_parse("   seed=42  lazy=off backend=deferred maxcpus=0x10 "));
	KEXPECT(t, boot_params.seed == 42 && !boot_params.lazy && boot_params.maxcpus == 16);
	KEXPECT(t, !strcmp(boot_params.backend, "deferred"));
	KEXPECT(t, cmdline_parse("replay=--cpus+4 lazy=on"));
	KEXPECT(t, !strcmp(boot_params.replay, "--cpus 4") && boot_params.lazy);
	KEXPECT(t, cmdline_parse("replay=a%2Bb%27c"));
	KEXPECT(t, !strcmp(boot_params.replay, "a+b'c"));
	KEXPECT(t, cmdline_parse("init=/bin/prog+a%20b++c%2Bd"));
	KEXPECT(t, boot_params.init_argc == 4);
	KEXPECT(t, !memcmp(boot_params.init, "/bin/prog\0a b\0\0c+d", 19));
}

static void bad_lines(struct ktest *t)
{
	static const char *const bad[] = {
		"seeds=1",
		"seed",
		"seed=",
		"seed=x",
		"lazy=maybe",
		"rounds=0",
		"maxcpus=0",
		"maxcpus=257",
		"backend=",
		"SEED=1",
		"seed=1 foo",
		"=",
		"backend=a-name-that-is-much-too-long",
		"replay=%",
		"replay=%2",
		"replay=%G0",
		"init=",
		"init=+a",
		"init=a%00b",
		"init=p++++++++++++++++++++++++++++++++",
	};
	static char line[3000];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		KEXPECT(t, !cmdline_parse(bad[i]));
	memset(line, 'a', sizeof(line) - 1);
	KEXPECT(t, !cmdline_parse(line));
}

static const struct ktest_case cases[] = {
	{"numbers", numbers},
	{"good_lines", good_lines},
	{"bad_lines", bad_lines},
};
KTEST_SUITE(cmdline_suite, "cmdline", "the kernel's command line", true, cases);
