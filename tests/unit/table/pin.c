/*
 * Suite `pin`: threads race for the making of the same page tables.
 *
 * Several kernel threads share an address space. In each round all of them ask at once for the
 * tables of the same places, in slots where there are none; then one drops them all. Oracle: all
 * get the same table for a place; each table is of its level and empty; nothing leaks, and nothing
 * is counted twice. On Xen each table is made read-only and pinned on the way, from the reserve or
 * anew: an entry of one that was not would be refused, and a store to one that was would fault.
 */
#include "kernel/debug/printk.h"
#include "kernel/sched/wait.h"
#include "mm/table/pgtable.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define THREADS 5
#define ROUNDS 60
#define PLACES 24 /* more than a round finds in reserve now and then */
#define BASE 0x10000000000UL

static struct wait_queue turns, arrivals;
static struct {
	struct mm *mm;
	atomic_t arrived;
	u32 turn;
	unsigned long place[PLACES];
	pmd_t *found[THREADS][PLACES];
	pfn_t table[THREADS][PLACES];
} race;

/*
 * Wait until the thread that leads has begun turn @turn. Asleep: a CPU that only yields is one that
 * works, for a hypervisor, and keeps those waiting that it waits for.
 */
static void wait_for_turn(u32 turn)
{
	wait_event(&turns, smp_load_acquire(&race.turn) >= turn);
}

static void begin_turn(u32 turn)
{
	atomic_set(&race.arrived, 0);
	smp_store_release(&race.turn, turn);
	wake_up_all(&turns);
	wait_event(&arrivals, atomic_read(&race.arrived) == THREADS);
}

static void arrive(void)
{
	if (atomic_inc_return(&race.arrived) == THREADS)
		wake_up_all(&arrivals);
}

static void racer(void *arg)
{
	unsigned self = (unsigned long)arg;

	for (u32 round = 1; round <= ROUNDS; round++) {
		wait_for_turn(round);
		for (unsigned k = 0; k < PLACES; k++) {
			unsigned i = self % 2 ? k : PLACES - 1 - k;
			pmd_t *pmd = pmd_alloc(race.mm, race.place[i]);

			BUG_ON(!pmd);
			race.found[self][i] = pmd;
			race.table[self][i] = pmd_pfn(pmdp_get(pmd));
		}
		arrive();
	}
}

/* Neighbours share an L1, an L2 or an L3 table, or nothing. */
static void choose_places(struct ktest *t)
{
	for (unsigned i = 0; i < PLACES; i++)
		race.place[i] = BASE + (rng_below(&t->rng, 3) << PGD_SHIFT) +
				(rng_below(&t->rng, 3) << PUD_SHIFT) +
				(rng_below(&t->rng, 4) << PMD_SHIFT);
}

static void check_places(struct ktest *t)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct page *table = pfn_to_page(race.table[0][i]);
		const pte_t *e = page_to_virt(table);

		for (unsigned r = 1; r < THREADS; r++) {
			KEXPECT(t, race.found[r][i] == race.found[0][i]);
			KEXPECT_EQ(t, race.table[r][i].v, race.table[0][i].v);
		}
		KEXPECT_EQ(t, table->level, 1);
		KEXPECT_EQ(t, table->kind, PAGE_TABLE);
		for (unsigned k = 0; k < PTRS_PER_TABLE; k++)
			KEXPECT(t, pte_none(e[k]));
	}
}

static void drop_tables(void)
{
	test_free_tables(race.mm, BASE, BASE + (3UL << PGD_SHIFT));
}

static void tables_are_made_once(struct ktest *t)
{
	const s64 tables = page_kind_count(PAGE_TABLE);
	const unsigned tasks = task_count();

	race.mm = mm_alloc();
	BUG_ON(!race.mm);
	race.turn = 0;
	wait_queue_init(&turns);
	wait_queue_init(&arrivals);
	for (unsigned long i = 0; i < THREADS; i++)
		kthread_run("pin", racer, (void *)i);
	for (u32 round = 1; round <= ROUNDS; round++) {
		s64 before = page_kind_count(PAGE_TABLE);

		choose_places(t);
		begin_turn(round);
		check_places(t);
		drop_tables();
		KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), before);
		if (round % (ROUNDS / 4) == 0)
			printk("    # pin: %u of %u rounds\n", round, ROUNDS);
	}
	await_tasks(tasks);
	mm_put(race.mm);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

/* More at once than any reserve holds: fresh ones, kept ones and given back ones. */
static void many_tables(struct ktest *t)
{
	s64 tables = page_kind_count(PAGE_TABLE), free;
	const unsigned long len = 200 * PMD_SIZE;
	struct mm *mm = mm_alloc();

	BUG_ON(!mm);
	race.mm = mm;
	free = page_kind_count(PAGE_FREE) + page_kind_count(PAGE_TABLE_RESERVE);
	for (unsigned n = 0; n < 3; n++) {
		KEXPECT_EQ(t, tables_alloc(mm, BASE, BASE + len), 0);
		for (unsigned long a = BASE; a < BASE + len; a += PMD_SIZE)
			KEXPECT(t, pmd_find(mm, a) && !pmd_none(*pmd_find(mm, a)));
		KEXPECT(t, page_kind_count(PAGE_TABLE) >= tables + 200);
		drop_tables();
		KEXPECT_EQ(t, page_kind_count(PAGE_FREE) + page_kind_count(PAGE_TABLE_RESERVE),
			   free);
	}
	mm_put(mm);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

static const struct ktest_case cases[] = {
	{"tables_are_made_once", tables_are_made_once},
	{"many_tables", many_tables},
};
KTEST_SUITE(pin_suite, "pin", "threads race for the making of page tables", true, cases);
