/*
 * What no kernel can avoid for a page or an entry, as the shortest code that does it: for the kernel
 * and for programs, which measure it. Knows neither.
 */
#pragma once

#define FLOOR_PAGE 4096UL
#define FLOOR_ENTRIES 512U
#define FLOOR_PROBES 64 /* faults of FLOOR_FAULTS */

/* What a kernel knows of each frame, and a page table. */
struct floor_frame {
	struct floor_frame *next;
	unsigned long users;
};
struct floor_entries {
	unsigned long table[FLOOR_ENTRIES];
	struct floor_frame frames[FLOOR_ENTRIES];
};

/* Faults at @at, where nothing is mapped, one after the other; the handler goes on behind each. */
#define FLOOR_FAULTS(at)                                                                           \
	__asm__ volatile(".rept 64\n\tmovb $0, (%%rax)\n\t.endr" : : "a"(at) : "memory")

static inline void floor_clear(void *page)
{
	unsigned long n = FLOOR_PAGE / 8;

	__asm__ volatile("rep stosq" : "+c"(n), "+D"(page) : "a"(0UL) : "memory");
}

static inline void floor_copy(void *to, const void *from)
{
	unsigned long n = FLOOR_PAGE / 8;

	__asm__ volatile("rep movsq" : "+c"(n), "+S"(from), "+D"(to) : : "memory");
}

static inline void floor_fill(struct floor_entries *e)
{
	for (unsigned long i = 0; i < FLOOR_ENTRIES; i++) {
		e->table[i] = i << 12 | 3;
		e->frames[i].users = 1;
	}
}

/* Take a right from each entry that is there. */
static inline void floor_change(struct floor_entries *e)
{
	for (unsigned i = 0; i < FLOOR_ENTRIES; i++)
		if (e->table[i] & 1)
			e->table[i] &= ~2UL;
}

/* Clear each entry, and make a list of the frames that nobody uses any more. */
static inline struct floor_frame *floor_free(struct floor_entries *e)
{
	struct floor_frame *list = (void *)0;

	for (unsigned i = 0; i < FLOOR_ENTRIES; i++) {
		struct floor_frame *f = &e->frames[e->table[i] >> 12];

		if (!(e->table[i] & 1))
			continue;
		e->table[i] = 0;
		if (--f->users == 0) {
			f->next = list;
			list = f;
		}
	}
	return list;
}
