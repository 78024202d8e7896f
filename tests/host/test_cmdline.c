/*
 * The command-line parser. Oracle: good words are taken; anything else is refused as a whole.
 */
#include "kernel/lib/cpumask.h"
#include "kernel/param/cmdline.h"
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

/* Each switch: on, off, and nothing else. */
static void switches(struct ktest *t)
{
	static const struct {
		const char *on, *off, *other;
		const bool *value;
	} switches[] = {
#define SWITCH(name) {#name "=on", #name "=off", #name "=1", &boot_params.name}
		SWITCH(lazy),	 SWITCH(tables),  SWITCH(neighbours), SWITCH(turns),
		SWITCH(shuffle), SWITCH(witness), SWITCH(trace),
	};

	for (unsigned i = 0; i < ARRAY_SIZE(switches); i++) {
		KEXPECT(t, cmdline_parse(switches[i].on) && *switches[i].value);
		KEXPECT(t, cmdline_parse(switches[i].off) && !*switches[i].value);
		KEXPECT(t, !cmdline_parse(switches[i].other));
	}
}

/* The first and the last value that each parameter takes, and what becomes of it. */
static void limits(struct ktest *t)
{
	KEXPECT(t, cmdline_parse("maxcpus=1") && boot_params.maxcpus == 1);
	KEXPECT(t, cmdline_parse("maxcpus=256") && boot_params.maxcpus == 256);
	KEXPECT(t, cmdline_parse("rounds=1") && boot_params.rounds == 1);
	KEXPECT(t, !cmdline_parse("rounds=x"));
	KEXPECT(t, cmdline_parse("refuse=1") && boot_params.refuse == 1);
	KEXPECT(t, !cmdline_parse("refuse=0") && !cmdline_parse("refuse=x"));
	KEXPECT(t, cmdline_parse("ring=1000000000") && boot_params.ring == 1000000000);
	KEXPECT(t, !cmdline_parse("ring=0") && !cmdline_parse("ring=1000000001"));
	KEXPECT(t, cmdline_parse("flush=exact") && boot_params.flush == FLUSH_EXACT);
	KEXPECT(t, cmdline_parse("flush=ceiling") && boot_params.flush == FLUSH_CEILING);
	KEXPECT(t, !cmdline_parse("flush=seldom"));
	KEXPECT(t, cmdline_parse("disable=smap,smep") && !strcmp(boot_params.disable, "smap,smep"));
	KEXPECT(t, cmdline_parse("suite=zap,mix") && !strcmp(boot_params.suites, "zap,mix"));
	KEXPECT(t, cmdline_parse("panic=null_read") && !strcmp(boot_params.panic, "null_read"));
}

static const struct ktest_case cases[] = {
	{"numbers", numbers},	{"good_lines", good_lines}, {"bad_lines", bad_lines},
	{"switches", switches}, {"limits", limits},
};
KTEST_SUITE(cmdline_suite, "cmdline", "the kernel's command line", true, cases);
