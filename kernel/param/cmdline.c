/*
 * The command-line parser: a table of parameters, and nothing that is not in it is accepted.
 */
#include "kernel/param/cmdline.h"

#include "kernel/debug/printk.h"
#include "kernel/lib/cpumask.h"
#include "kernel/lib/string.h"

struct boot_params boot_params = {
	.backend = "native",
	.suites = "default",
	.seed = 1,
	.maxcpus = MAX_CPUS,
	.lazy = true,
	.tables = true,
	.neighbours = true,
};

bool parse_u64(const char *s, u64 *value)
{
	unsigned base = 10;
	u64 v = 0;

	if (s[0] == '0' && s[1] == 'x') {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned digit = *s >= '0' && *s <= '9'	  ? *s - '0'
				 : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10
							  : 99;

		if (digit >= base || v > (~0UL - digit) / base)
			return false;
		v = v * base + digit;
	}
	*value = v;
	return true;
}

static bool copy_text(char *dst, size_t size, const char *value)
{
	if (!*value || strlen(value) >= size)
		return false;
	strlcpy(dst, value, size);
	return true;
}

static bool set_backend(const char *v)
{
	return copy_text(boot_params.backend, sizeof(boot_params.backend), v);
}

static bool set_suites(const char *v)
{
	return copy_text(boot_params.suites, sizeof(boot_params.suites), v);
}

static bool set_cases(const char *v)
{
	return copy_text(boot_params.cases, sizeof(boot_params.cases), v);
}

static bool set_seed(const char *v)
{
	return parse_u64(v, &boot_params.seed);
}

static bool set_rounds(const char *v)
{
	return parse_u64(v, &boot_params.rounds) && boot_params.rounds > 0;
}

static bool set_maxcpus(const char *v)
{
	u64 n;

	if (!parse_u64(v, &n) || n < 1 || n > MAX_CPUS)
		return false;
	boot_params.maxcpus = n;
	return true;
}

static bool set_switch(bool *on, const char *v)
{
	*on = !strcmp(v, "on");
	return *on || !strcmp(v, "off");
}

static bool set_lazy(const char *v)
{
	return set_switch(&boot_params.lazy, v);
}

static bool set_tables(const char *v)
{
	return set_switch(&boot_params.tables, v);
}

static bool set_turns(const char *v)
{
	return set_switch(&boot_params.turns, v);
}

static bool set_neighbours(const char *v)
{
	return set_switch(&boot_params.neighbours, v);
}

static bool set_flush(const char *v)
{
	boot_params.flush = strcmp(v, "exact") ? FLUSH_CEILING : FLUSH_EXACT;
	return boot_params.flush == FLUSH_EXACT || !strcmp(v, "ceiling");
}

static bool set_shuffle(const char *v)
{
	return set_switch(&boot_params.shuffle, v);
}

static bool set_witness(const char *v)
{
	return set_switch(&boot_params.witness, v);
}

static bool set_trace(const char *v)
{
	return set_switch(&boot_params.trace, v);
}

static bool set_ring(const char *v)
{
	return parse_u64(v, &boot_params.ring) && boot_params.ring > 0 &&
	       boot_params.ring <= TRACE_RING_MAX;
}

static bool set_disable(const char *v)
{
	return copy_text(boot_params.disable, sizeof(boot_params.disable), v);
}

static bool set_refuse(const char *v)
{
	return parse_u64(v, &boot_params.refuse) && boot_params.refuse > 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place: + becomes @plus, %XX the character with that number. False: a bad %XX, or %00. */
static bool url_decode(char *s, char plus)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '+') {
			*out++ = plus;
		} else if (*s != '%') {
			*out++ = *s;
		} else {
			int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);

			if (low < 0 || !(high | low))
				return false;
			*out++ = high << 4 | low;
			s += 2;
		}
	}
	*out = 0;
	return true;
}

static bool set_replay(const char *v)
{
	return copy_text(boot_params.replay, sizeof(boot_params.replay), v) &&
	       url_decode(boot_params.replay, ' ');
}

/* A + ends an argument, so one may hold a space: %20. */
static bool set_init(const char *v)
{
	boot_params.init_argc = 1;
	for (const char *p = v; (p = strchr(p, '+')); p++)
		boot_params.init_argc++;
	return boot_params.init_argc <= INIT_ARGS_MAX &&
	       copy_text(boot_params.init, sizeof(boot_params.init), v) &&
	       url_decode(boot_params.init, 0) && boot_params.init[0];
}

static bool set_panic(const char *v)
{
	return copy_text(boot_params.panic, sizeof(boot_params.panic), v);
}

static const struct param {
	const char *name, *values;
	bool (*set)(const char *value);
} params[] = {
	{"backend", "native, deferred, or on Xen xen or ptwr", set_backend},
	{"suite", "names separated by commas, default, or all", set_suites},
	{"case", "names of cases, separated by commas", set_cases},
	{"seed", "a number", set_seed},
	{"rounds", "a number from 1", set_rounds},
	{"maxcpus", "1 to 256", set_maxcpus},
	{"lazy", "on or off", set_lazy},
	{"tables", "on or off", set_tables},
	{"neighbours", "on or off", set_neighbours},
	{"turns", "on or off", set_turns},
	{"flush", "exact: page by page, or ceiling: long ranges as a whole", set_flush},
	{"shuffle", "on or off", set_shuffle},
	{"witness", "on or off", set_witness},
	{"trace", "on or off", set_trace},
	{"ring", "1 to 1000000000: events of each CPU that the trace keeps", set_ring},
	{"disable", "CPU features separated by commas: smep smap umip fsgsbase pcid x2apic",
	 set_disable},
	{"replay", "arguments of ./pteron run, quoted as in a URL", set_replay},
	{"refuse", "n: the software hypervisor refuses the nth update of the suites", set_refuse},
	{"panic", "the name of a rule to break", set_panic},
	{"init",
	 "a program of the boot module and its arguments, + between them, quoted as in a URL",
	 set_init},
};

static bool apply_word(const char *word)
{
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);

	for (unsigned i = 0; i < ARRAY_SIZE(params); i++) {
		const struct param *p = &params[i];

		if (strlen(p->name) != len || strncmp(p->name, word, len))
			continue;
		if (eq && p->set(eq + 1))
			return true;
		pr_err("command line: %s: %s= takes %s\n", word, p->name, p->values);
		return false;
	}
	pr_err("command line: %s is not known; the parameters are:", word);
	for (unsigned i = 0; i < ARRAY_SIZE(params); i++)
		printk(" %s=", params[i].name);
	printk("\n");
	return false;
}

bool cmdline_parse(const char *line)
{
	bool ok = true;

	while (*line) {
		static char word[1100];
		size_t n = 0;

		while (*line == ' ')
			line++;
		while (line[n] && line[n] != ' ')
			n++;
		if (!n)
			break;
		if (n >= sizeof(word)) {
			pr_err("command line: a word of %lu characters is too long\n", n);
			return false;
		}
		memcpy(word, line, n);
		word[n] = 0;
		ok &= apply_word(word);
		line += n;
	}
	return ok;
}

void replay_print(void)
{
	if (boot_params.replay[0])
		printk("# replay: ./pteron run %s\n", boot_params.replay);
	else
		printk("# replay: ./pteron run --cpus %u --backend %s --suite %s --seed %lu --lazy "
		       "%s --tables %s\n",
		       cpumask_weight(&cpu_online_mask), boot_params.backend, boot_params.suites,
		       boot_params.seed, boot_params.lazy ? "on" : "off",
		       boot_params.tables ? "on" : "off");
}
