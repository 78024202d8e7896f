/*
 * Summing and printing the event counters.
 */
#include "kernel/debug/counters.h"

#include "kernel/debug/printk.h"

DEFINE_PER_CPU(u64, cpu_counters[NR_COUNTERS]);

static const char *const counter_names[] = {
#define X(id, name, what) #name,
	COUNTERS(X)
#undef X
};

const char *counter_name(enum counter c)
{
	return counter_names[c];
}

u64 counter_sum(enum counter c)
{
	u64 sum = 0;

	for_each_online_cpu(cpu)
		sum += per_cpu(cpu_counters, cpu)[c];
	return sum;
}

void counter_report(enum counter c)
{
	printk("# counter %s %lu\n", counter_names[c], counter_sum(c));
}

void counters_report(void)
{
	for (unsigned c = 0; c < NR_COUNTERS; c++)
		counter_report(c);
}
