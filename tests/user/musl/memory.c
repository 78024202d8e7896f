/*
 * memory: malloc, calloc, realloc and free in a random order by several threads. Oracle: each block
 * holds a pattern that its address and its size decide, checked before it goes; calloc's is zero.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define SLOTS 64
#define STEPS 1500

struct block {
	unsigned char *p;
	size_t size;
	unsigned char first; /* byte i is first + i, in 8 bits */
};

static void fail(const char *what, const struct block *b)
{
	printf("FAIL memory: %s: block %p of %zu bytes\n", what, (void *)b->p, b->size);
	exit(1);
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly small, some of a few pages, a few beyond what malloc takes from the heap. */
static size_t random_size(uint64_t *rng)
{
	unsigned kind = next(rng) % 100;

	return 1 + next(rng) % (kind < 70 ? 500 : kind < 97 ? 20000 : 400000);
}

static void fill(struct block *b, size_t from)
{
	for (size_t i = from; i < b->size; i++)
		b->p[i] = b->first + i;
}

static void check(const struct block *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (b->p[i] != (unsigned char)(b->first + i))
			fail("what was stored is not there", b);
}

static void make(struct block *b, uint64_t *rng)
{
	static const unsigned char zero[500];
	int cleared = next(rng) % 2;

	b->size = random_size(rng);
	b->first = next(rng);
	b->p = cleared ? calloc(1, b->size) : malloc(b->size);
	if (!b->p || (uintptr_t)b->p % 16)
		fail("bad address", b);
	if (cleared && memcmp(b->p, zero, b->size < 500 ? b->size : 500))
		fail("calloc's memory is not zero", b);
	fill(b, 0);
}

static void resize(struct block *b, uint64_t *rng)
{
	size_t old = b->size;

	b->size = random_size(rng);
	b->p = realloc(b->p, b->size);
	if (!b->p)
		fail("no memory", b);
	check(b, old < b->size ? old : b->size);
	fill(b, old < b->size ? old : b->size);
}

static void drop(struct block *b)
{
	check(b, b->size);
	free(b->p);
	b->p = NULL;
}

static void *worker(void *seed)
{
	uint64_t rng = (uintptr_t)seed;
	struct block blocks[SLOTS] = {0};

	for (unsigned i = 0; i < STEPS; i++) {
		struct block *b = &blocks[next(&rng) % SLOTS];

		if (!b->p)
			make(b, &rng);
		else if (next(&rng) % 3)
			drop(b);
		else
			resize(b, &rng);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (blocks[i].p)
			drop(&blocks[i]);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, worker, (void *)(i * 977 + 1));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("memory: %u threads, %u steps each\n", THREADS, STEPS);
	return 0;
}
