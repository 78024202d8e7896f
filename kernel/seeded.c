/*
 * The seeded bugs by name; see seeded.h.
 */
#include "kernel/seeded.h"

#include "kernel/printk.h"
#include "kernel/string.h"

#ifdef CONFIG_BUGS

enum seeded_bug seeded_bug;

static const char *const names[NR_SEEDED_BUGS] = {
#define X(id, name, backends, suites, provenance) [BUG_##id] = name,
	SEEDED_BUGS(X)
#undef X
};

bool seeded_select(const char *name)
{
	for (unsigned i = BUG_NONE + 1; i < NR_SEEDED_BUGS; i++) {
		if (!strcmp(names[i], name)) {
			seeded_bug = i;
			pr_info("seeded bug: %s\n", name);
			return true;
		}
	}
	pr_err("command line: bug=%s is not known; there are:", name);
	for (unsigned i = BUG_NONE + 1; i < NR_SEEDED_BUGS; i++)
		printk(" %s", names[i]);
	printk("\n");
	return false;
}

#else

bool seeded_select(const char *name)
{
	pr_err("command line: bug=%s: this build has no seeded bugs\n", name);
	return false;
}

#endif
