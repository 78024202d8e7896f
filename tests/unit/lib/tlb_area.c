/*
 * The pages that the suites of the TLB look at; see tlb_area.h.
 */
#include "tests/unit/lib/tlb_area.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/entry/uaccess.h"
#include "mm/frame/page.h"

struct tlb_area area;

void area_map(unsigned from, unsigned to, unsigned which)
{
	for (unsigned i = from; i < to; i++)
		pv_set_pte(area.ptep + i, mk_pte(area.page[which], vm_page_prot(VM_READ)));
}

u32 area_read(unsigned i)
{
	u32 v = ~0u;

	get_user32(ADDR + i * PAGE_SIZE, &v);
	return v;
}

void area_start_over(void)
{
	area_map(0, PAGES, 0);
	flush_tlb_mm(area.mm);
	for (unsigned i = 0; i < PAGES; i++)
		area_read(i);
}

/* A switch of the task would reload the TLB. */
void area_setup(void)
{
	area.mm = test_mm_enter();
	area.ptep = pte_offset(*test_pte_page(area.mm, ADDR), ADDR);
	for (u32 i = 0; i < ARRAY_SIZE(area.page); i++) {
		area.page[i] = alloc_page_zeroed(PAGE_USER);
		BUG_ON(!area.page[i]);
		*(u32 *)page_to_virt(area.page[i]) = i;
	}
	preempt_disable();
	area_start_over();
}

void area_teardown(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		pv_set_pte(area.ptep + i, (pte_t){0});
	flush_tlb_mm(area.mm);
	preempt_enable();
	for (unsigned i = 0; i < ARRAY_SIZE(area.page); i++)
		put_page(area.page[i]);
	test_free_tables(area.mm, ADDR, ADDR + PAGE_SIZE);
	test_mm_leave(area.mm);
}

void area_use(struct mm *mm)
{
	unsigned long flags = local_irq_save();

	switch_mm(mm);
	local_irq_restore(flags);
}

bool area_is_loaded(const struct mm *mm)
{
	return cpumask_test(&mm->tlb.cpus, smp_processor_id());
}

struct tlb_flush area_pages(unsigned from, unsigned to)
{
	return (struct tlb_flush){
		.mm = area.mm,
		.start = ADDR + from * PAGE_SIZE,
		.end = ADDR + to * PAGE_SIZE,
	};
}

bool area_concerned(bool freed_tables)
{
	struct tlb_flush f = area_pages(0, 1);
	cpumask_t cpus;
	bool any;

	f.freed_tables = freed_tables;
	any = tlb_cpus_concerned(&f, &cpus);
	BUG_ON(any != !!cpumask_weight(&cpus));
	return cpumask_test(&cpus, smp_processor_id());
}

void area_expect_new(struct ktest *t, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		KEXPECT_EQ(t, area_read(i), 1);
	KEXPECT_EQ(t, tlb_followed_here(area.mm), READ_ONCE(area.mm->tlb.generation.v));
}
