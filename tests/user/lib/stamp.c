/*
 * Page stamps: written in an order that a reader in another address space, made by fork in the
 * middle of it, can recognise: generation first, tail last.
 */
#include "tests/user/lib/user.h"

void stamp_write(unsigned long page, u64 address, u64 generation)
{
	volatile struct stamp *s = stamp_of(page);

	s->magic = PAGE_STAMP_MAGIC;
	s->address = address;
	s->generation = generation;
	s->mm = sys_getpid();
	s->writer = sys_gettid();
	s->tail = generation;
}

void stamp_check(unsigned long page, u64 address, u64 generation, u32 mm, u32 writer)
{
	const volatile struct stamp *s = stamp_of(page);

	if (s->magic == PAGE_STAMP_MAGIC && s->address == address && s->generation == generation &&
	    s->tail == generation && (!mm || s->mm == mm) && (!writer || s->writer == writer))
		return;
	fail_page(page,
		  "page %#lx: expected {address %#lx generation %lu mm %u writer %u}, found {magic "
		  "%#lx "
		  "address "
		  "%#lx "
		  "generation %lu tail %lu mm %u writer %u}",
		  page, address, generation, mm, writer, s->magic, s->address, s->generation,
		  s->tail, s->mm, s->writer);
}

void stamp_check_zero(unsigned long page)
{
	const volatile u64 *p = (const u64 *)page;

	for (unsigned i = 0; i < STAMP_WORDS; i++)
		if (p[i])
			fail_page(page, "page %#lx: expected zeros, found %#lx at offset %u", page,
				  p[i], i * 8);
}
