/*
 * Running suites and printing KTAP (Linux Documentation/dev-tools/ktap.rst, version 1): the suites
 * are the top-level tests, their cases are subtests. Runs in one kernel thread; no locks.
 */
#include "tests/ktest.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/string.h"
#include "kernel/param/cmdline.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/task.h"

extern const struct ktest_suite *const __ktests_start[], *const __ktests_end[];

#define MAX_SUITES 256
static struct {
	const char *suites, *cases;
} selection;

/* The length of the name at the front of @list. */
static size_t name_len(const char *list)
{
	size_t n = 0;

	while (list[n] && list[n] != ',')
		n++;
	return n;
}

static bool is_name(const char *list, size_t n, const char *name)
{
	return strlen(name) == n && !strncmp(list, name, n);
}

static bool lists(const char *list, const char *name)
{
	while (*list) {
		size_t n = name_len(list);

		if (is_name(list, n, name))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static bool selects_case(const struct ktest_case *c)
{
	return !*selection.cases || lists(selection.cases, c->name);
}

/* How many cases of @s run. */
static unsigned count_cases(const struct ktest_suite *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->nr_cases; i++)
		n += selects_case(&s->cases[i]);
	return n;
}

static bool selects(const struct ktest_suite *s)
{
	bool named = lists(selection.suites, s->name) || lists(selection.suites, "all") ||
		     (s->by_default && lists(selection.suites, "default"));

	return named && (!*selection.cases || count_cases(s));
}

static bool is_known(const char *list, size_t n)
{
	if (is_name(list, n, "all") || is_name(list, n, "default"))
		return true;
	for (const struct ktest_suite *const *s = __ktests_start; s < __ktests_end; s++)
		if (is_name(list, n, (*s)->name))
			return true;
	return false;
}

/* Each of @list is a case of a suite that was selected. */
static bool cases_are_known(const char *list)
{
	while (*list) {
		size_t n = name_len(list);
		bool known = false;

		for (const struct ktest_suite *const *s = __ktests_start; s < __ktests_end; s++)
			for (unsigned i = 0; i < (*s)->nr_cases && selects(*s); i++)
				known |= is_name(list, n, (*s)->cases[i].name);
		if (!known) {
			pr_err("command line: no suite that is chosen has a case %.*s\n", (int)n,
			       list);
			return false;
		}
		list += n + (list[n] == ',');
	}
	return true;
}

static bool suites_are_known(const char *list)
{
	while (*list) {
		size_t n = name_len(list);

		if (!is_known(list, n)) {
			pr_err("command line: suite %.*s is not known; there are:", (int)n, list);
			for (const struct ktest_suite *const *s = __ktests_start; s < __ktests_end;
			     s++)
				printk(" %s", (*s)->name);
			printk("\n");
			return false;
		}
		list += n + (list[n] == ',');
	}
	return true;
}

bool ktest_select(const char *suites, const char *cases)
{
	selection.suites = suites;
	selection.cases = cases;
	return suites_are_known(suites) && cases_are_known(cases);
}

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	char msg[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	printk("    # %s:%d: %s\n", file, line, msg);
	__atomic_add_fetch(&t->failures, 1, __ATOMIC_SEQ_CST);
}

void let_others_run(void)
{
	sched_yield();
	cpu_relax();
}

struct task *run_on_cpu(unsigned cpu, const char *name, void (*fn)(void *arg), void *arg)
{
	struct task *task = task_create(name, fn, arg);

	BUG_ON(!task);
	task->cpus_allowed = cpumask_of(cpu);
	wake_up_new_task(task);
	return task;
}

void await_tasks(unsigned nr_before)
{
	while (task_count() > nr_before)
		let_others_run();
}

void ktest_skip(struct ktest *t, const char *why)
{
	t->skipped = why;
}

static u64 name_hash(const char *s)
{
	u64 h = 0xcbf29ce484222325UL; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (u8)*s) * 0x100000001b3UL;
	return h;
}

/*
 * Case @i of @s, the @nth that runs. True if it passed or was skipped: one that failed before it
 * gave up has failed.
 */
static bool run_case(const struct ktest_suite *s, unsigned i, unsigned nth)
{
	struct ktest t = {
		.suite = s,
		.rng = rng_stream(boot_seed, name_hash(s->name) + i),
		.rounds = boot_params.rounds,
	};

	trace(TRACE_CASE, 0, 0, (u64)s->cases[i].name);
	s->cases[i].run(&t);
	trace(TRACE_CASE_END, 0, 0, 0);
	if (t.failures)
		t.skipped = NULL;
	printk("    %sok %u %s%s%s\n", t.failures ? "not " : "", nth, s->cases[i].name,
	       t.skipped ? " # SKIP " : "", t.skipped ?: "");
	return !t.failures;
}

static bool run_suite(const struct ktest_suite *s)
{
	unsigned failed = s->nr_cases == 0, n = 0;

	trace_start();
	trace(TRACE_SUITE, 0, 0, (u64)s->name);
	printk("    KTAP version 1\n    # Subtest: %s\n    1..%u\n", s->name, count_cases(s));
	for (unsigned i = 0; i < s->nr_cases; i++)
		if (selects_case(&s->cases[i]))
			failed += !run_case(s, i, ++n);
	trace(TRACE_SUITE_END, 0, 0, 0);
	return !failed;
}

/* The selected suites, in the order in which they run; how many. */
static unsigned choose_suites(const struct ktest_suite *chosen[MAX_SUITES])
{
	unsigned n = 0;

	for (const struct ktest_suite *const *s = __ktests_start; s < __ktests_end; s++) {
		if (!selects(*s))
			continue;
		BUG_ON(n == MAX_SUITES);
		chosen[n++] = *s;
	}
	return n;
}

/* Every order is as likely as any other (Fisher and Yates), and the seed alone decides. */
static void shuffle(const struct ktest_suite **suites, unsigned n)
{
	struct rng rng = rng_stream(boot_seed, name_hash("shuffle"));

	for (unsigned i = n; i > 1; i--) {
		unsigned k = rng_below(&rng, i);
		const struct ktest_suite *other = suites[k];

		suites[k] = suites[i - 1];
		suites[i - 1] = other;
	}
}

bool ktest_run_selected(void)
{
	static const struct ktest_suite *chosen[MAX_SUITES];
	unsigned total = choose_suites(chosen), failed = 0;

	if (boot_params.shuffle)
		shuffle(chosen, total);
	printk("KTAP version 1\n1..%u\n", total);
	for (unsigned i = 0; i < total; i++) {
		bool ok = run_suite(chosen[i]);

		failed += !ok;
		printk("%sok %u %s\n", ok ? "" : "not ", i + 1, chosen[i]->name);
	}
	if (failed)
		replay_print();
	return total && !failed;
}
