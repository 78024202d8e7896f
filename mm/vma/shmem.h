/*
 * Shared anonymous memory: an object that holds its pages, one reference each, and outlives the
 * mappings of any one process.
 */
#pragma once

#include "mm/frame/page.h"

struct shmem;

#define SHMEM_MAX_PAGES (512UL * 512 * 512)
/* An object of @pages, at most SHMEM_MAX_PAGES, with one reference; NULL: no memory. */
struct shmem *shmem_create(unsigned long pages);
/* How many pages it has. A mapping may reach beyond: an access there is SIGBUS. */
unsigned long shmem_pages(const struct shmem *s);
/* One reference more; the caller has one, or knows of one that stays. */
void shmem_get(struct shmem *s);
/* One reference less; the last one takes the object and its pages with it. */
void shmem_put(struct shmem *s);
/*
 * Page @index, made (cleared) if it does not exist, with a reference for the caller; NULL: no
 * memory. Takes LOCK_SHMEM.
 */
struct page *shmem_get_page(struct shmem *s, unsigned long index);
/* Audits: call @fn for each page of each object. */
void shmem_for_each_page(void (*fn)(struct page *page));
/* The same, for each frame that holds pointers to them. */
void shmem_for_each_node(void (*fn)(struct page *page));
/* Audits, while all is frozen: nobody is known to hold an object. */
void shmem_audit_begin(void);
/* Somebody is found to hold @held; false: there is no such object. */
bool shmem_audit_holder(const struct shmem *held);
/* Call @fn for each object, with its references and how many holders were found. */
void shmem_audit_end(void (*fn)(unsigned refs, unsigned found, void *arg), void *arg);
