/*
 * The first process of a Linux that is judged: it runs the ring-3 programs that /job names and
 * says, in KTAP as Pteron's kernel does, what became of them.
 *
 * Every line goes through /dev/kmsg, by which it is one record of the kernel's log: the kernel never
 * writes into the middle of it, and each has its virtual time. What programs print comes by a pipe
 * and gets Pteron's mark of a program's line. The last line is the verdict; then the machine ends.
 *
 * /job, a line each:
 *	suite NAME
 *	run PROCESSES PROGRAM SEED ROUNDS THREADS PAGES		of the suite; all run at once
 *	beside PROGRAM SEED ROUNDS THREADS PAGES		until those have ended
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SUITES 64
#define MAX_RUNS 8
#define MAX_PROCESSES 32
#define SKIPPED 77	 /* the exit status of a program that the kernel lacks something for */
#define LEVEL "<3>"	 /* of what is printed whatever the console's level is */
#define FLUSH_US 2000000 /* the serial line is slow, and Xen keeps what it has not yet sent */
#define EXIT_PORT 0xf4
#define EXIT_PASSED 0x10 /* as drivers/debug_exit.c leaves them */
#define EXIT_FAILED 0x11

struct run {
	char program[32];
	char arguments[4][24]; /* seed, rounds, threads, pages */
	unsigned processes;
	bool beside;
};

struct suite {
	char name[32];
	struct run runs[MAX_RUNS];
	unsigned nr_runs;
};

struct process {
	pid_t pid;
	const struct run *run;
	bool ended;
	int status;
};

static struct suite suites[MAX_SUITES];
static unsigned nr_suites;
static struct process processes[MAX_PROCESSES];
static unsigned nr_processes;
static int kmsg = -1, output[2], children;
static char reason[128]; /* why the last program was skipped */

/* --- the console --- */

static void say(const char *format, ...)
{
	char line[900] = LEVEL;
	va_list args;

	va_start(args, format);
	vsnprintf(line + strlen(LEVEL), sizeof(line) - strlen(LEVEL) - 1, format, args);
	va_end(args);
	strcat(line, "\n"); /* without it the kernel waits for more of the record */
	if (write(kmsg, line, strlen(line)) < 0 && write(STDERR_FILENO, line, strlen(line)) < 0)
		_exit(1);
}

static void end_machine(bool passed)
{
	usleep(FLUSH_US);
	if (!ioperm(EXIT_PORT, 4, 1))
		outl(passed ? EXIT_PASSED : EXIT_FAILED, EXIT_PORT);
	reboot(RB_POWER_OFF); /* of a domU, which has no such port */
	for (;;)
		pause();
}

static void give_up(const char *what)
{
	say("# error: %s: %s", what, strerror(errno));
	end_machine(false);
}

static void set_up(void)
{
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/tmp", 0777);
	mount("dev", "/dev", "devtmpfs", 0, "");
	mkdir("/dev/pts", 0755);
	mount("pts", "/dev/pts", "devpts", 0, "");
	mount("proc", "/proc", "proc", 0, "");
	mount("sys", "/sys", "sysfs", 0, "");
	mount("tmp", "/tmp", "tmpfs", 0, "");
	mknod("/dev/kmsg", S_IFCHR | 0600, makedev(1, 11));
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

/* --- the job --- */

static struct run *new_run(void)
{
	struct suite *s = &suites[nr_suites - 1];

	if (!nr_suites || s->nr_runs == MAX_RUNS)
		give_up("/job: too many runs");
	return &s->runs[s->nr_runs++];
}

static void read_line(const char *line)
{
	struct run r = {.processes = 1};

	if (sscanf(line, "suite %31s", suites[nr_suites].name) == 1) {
		if (++nr_suites == MAX_SUITES)
			give_up("/job: too many suites");
	} else if (sscanf(line, "run %u %31s %23s %23s %23s %23s", &r.processes, r.program,
			  r.arguments[0], r.arguments[1], r.arguments[2], r.arguments[3]) == 6) {
		*new_run() = r;
	} else if (sscanf(line, "beside %31s %23s %23s %23s %23s", r.program, r.arguments[0],
			  r.arguments[1], r.arguments[2], r.arguments[3]) == 5) {
		r.beside = true;
		*new_run() = r;
	} else {
		give_up(line);
	}
}

static void read_job(void)
{
	FILE *file = fopen("/job", "r");
	char line[200];

	if (!file)
		give_up("/job");
	while (fgets(line, sizeof(line), file))
		read_line(line);
	fclose(file);
}

/* --- what programs print --- */

static void take_line(char *line)
{
	static const char skip[] = "# SKIP ";

	if (!strncmp(line, skip, strlen(skip)))
		snprintf(reason, sizeof(reason), "%.100s", line + strlen(skip));
	say("| %s", line);
}

/* Take what is in the pipe; a line that is not yet whole waits. */
static void take_output(void)
{
	static char buffer[4096];
	static size_t used;
	char *line = buffer, *end;
	ssize_t n;

	while ((n = read(output[0], buffer + used, sizeof(buffer) - 1 - used)) > 0) {
		used += n;
		buffer[used] = 0;
		for (line = buffer; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			take_line(line);
		}
		used = strlen(line);
		memmove(buffer, line, used + 1);
		if (used == sizeof(buffer) - 1) {
			take_line(buffer);
			used = 0;
		}
	}
}

/* --- programs --- */

static void become(const struct run *r, unsigned index)
{
	char path[48], number[16];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(output[1], STDOUT_FILENO);
	dup2(output[1], STDERR_FILENO);
	snprintf(path, sizeof(path), "/bin/%s", r->program);
	snprintf(number, sizeof(number), "%u", index);
	execl(path, path, r->arguments[0], r->arguments[1], r->arguments[2], r->arguments[3],
	      number, NULL);
	dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(126);
}

static void start(const struct run *r, unsigned index)
{
	struct process *p = &processes[nr_processes];

	if (nr_processes == MAX_PROCESSES)
		give_up("too many processes");
	nr_processes++;
	*p = (struct process){.run = r, .pid = fork()};
	if (!p->pid)
		become(r, index);
	if (p->pid < 0)
		give_up("fork");
}

/* Whoever has ended is noted; children that others have left are nobody's. */
static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < nr_processes; i++)
			if (processes[i].pid == pid) {
				processes[i].ended = true;
				processes[i].status = status;
			}
}

static bool some_run(bool beside)
{
	for (unsigned i = 0; i < nr_processes; i++)
		if (!processes[i].ended && processes[i].run->beside == beside)
			return true;
	return false;
}

static void wait_for_all(bool beside)
{
	struct pollfd fds[2] = {{.fd = output[0], .events = POLLIN},
				{.fd = children, .events = POLLIN}};
	struct signalfd_siginfo info;

	while (some_run(beside)) {
		poll(fds, 2, -1);
		while (read(children, &info, sizeof(info)) > 0)
			;
		take_output();
		reap();
	}
	take_output();
}

static void run_suite(const struct suite *s)
{
	nr_processes = 0;
	reason[0] = 0;
	for (unsigned i = 0; i < s->nr_runs; i++)
		if (s->runs[i].beside)
			start(&s->runs[i], 0);
	for (unsigned i = 0; i < s->nr_runs; i++)
		for (unsigned k = 0; !s->runs[i].beside && k < s->runs[i].processes; k++)
			start(&s->runs[i], k);
	wait_for_all(false);
	/* What ran beside should still run: whether it does is seen before it is ended. */
	reap();
	for (unsigned i = 0; i < nr_processes; i++)
		if (!processes[i].ended)
			kill(processes[i].pid, SIGKILL);
	wait_for_all(true);
}

/* --- verdicts --- */

static bool is_as_it_should(const struct process *p)
{
	if (p->run->beside)
		return WIFSIGNALED(p->status) && WTERMSIG(p->status) == SIGKILL;
	return WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0;
}

static bool was_skipped(const struct process *p)
{
	return WIFEXITED(p->status) && WEXITSTATUS(p->status) == SKIPPED;
}

static void tell_end(const struct process *p)
{
	if (WIFSIGNALED(p->status))
		say("    # FAIL %s pid %d was ended by signal %d", p->run->program, p->pid,
		    WTERMSIG(p->status));
	else
		say("    # FAIL %s pid %d exited with status %d", p->run->program, p->pid,
		    WEXITSTATUS(p->status));
}

/* The programs' case: all have ended as they should, or one could not run here. */
static bool judge_programs(const struct suite *s)
{
	bool ok = true, skipped = false;

	for (unsigned i = 0; i < nr_processes; i++) {
		skipped = skipped || was_skipped(&processes[i]);
		if (!is_as_it_should(&processes[i]) && !was_skipped(&processes[i])) {
			tell_end(&processes[i]);
			ok = false;
		}
	}
	if (ok && skipped)
		say("    ok 1 %s # SKIP %s", s->name, reason[0] ? reason : "it does not say why");
	else
		say("    %sok 1 %s", ok ? "" : "not ", s->name);
	return ok;
}

/* What the kernel itself thinks of its state: sysctl/kernel.rst, tainted. */
static unsigned long taint(void)
{
	unsigned long value = ~0UL;
	FILE *file = fopen("/proc/sys/kernel/tainted", "r");

	if (!file || fscanf(file, "%lu", &value) != 1)
		value = ~0UL;
	if (file)
		fclose(file);
	return value;
}

static bool judge_suite(const struct suite *s, unsigned number)
{
	unsigned long before = taint(), after;
	bool ok;

	say("    # Subtest: %s", s->name);
	say("    1..2");
	run_suite(s);
	ok = judge_programs(s);
	after = taint();
	if (after != before)
		say("    # FAIL the kernel calls itself tainted: %#lx, before %#lx", after, before);
	say("    %sok 2 kernel_untainted", after == before ? "" : "not ");
	ok = ok && after == before;
	say("%sok %u %s", ok ? "" : "not ", number, s->name);
	return ok;
}

int main(void)
{
	sigset_t child;
	bool ok = true;

	set_up();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	children = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	if (children < 0 || pipe2(output, O_NONBLOCK | O_CLOEXEC))
		give_up("no pipe or signalfd");
	fcntl(output[1], F_SETFL, 0); /* programs wait for room */
	read_job();
	say("KTAP version 1");
	say("1..%u", nr_suites);
	for (unsigned i = 0; i < nr_suites; i++)
		ok = judge_suite(&suites[i], i + 1) && ok;
	say("# verdict %s", ok ? "passed" : "failed");
	end_machine(ok);
}
