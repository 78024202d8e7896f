/*
 * The boot-time allocator: pieces of RAM that are never given back. The boot CPU alone uses it,
 * until page_alloc_init() takes over what is left.
 */
#pragma once

#include "kernel/lib/types.h"

/* Learn the RAM of boot_info, less what is in use already. */
void early_init(void);
/*
 * The rest of the 2 MiB pages in which the image lies read-only: free from the moment that the
 * final direct map is loaded, because the boot tables do not let it be written.
 */
void early_release_image_tail(void);
/* What a boot path knows to be in use besides: [start, end). */
void early_reserve(paddr_t start, paddr_t end);
/* @size zeroed bytes of the direct map, @align a power of two; panics when there is not enough. */
void *early_alloc(size_t size, size_t align);
/* How many bytes are free. */
size_t early_free_bytes(void);
/* How many pieces of @size bytes could be taken. */
size_t early_free_pieces(size_t size);
/* One past the last page frame of RAM. */
u64 early_max_pfn(void);
/* Call @fn for each range of RAM that nobody took. */
void early_for_each_free(void (*fn)(paddr_t start, paddr_t end));
