/* Pteron's only device: frames that a program may map. Fixed after boot; no locks. */
#pragma once

#include "kernel/lib/types.h"

#define FRAMES_FD 3 /* the descriptor through which it is mapped */
#define FRAMES_COUNT 512

/* What mmap maps when it is not anonymous memory: fixed frames, from page @pgoff of the device. */
struct mmap_frames {
	u64 first_pfn, count;
};

/* Boot memory becomes the device. */
void frames_device_init(void);
/* The device's frames; never NULL, and empty before frames_device_init(). */
const struct mmap_frames *frames_device(void);
/* True if page @pfn belongs to the device. */
bool frames_device_owns(u64 pfn);
