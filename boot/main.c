/*
 * From the boot path to the first task: the order in which the kernel comes to life.
 */
#include "boot/main.h"
#include "boot/screen.h"
#include "drivers/acpi.h"
#include "drivers/lapic.h"
#include "drivers/pic.h"
#include "drivers/rtc.h"
#include "drivers/serial.h"
#include "drivers/timers.h"
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/rng.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/coverage.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/shutdown.h"
#include "kernel/debug/trace.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"
#include "kernel/param/cmdline.h"
#include "kernel/process/exec.h"
#include "kernel/process/futex.h"
#include "kernel/process/holdings.h"
#include "kernel/process/oom.h"
#include "kernel/process/process.h"
#include "kernel/process/syscall.h"
#include "kernel/sched/sched.h"
#include "kernel/time/clock.h"
#include "mm/frame/early.h"
#include "mm/frame/frame_lists.h"
#include "mm/frame/frames_device.h"
#include "mm/frame/page.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/fault.h"
#include "mm/range/whole_table.h"
#include "mm/range/zeromap.h"
#include "mm/table/pgtable.h"
#include "pv/pv_ops.h"
#include "tests/ktest.h"
#include "tests/panics.h"

#ifdef CONFIG_DEBUG
#define BUILD "debug"
#else
#define BUILD "release"
#endif
#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define VERSION TEXT_OF(PTERON_VERSION) /* the Makefile's */

DEFINE_PER_CPU(struct rng, cpu_rng);
u64 boot_seed;

void kernel_entry(enum boot_protocol protocol, paddr_t info) __noreturn;

static void parse_boot(enum boot_protocol protocol, paddr_t info)
{
	switch (protocol) {
	case BOOT_PVH:
		boot_parse_pvh(info);
		break;
	case BOOT_MULTIBOOT2:
		boot_parse_multiboot2(info);
		break;
	default:
		panic("boot: the loader speaks neither PVH nor Multiboot2");
	}
}

static void __noreturn refuse_to_boot(void)
{
	printk("# verdict usage\n");
	machine_shutdown(SHUTDOWN_CRASHED);
}

/* flush=; debug builds try both. */
static bool flush_is_exact(void)
{
#ifdef CONFIG_DEBUG
	if (boot_params.flush == FLUSH_BY_SEED)
		return boot_params.seed & 1;
#endif
	return boot_params.flush == FLUSH_EXACT;
}

void boot_parse_params(void)
{
	if (boot_info.cmdline_truncated) {
		pr_err("command line: longer than %d characters\n", BOOT_CMDLINE_MAX - 1);
		refuse_to_boot();
	}
	if (!cmdline_parse(boot_info.cmdline))
		refuse_to_boot();
	boot_seed = boot_params.seed;
	trace_prints_all = boot_params.trace;
	lazy_mmu_enabled = boot_params.lazy;
	whole_tables_enabled = boot_params.tables;
	fault_neighbours_enabled = boot_params.neighbours;
	tlb_flush_exact = flush_is_exact();
	if (!pv_select_backend(boot_params.backend)) {
		pr_err("command line: backend=%s: there are native, deferred and shadow, and on "
		       "Xen "
		       "xen and ptwr\n",
		       boot_params.backend);
		refuse_to_boot();
	}
	if (!ktest_select(boot_params.suites, boot_params.cases))
		refuse_to_boot();
	if (boot_params.panic[0] && !panics_known(boot_params.panic))
		refuse_to_boot();
}

void boot_report(void)
{
	u64 bytes = 0;

	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		bytes += boot_info.ram[i].end - boot_info.ram[i].start;
	pr_info("pteron %s (%s build) booted by %s, %lu MiB of RAM\n", VERSION, BUILD,
		boot_info.protocol, bytes >> 20);
}

static void report_replay(const struct panic_context *unused __unused)
{
	replay_print();
}
PANIC_REPORT(90, report_replay);

/* init=: run one program and take its status for the verdict. */
static enum shutdown_reason run_init(void)
{
	static_assert(INIT_ARGS_MAX <= EXEC_ARGS_MAX && INIT_TEXT_MAX <= EXEC_TEXT_MAX, "");
	const char *argv[INIT_ARGS_MAX + 1] = {NULL};
	const char *arg = boot_params.init;
	struct holdings before = holdings_now();
	int pid, status;

	for (unsigned i = 0; i < boot_params.init_argc; i++) {
		argv[i] = arg;
		arg += strlen(arg) + 1;
	}
	pid = process_spawn(argv);
	if (pid < 0)
		return SHUTDOWN_FAILED;
	status = process_wait(pid);
	if (STATUS_SIGNAL(status))
		pr_info("init: %s was ended by signal %d\n", argv[0], STATUS_SIGNAL(status));
	else
		pr_info("init: %s exited with status %d\n", argv[0], STATUS_CODE(status));
	return holdings_are_back(&before, argv[0]) && !status ? SHUTDOWN_PASSED : SHUTDOWN_FAILED;
}

static bool run_suites(void)
{
	bool passed;

	batch_refusal.nth = boot_params.refuse;
	if (boot_params.witness)
		pv_witness(false);
	passed = ktest_run_selected();
	if (boot_params.witness)
		pv_witness(true);
	return passed;
}

static void main_task(void *unused __unused)
{
	enum shutdown_reason why = SHUTDOWN_FAILED;

	trace_start();
	if (boot_params.panic[0])
		panics_run(boot_params.panic);
	else if (boot_params.init[0])
		why = run_init();
	else if (run_suites())
		why = SHUTDOWN_PASSED;
	counters_report();
	batch_report_sizes();
	trace_report();
	coverage_report();
	printk("# verdict %s\n", why == SHUTDOWN_PASSED ? "passed" : "failed");
	machine_shutdown(why);
}

#ifdef CONFIG_DEBUG
/* How many have their memory, on any platform: those from 0 on. */
static unsigned cpus_prepared(void)
{
	unsigned n = 1;

	while (n < MAX_CPUS && percpu_offset[n])
		n++;
	return n;
}

/* Half of what is free is left to the suites. */
static bool rings_fit(size_t size, unsigned cpus)
{
	return size * cpus <= early_free_bytes() / 2 && early_free_pieces(size) >= cpus;
}

/* Each CPU's ring of the trace, of ring= events. */
static void take_rings(void)
{
	unsigned cpus = cpus_prepared();
	u32 n = boot_params.ring ?: TRACE_RING_DEFAULT;
	size_t size = n * sizeof(struct trace_event), room = early_free_bytes() / 2;

	if (boot_params.ring && !rings_fit(size, cpus)) {
		pr_err("command line: ring=%u takes %lu MiB for %u CPUs, and there are %lu: at "
		       "most ring=%lu, or more memory\n",
		       n, size * cpus >> 20, cpus, room >> 20,
		       room / cpus / sizeof(struct trace_event));
		refuse_to_boot();
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		trace_give_ring(cpu, early_alloc(size, sizeof(u64)), n);
}
#else
static void take_rings(void) {}
#endif

void start_kernel(void (*start_cpus)(void))
{
	take_rings();
	frames_device_init();
	pv_take_over();
	page_alloc_init();
	zero_page_init();
	futex_init();
	start_cpus();
	frame_lists_share();
	oom_init();
	kthread_run("main", main_task, NULL);
	preempt_enable_no_resched();
	local_irq_enable();
	cpu_idle();
}

static void find_the_time(void)
{
	const struct clock_counter *timers;
	unsigned n;

	timers_find();
	timers = timers_found(&n);
	clock_init(timers, n);
	clock_set_epoch(rtc_seconds() * NS_PER_S);
}

void kernel_entry(enum boot_protocol protocol, paddr_t info)
{
	percpu_init_boot_cpu(&boot_task);
	serial_init();
	console_open(serial_write);
	idt_init();
	parse_boot(protocol, info);
	screen_open();
	cpu_detect("");
	boot_parse_params();
	cpu_detect(boot_params.disable);
	pv_select_backend(boot_params.backend);
	boot_report();
	acpi_init(boot_info.rsdp);
	early_init();
	cpu_init(0);
	idt_load();
	cpu_report();
	direct_map_init();
	screen_map();
	early_release_image_tail();
	lapic_map(acpi_info.lapic_address);
	pv_patch_all();
	pic_disable();
	find_the_time();
	lapic_init_cpu();
	smp_prepare(boot_params.maxcpus);
	start_kernel(smp_start_all);
}
