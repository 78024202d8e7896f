/*
 * The bookkeeping of PCIDs against a model of a TLB. Oracle: whenever a CPU runs an address space
 * without having flushed, everything that its TLB holds under that PCID must belong to this address
 * space and be of its newest generation.
 */
#include "mm/lazy/asid.h"
#include "tests/ktest.h"

#define CONTEXTS 20

static void against_a_tlb(struct ktest *t, unsigned slots)
{
	struct {
		u64 context, generation;
	} tlb[NR_ASIDS] = {{0, 0}};
	u64 generation[CONTEXTS + 1] = {0};
	unsigned kept = 0;
	struct asid_set s;

	asid_init(&s, slots);
	for (unsigned n = 0; n < 5000; n++) {
		u64 c = 1 + rng_below(&t->rng, rng_below(&t->rng, 4) ? 5 : CONTEXTS);
		bool flush;

		if (rng_below(&t->rng, 4) == 0)
			generation[c]++;
		flush = asid_choose(&s, c, generation[c]);
		KEXPECT(t, s.active < slots);
		if (!flush) {
			kept++;
			KEXPECT_EQ(t, tlb[s.active].context, c);
			KEXPECT_EQ(t, tlb[s.active].generation, generation[c]);
		}
		tlb[s.active].context = c;
		tlb[s.active].generation = generation[c];
	}
	KEXPECT(t, slots == 1 ? kept == 0 : kept > 500);
}

static void with_pcid(struct ktest *t)
{
	against_a_tlb(t, NR_ASIDS);
}

static void without_pcid(struct ktest *t)
{
	against_a_tlb(t, 1);
}

static const struct ktest_case cases[] = {
	{"with_pcid", with_pcid},
	{"without_pcid", without_pcid},
};
KTEST_SUITE(asid_suite, "asid", "PCIDs", true, cases);
