/*
 * The device of frames; see frames_device.h.
 */
#include "mm/frame/frames_device.h"

#include "mm/frame/early.h"
#include "mm/frame/page.h"

static struct mmap_frames device;

void frames_device_init(void)
{
	u64 *p = early_alloc(FRAMES_COUNT * PAGE_SIZE, PAGE_SIZE);

	device = (struct mmap_frames){virt_to_pfn(p).v, FRAMES_COUNT};
	/* Each frame tells its number, so that a program can see that it got the right ones. */
	for (unsigned i = 0; i < FRAMES_COUNT; i++)
		p[i * (PAGE_SIZE / 8)] = i;
}

const struct mmap_frames *frames_device(void)
{
	return &device;
}

bool frames_device_owns(u64 pfn)
{
	return pfn - device.first_pfn < device.count;
}
