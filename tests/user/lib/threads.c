/*
 * Threads of the ring-3 programs: clone with what pthreads pass, and barriers on futexes.
 */
#include "tests/user/lib/user.h"

#define CLONE_PTHREAD                                                                              \
	(0x100 /* VM */ | 0x200 /* FS */ | 0x400 /* FILES */ | 0x800 /* SIGHAND */ |               \
	 0x10000 /* THREAD */ | 0x40000 /* SYSVSEM */ | 0x100000 /* PARENT_SETTID */ |             \
	 0x200000 /* CHILD_CLEARTID */)
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
struct thread {
	u32 tid; /* cleared, and its futex woken, by the kernel when the thread is gone */
	unsigned index;
	void (*fn)(unsigned i);
};

/* The child returns from clone on its own stack, where the struct thread lies at the top. */
static long clone_thread(struct thread *t)
{
	register long ctid __asm__("r10") = (long)&t->tid;
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%rsp, %%rdi\n\t"
			 "call thread_start\n"
			 "1:"
			 : "=a"(ret)
			 : "a"(SYS_clone), "D"(CLONE_PTHREAD), "S"(t), "d"(&t->tid), "r"(ctid)
			 : "rcx", "r11", "memory");
	return ret;
}

void __used thread_start(struct thread *t);
void thread_start(struct thread *t)
{
	t->fn(t->index);
	for (;;)
		syscall3(SYS_exit, 0, 0, 0);
}

static struct thread *thread_on(unsigned long stack)
{
	return (struct thread *)((stack + THREAD_STACK - sizeof(struct thread)) & ~63UL);
}

void thread_begin(unsigned long stack, unsigned i, void (*fn)(unsigned i))
{
	struct thread *t = thread_on(stack);
	long ret;

	*t = (struct thread){.index = i, .fn = fn};
	ret = clone_thread(t);
	CHECK(ret > 0, "clone of thread %u answers %ld", i, ret);
}

void futex_wait(u32 *word, u32 expected)
{
	syscall6(SYS_futex, (long)word, FUTEX_WAIT, expected, 0, 0, 0);
}

void futex_wait_ms(u32 *word, u32 expected, unsigned ms)
{
	const long timeout[2] = {ms / 1000, ms % 1000 * 1000000L};

	syscall6(SYS_futex, (long)word, FUTEX_WAIT, expected, (long)timeout, 0, 0);
}

void futex_wake(u32 *word, unsigned n)
{
	syscall3(SYS_futex, word, FUTEX_WAKE, n);
}

void thread_end(unsigned long stack)
{
	struct thread *t = thread_on(stack);
	u32 tid;

	while ((tid = READ_ONCE(t->tid)))
		futex_wait(&t->tid, tid);
}

void run_threads(unsigned n, void (*fn)(unsigned i))
{
	unsigned long stack[MAX_THREADS];

	for (unsigned i = 1; i < n; i++) {
		stack[i] = must_map(THREAD_STACK, MAP_PRIVATE);
		thread_begin(stack[i], i, fn);
	}
	fn(0);
	for (unsigned i = 1; i < n; i++) {
		thread_end(stack[i]);
		sys_munmap(stack[i], THREAD_STACK);
	}
}

struct rng thread_rng(unsigned i, u64 round)
{
	return rng_stream(work.seed + work.index * 1000003UL, round * MAX_THREADS + i);
}

void barrier_wait(struct barrier *b, unsigned n)
{
	u32 turn = smp_load_acquire(&b->turn);

	if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_SEQ_CST) == n) {
		WRITE_ONCE(b->arrived, 0);
		__atomic_add_fetch(&b->turn, 1, __ATOMIC_SEQ_CST);
		futex_wake(&b->turn, MAX_THREADS * 8);
		return;
	}
	while (smp_load_acquire(&b->turn) == turn)
		futex_wait(&b->turn, turn);
}
