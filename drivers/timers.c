/*
 * The ACPI PM timer, the HPET and the 8254, read back.
 *
 * Sources: ACPI 6.5, 4.8.3.3 (PM timer) and 5.2.9 (FADT); IA-PC HPET 1.0a, 2.3; Intel 8254 data
 * sheet, "Counter Latch Command". Boot CPU, and tests that nobody disturbs: the 8254 is read in
 * three steps. No locks.
 */
#include "drivers/timers.h"

#include "drivers/acpi.h"
#include "kernel/arch/io.h"
#include "mm/table/pgtable.h"

#define PM_TIMER_HZ 3579545
#define HPET_PERIOD 4 /* the upper half of the capabilities: femtoseconds */
#define HPET_CONFIG 0x10
#define HPET_ENABLE BIT(0)
#define HPET_COUNTER 0xf0
#define FS_PER_S 1000000000000000UL
#define HPET_PERIOD_MAX 100000000U /* 2.3.4: a larger one is invalid */

#define PIT_HZ 1193182
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_LATCH_CHANNEL2 0x80
#define PIT_MODE2_CHANNEL2 0xb4
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE2 0x01
#define SPEAKER_DATA 0x02

#define MAX_TIMERS 3

static struct clock_counter timers[MAX_TIMERS];
static unsigned nr_timers;
static volatile u8 *hpet;

static u64 read_pm_timer(void)
{
	return inl(acpi_info.pm_timer_port);
}

static u64 read_hpet(void)
{
	return *(volatile u32 *)(hpet + HPET_COUNTER);
}

/* It counts down. */
static u64 read_pit(void)
{
	u8 low;

	outb(PIT_COMMAND, PIT_LATCH_CHANNEL2);
	low = inb(PIT_CHANNEL2);
	return -(u64)(low | inb(PIT_CHANNEL2) << 8);
}

static void add(const char *name, u64 hz, u64 mask, u64 (*read)(void))
{
	timers[nr_timers++] = (struct clock_counter){name, hz, mask, read};
}

static void find_pm_timer(void)
{
	if (acpi_info.pm_timer_port)
		add("the ACPI PM timer", PM_TIMER_HZ, acpi_info.pm_timer_mask, read_pm_timer);
}

static void find_hpet(void)
{
	u32 period;

	if (!acpi_info.hpet_address)
		return;
	hpet = fixmap_device(acpi_info.hpet_address);
	period = *(volatile u32 *)(hpet + HPET_PERIOD);
	if (!period || period > HPET_PERIOD_MAX)
		return;
	*(volatile u32 *)(hpet + HPET_CONFIG) |= HPET_ENABLE;
	add("the HPET", FS_PER_S / period, ~0U, read_hpet);
}

/* Channel 2, which no interrupt hangs on, from 65536 down, over and over. */
static void start_pit(void)
{
	outb(SPEAKER_PORT, (inb(SPEAKER_PORT) & ~SPEAKER_DATA) | SPEAKER_GATE2);
	outb(PIT_COMMAND, PIT_MODE2_CHANNEL2);
	outb(PIT_CHANNEL2, 0);
	outb(PIT_CHANNEL2, 0);
	add("the 8254", PIT_HZ, 0xffff, read_pit);
}

void timers_find(void)
{
	find_pm_timer();
	find_hpet();
	start_pit();
}

const struct clock_counter *timers_found(unsigned *n)
{
	*n = nr_timers;
	return timers;
}
