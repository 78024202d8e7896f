/*
 * sequences: all short sequences of operations on one page table.
 *
 * An order that no program of the other suites happens to use may be wrong: rights taken by the L2
 * entry, then fork, then the rights given back, then a write. So here every sequence of a small set
 * of operations is run, up to a length, by a parent and its children, each on a block of its own
 * that one PTE page covers. Oracle: a model of bytes. It says of each process what each page that
 * is used must hold and whether it may be written; at the end of the sequence every process reads
 * each page, writes what it may, finds the rest refused, and reads again.
 *
 * Sequences in which fork and exit have the same places run side by side, a group of them in one
 * process, so that they share the forks; blocks share nothing else. What ends a sequence changes
 * its block, so nothing is looked at before the end: each prefix is a sequence of its own.
 *
 * Each runs twice: with a table of few entries, and with one of so many that the kernel may change,
 * copy, drop and move it as a whole.
 *
 * All sequences up to SHORT_MAX of the wide set are run each time. Of those up to LONG_MAX of the
 * narrow one work.rounds groups are, from one on that the seed chooses; with enough rounds, all. In
 * these no operation directly follows itself, where the second finds nothing to do.
 */
#include "tests/user/lib/user.h"

#define GROUP 32 /* sequences side by side */
#define SHORT_MAX 3
#define LONG_MAX 5
#define PROCESSES 3 /* a parent and its children at one time */
#define BLOCK (1UL << 21)
#define SPACE (4 * BLOCK) /* of a sequence: two places, each with room for a shift */
#define SHIFT_PAGES 5
#define WNOHANG 1
#define LOOK_MS 50 /* between two looks whether the other one has died */

/* --- the operations --- */

enum operation {
	PROTECT,      /* take the right to write from the block */
	PROTECT_HALF, /* from its first half */
	OPEN,	      /* give it back, to all of it */
	WRITE,	      /* one page of each half; or find that it is refused */
	DROP,	      /* all contents */
	MOVE,	      /* to the other place, where each entry keeps its index */
	MOVE_SHIFTED, /* where it does not */
	FORK,	      /* the new child is who acts as the child from now on */
	EXIT,	      /* the last child goes */
	NR_OPERATIONS
};
#define BY_CHILD 0x10
static const char *const names[NR_OPERATIONS] = {
	"protect", "protect-half", "open", "write", "drop", "move", "shift", "fork", "exit",
};

/* Which operations sequences are made of, besides fork and exit; and how many children live. */
struct alphabet {
	unsigned min_len, max_len, children;
	unsigned nr_parent, nr; /* the parent's come first */
	u8 op[16];
};
static const struct alphabet wide = {
	.min_len = 1,
	.max_len = SHORT_MAX,
	.children = 2,
	.nr_parent = 7,
	.nr = 12,
	.op = {PROTECT, PROTECT_HALF, OPEN, WRITE, DROP, MOVE, MOVE_SHIFTED, PROTECT | BY_CHILD,
	       OPEN | BY_CHILD, WRITE | BY_CHILD, DROP | BY_CHILD, MOVE | BY_CHILD},
};
static const struct alphabet narrow = {
	.min_len = SHORT_MAX + 1,
	.max_len = LONG_MAX,
	.children = 1,
	.nr_parent = 5,
	.nr = 8,
	.op = {PROTECT, OPEN, WRITE, DROP, MOVE, OPEN | BY_CHILD, WRITE | BY_CHILD,
	       DROP | BY_CHILD},
};

/* Sequences of one form: LOCAL stands where each has an operation of its own, of the alphabet. */
#define LOCAL NR_OPERATIONS
struct form {
	const struct alphabet *of;
	unsigned len;
	u8 step[LONG_MAX]; /* LOCAL, FORK or EXIT */
	u8 children[LONG_MAX];
};

struct group {
	const struct form *form;
	unsigned n, index[GROUP]; /* of the form's sequences */
	bool dense;
};

static unsigned choices(const struct form *f, unsigned k)
{
	return f->children[k] ? f->of->nr : f->of->nr_parent;
}

static unsigned nr_sequences(const struct form *f)
{
	unsigned n = 1;

	for (unsigned k = 0; k < f->len; k++)
		if (f->step[k] == LOCAL)
			n *= choices(f, k);
	return n;
}

/* Step @k of the form's sequence @index. */
static u8 operation_of(const struct form *f, unsigned index, unsigned k)
{
	if (f->step[k] != LOCAL)
		return f->step[k];
	for (unsigned i = 0; i < k; i++)
		if (f->step[i] == LOCAL)
			index /= choices(f, i);
	return f->of->op[index % choices(f, k)];
}

/* True if a step only repeats the one before, which finds nothing to do. */
static bool repeats(const struct form *f, unsigned index)
{
	for (unsigned k = 1; k < f->len; k++) {
		u8 op = operation_of(f, index, k);

		if (op == operation_of(f, index, k - 1) && op != FORK && op != EXIT &&
		    (op & ~BY_CHILD) != MOVE && op != MOVE_SHIFTED)
			return true;
	}
	return false;
}

/* --- what all processes of a group know: in shared memory --- */

/* Pages of a block that are used: who reads them first finds stamps, or zeros. */
#define PAGES 5
#define NEVER_TOUCHED 4
static const unsigned page_index[PAGES] = {3, 40, 290, 10, 300};
#define STAMPED 3    /* the first ones */
#define FIRST_READ 3 /* then one that is only read */
/* In a dense table these are read, too. */
#define DENSE_FIRST 64
#define DENSE_PAGES 64
#define HALF_PAGES 256

/* What one process must find in its block. */
struct model {
	bool away, shifted;
	bool split; /* the halves have had different rights: they may be two VMAs */
	bool open[2];
	u64 value[PAGES];
};

enum phase { AT_STEP, AT_READING, AT_WRITING, AT_END };

/* What the parent asks of a child; and what a process does, should it die. */
struct mailbox {
	u32 asked, done;
	u32 phase, step, block;
	int pid;
};

static struct shared {
	struct model model[PROCESSES][GROUP];
	struct mailbox mail[PROCESSES]; /* [0]: the parent's */
	u64 last_value;
} * shared;

static const struct group *group;
static unsigned self;	  /* which process this is */
static unsigned children; /* of the parent's, that live */
static unsigned long area;

/* "fork, open (child), ..." */
static const char *describe(unsigned block)
{
	static char text[160];
	size_t n = 0;

	for (unsigned k = 0; k < group->form->len && n < sizeof(text); k++) {
		u8 op = operation_of(group->form, group->index[block], k);

		n += snprintf(text + n, sizeof(text) - n, "%s%s%s", k ? ", " : "",
			      names[op & ~BY_CHILD], op & BY_CHILD ? " (child)" : "");
	}
	return text;
}

#define EXPECT(block, page, cond, fmt, ...)                                                        \
	CHECK_PAGE(page, cond, fmt "; %s %u in %s at %u of: %s", ##__VA_ARGS__,                    \
		   self ? "child" : "parent", self, group->dense ? "a dense table" : "a table",    \
		   shared->mail[self].step, describe(block))

static struct model *model_of(unsigned block)
{
	return &shared->model[self][block];
}

static unsigned long address(unsigned block, const struct model *m)
{
	return area + block * SPACE + (m->away ? SPACE / 2 : 0) +
	       (m->shifted ? SHIFT_PAGES * PAGE_SIZE : 0);
}

static unsigned long page_of(unsigned block, unsigned i)
{
	return address(block, model_of(block)) + page_index[i] * PAGE_SIZE;
}

/* --- one operation on one block --- */

static void succeeds(unsigned block, const char *what, long ret)
{
	EXPECT(block, address(block, model_of(block)), !ret, "%s answers %ld", what, ret);
}

static void protect(unsigned block, unsigned halves, bool open)
{
	struct model *m = model_of(block);

	succeeds(block, "mprotect",
		 sys_mprotect(address(block, m), halves * BLOCK / 2, open ? PROT_RW : PROT_READ));
	m->split |= halves == 1;
	m->open[0] = open;
	if (halves == 2)
		m->open[1] = open;
}

static void write_page(unsigned block, unsigned i)
{
	struct model *m = model_of(block);
	unsigned long page = page_of(block, i);

	if (!m->open[page_index[i] >= HALF_PAGES]) {
		EXPECT(block, page, probe_write(page + 64) == -EFAULT,
		       "page %u is writable and must not be", i);
		return;
	}
	m->value[i] = __atomic_add_fetch(&shared->last_value, 1, __ATOMIC_RELAXED);
	*(volatile u64 *)page = m->value[i];
}

static void drop(unsigned block)
{
	struct model *m = model_of(block);

	succeeds(block, "madvise", sys_madvise(address(block, m), BLOCK, MADV_DONTNEED));
	for (unsigned i = 0; i < PAGES; i++)
		m->value[i] = 0;
}

static void move(unsigned block, bool shifted)
{
	struct model *m = model_of(block);
	unsigned long from = address(block, m), len = m->split ? BLOCK / 2 : BLOCK, to;

	m->away = !m->away;
	m->shifted ^= shifted;
	to = address(block, m);
	for (unsigned long at = 0; at < BLOCK; at += len) {
		long ret = sys_mremap(from + at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to + at);

		EXPECT(block, to + at, ret == (long)(to + at), "mremap answers %ld", ret);
	}
	for (unsigned i = 0; i < STAMPED; i++)
		EXPECT(block, from + page_index[i] * PAGE_SIZE,
		       probe_read(from + page_index[i] * PAGE_SIZE) == -EFAULT,
		       "page %u is still where it was moved from", i);
}

static void perform(unsigned block, u8 op)
{
	switch (op & ~BY_CHILD) {
	case PROTECT:
		protect(block, 2, false);
		break;
	case PROTECT_HALF:
		protect(block, 1, false);
		break;
	case OPEN:
		protect(block, 2, true);
		break;
	case WRITE:
		write_page(block, 0);
		write_page(block, NEVER_TOUCHED);
		break;
	case DROP:
		drop(block);
		break;
	case MOVE:
		move(block, false);
		break;
	case MOVE_SHIFTED:
		move(block, true);
		break;
	}
}

/* --- what a process does when its turn has come --- */

static void note(enum phase phase, unsigned step, unsigned block)
{
	struct mailbox *m = &shared->mail[self];

	WRITE_ONCE(m->phase, phase);
	WRITE_ONCE(m->step, step);
	WRITE_ONCE(m->block, block);
}

/* Those sequences whose step @k is this process's. */
static void do_step(unsigned k)
{
	for (unsigned b = 0; b < group->n; b++) {
		u8 op = operation_of(group->form, group->index[b], k);

		note(AT_STEP, k, b);
		if (!(op & BY_CHILD) == !self)
			perform(b, op);
	}
}

static void read_all(void)
{
	for (unsigned b = 0; b < group->n; b++) {
		note(AT_READING, group->form->len, b);
		for (unsigned i = 0; i < PAGES; i++) {
			u64 found = *(volatile u64 *)page_of(b, i);

			EXPECT(b, page_of(b, i), found == model_of(b)->value[i],
			       "page %u holds %lu and must hold %lu", i, found,
			       model_of(b)->value[i]);
		}
	}
}

static void write_all(void)
{
	for (unsigned b = 0; b < group->n; b++) {
		note(AT_WRITING, group->form->len, b);
		for (unsigned i = 0; i < PAGES; i++)
			write_page(b, i);
	}
}

static void act(enum phase phase, unsigned step)
{
	if (phase == AT_STEP)
		do_step(step);
	else if (phase == AT_READING)
		read_all();
	else if (phase == AT_WRITING)
		write_all();
	else
		sys_exit_group(0);
}

/* --- parent and children --- */

static void __noreturn child_main(int parent)
{
	struct mailbox *m = &shared->mail[self];

	for (;;) {
		u32 asked = smp_load_acquire(&m->asked);

		if (asked == m->done) {
			futex_wait_ms(&m->asked, asked, LOOK_MS);
			if (syscall3(SYS_getppid, 0, 0, 0) != parent)
				sys_exit_group(1); /* it has failed, and said so */
			continue;
		}
		act(m->phase, m->step);
		smp_store_release(&m->done, asked);
		futex_wake(&m->done, 1);
	}
}

static const char *const phases[] = {"a step", "reading", "writing", "its end"};

static void __noreturn report_death(unsigned i, int status)
{
	struct mailbox *m = &shared->mail[i];

	fail("%s %u ended with status %#x at %s (%u) in %s of: %s", i ? "child" : "parent", i,
	     status, phases[m->phase], m->step, group->dense ? "a dense table" : "a table",
	     describe(m->block));
}

static void order(struct mailbox *m, enum phase phase, unsigned step)
{
	m->phase = phase;
	m->step = step;
	m->block = 0;
	smp_store_release(&m->asked, m->asked + 1);
	futex_wake(&m->asked, 1);
}

/* Child @i does it, and is done on return. */
static void ask(unsigned i, enum phase phase, unsigned step)
{
	struct mailbox *m = &shared->mail[i];
	int status = 0;
	u32 done;

	order(m, phase, step);
	while ((done = smp_load_acquire(&m->done)) != m->asked) {
		futex_wait_ms(&m->done, done, LOOK_MS);
		if (syscall6(SYS_wait4, m->pid, (long)&status, WNOHANG, 0, 0, 0) == m->pid)
			report_death(i, status);
	}
}

/* Process @i, 0 being this one, reads or writes all that it has. */
static void each(unsigned i, enum phase phase)
{
	if (i)
		ask(i, phase, group->form->len);
	else
		act(phase, 0);
}

static void new_child(void)
{
	int parent = sys_getpid(), pid;
	unsigned i = ++children;

	shared->mail[i] = (struct mailbox){0};
	memcpy(shared->model[i], shared->model[0], sizeof(shared->model[0]));
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		self = i;
		child_main(parent);
	}
	shared->mail[i].pid = pid;
}

static void last_child_ends(void)
{
	struct mailbox *m = &shared->mail[children];
	int status;

	order(m, AT_END, group->form->len);
	status = wait_for(m->pid);
	if (status)
		report_death(children, status);
	children--;
}

/* Who writes first sees what it shares with the others; who writes last has it alone. */
static void check_everything(void)
{
	unsigned n = children + 1, first = group->index[0] / GROUP % n;

	for (unsigned i = 0; i < n; i++)
		each(i, AT_READING);
	for (unsigned i = 0; i < n; i++) {
		each((first + i) % n, AT_WRITING);
		for (unsigned k = 0; k < n; k++)
			each(k, AT_READING);
	}
	while (children)
		last_child_ends();
}

/* --- a group --- */

static void make_block(unsigned b)
{
	struct model *m = model_of(b);
	unsigned long start;

	*m = (struct model){.open = {true, true}};
	start = address(b, m);
	CHECK(sys_mmap(start, BLOCK, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) ==
		      (long)start,
	      "mmap");
	if (group->dense)
		succeeds(b, "madvise",
			 sys_madvise(start + DENSE_FIRST * PAGE_SIZE, DENSE_PAGES * PAGE_SIZE,
				     MADV_POPULATE_READ));
	(void)*(volatile u64 *)page_of(b, FIRST_READ);
	for (unsigned i = 0; i < STAMPED; i++)
		write_page(b, i);
}

static void run_sequences(void)
{
	const struct form *f = group->form;

	for (unsigned b = 0; b < group->n; b++)
		make_block(b);
	for (unsigned k = 0; k < f->len; k++) {
		if (f->step[k] == FORK) {
			new_child();
		} else if (f->step[k] == EXIT) {
			last_child_ends();
		} else {
			do_step(k);
			if (children)
				ask(children, AT_STEP, k);
		}
	}
	check_everything();
}

/* In a process of its own, so that what kills it is reported with what it did. */
static void run_group(const struct group *g)
{
	int pid, status;

	group = g;
	memset(shared, 0, sizeof(*shared));
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		run_sequences();
		sys_exit_group(0);
	}
	status = wait_for(pid);
	if (status)
		report_death(0, status);
}

/* --- all of them --- */

static struct {
	u64 groups, sequences; /* so far */
	u64 from, to;	       /* these groups are run; the end wraps around */
	u64 of;		       /* that there are; 0: they are only counted */
	u64 run;
} all;

static bool is_wanted(u64 index)
{
	return all.of && (index + all.of - all.from) % all.of < all.to - all.from;
}

static void run_if_wanted(struct group *g)
{
	for (unsigned dense = 0; dense < 2; dense++) {
		g->dense = dense;
		if (!is_wanted(all.groups++))
			continue;
		all.sequences += g->n;
		run_group(g);
		if (g->form->of == &narrow)
			progress(++all.run);
	}
	g->n = 0;
}

static void groups_of(const struct form *f)
{
	unsigned n = nr_sequences(f);
	struct group g = {.form = f};

	for (unsigned index = 0; index < n; index++) {
		if (f->of == &narrow && repeats(f, index))
			continue;
		g.index[g.n++] = index;
		if (g.n == GROUP)
			run_if_wanted(&g);
	}
	if (g.n)
		run_if_wanted(&g);
}

/* All forms that begin as @f does. */
static void forms_from(struct form *f, unsigned alive)
{
	unsigned k = f->len;

	if (k >= f->of->min_len)
		groups_of(f);
	if (k == f->of->max_len)
		return;
	f->len = k + 1;
	f->children[k] = alive;
	f->step[k] = LOCAL;
	forms_from(f, alive);
	f->step[k] = FORK;
	if (alive < f->of->children)
		forms_from(f, alive + 1);
	f->step[k] = EXIT;
	if (alive)
		forms_from(f, alive - 1);
	f->len = k;
}

static u64 count_groups(const struct alphabet *a)
{
	struct form f = {.of = a};

	all.groups = 0;
	all.of = 0;
	forms_from(&f, 0);
	return all.groups;
}

/* @n groups from group @from on, of the @of that there are. */
static void run_some(const struct alphabet *a, u64 from, u64 n, u64 of)
{
	struct form f = {.of = a};

	all.groups = 0;
	all.of = of;
	all.from = from % of;
	all.to = all.from + n;
	forms_from(&f, 0);
}

void program_main(void)
{
	struct rng rng = thread_rng(0, 0);
	u64 groups;

	shared = (struct shared *)must_map(sizeof(*shared), MAP_SHARED);
	area = must_map((GROUP + 1) * SPACE, MAP_PRIVATE);
	CHECK(!sys_munmap(area, (GROUP + 1) * SPACE), "munmap");
	area = ALIGN_UP(area, SPACE);
	groups = count_groups(&wide);
	run_some(&wide, 0, groups, groups);
	groups = count_groups(&narrow);
	work.rounds = min(work.rounds, groups);
	run_some(&narrow, rng_below(&rng, groups), work.rounds, groups);
	if (work.index == 0)
		say("    # sequences: %lu of them\n", all.sequences);
}
