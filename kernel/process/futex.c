/*
 * Futexes. One that the call declares private, or in private memory, is known by its mm and
 * address, one in shared memory by the object and the offset, so that processes find each other.
 *
 * Locks: each hash bucket's own guards its waiters; of two, that at the lower address is taken
 * first. A waiter's bucket and key change under the locks of both futex_buckets. User memory is read
 * under the lock with faults off.
 */
#include "kernel/process/futex.h"

#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timeout.h"
#include "kernel/sched/wait.h"
#include "kernel/time/clock.h"
#include "mm/space/audit.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"

#define NR_BUCKETS 64

/*
 * Of a shared object the key holds a reference, so that no other object gets its address meanwhile.
 */
struct futex_key {
	const void *space; /* an mm or a shared object */
	struct shmem *shmem;
	unsigned long offset;
};
#define KEY_SHARED 1 /* in the offset of a futex that is not private: words are aligned */

struct futex_waiter {
	struct futex_key key;
	struct bucket *bucket;
	struct task *task;
	u32 bitset;
	bool woken;
	struct list_head node;
};

struct bucket {
	struct spinlock lock;
	struct list_head waiters; /* lock */
};
static struct bucket futex_buckets[NR_BUCKETS];

/* Private memory that nobody can write is no place to wait at, Linux says. */
static bool serves(const struct vma *v, unsigned long addr)
{
	return v && v->start <= addr && (v->flags & (v->shmem ? VM_ACCESS : VM_WRITE));
}

static int get_key(struct futex f, struct futex_key *key)
{
	struct mm *mm = current->mm;
	unsigned long addr = f.addr;
	const struct vma *v;
	int err = 0;

	if (addr & 3)
		return -EINVAL;
	if (!access_ok(addr, sizeof(u32)))
		return -EFAULT;
	if (f.private) {
		*key = (struct futex_key){mm, NULL, addr};
		return 0;
	}
	mmap_read_lock(mm);
	v = vma_find(&mm->vmas, addr);
	if (!serves(v, addr))
		err = -EFAULT;
	else if (v->shmem)
		*key = (struct futex_key){v->shmem, v->shmem,
					  ((v->pgoff << PAGE_SHIFT) + (addr - v->start)) |
						  KEY_SHARED};
	else
		*key = (struct futex_key){mm, NULL, addr | KEY_SHARED};
	if (!err && key->shmem)
		shmem_get(key->shmem);
	mmap_read_unlock(mm);
	return err;
}

static void put_key(const struct futex_key *key)
{
	if (key->shmem)
		shmem_put(key->shmem);
}

/* Audits: the shared object of which the wait of @t holds a reference; NULL: none, or no wait. */
static const struct shmem *held_by_wait_of(const struct task *t)
{
	return t->futex_wait ? t->futex_wait->key.shmem : NULL;
}

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->space == b->space && a->offset == b->offset;
}

static int get_keys(struct futex f, struct futex_key *key, struct futex f2, struct futex_key *key2)
{
	int err = get_key(f, key);

	if (err)
		return err;
	err = get_key(f2, key2);
	if (err)
		put_key(key);
	return err;
}

static struct bucket *futex_bucket_of(const struct futex_key *key)
{
	u64 h = ((u64)key->space ^ key->offset * 0x9e3779b97f4a7c15UL) >> 6;
	struct bucket *b = &futex_buckets[(h ^ h >> 17) % NR_BUCKETS];

	return b;
}

void futex_init(void)
{
	for (unsigned i = 0; i < NR_BUCKETS; i++) {
		spin_lock_init(&futex_buckets[i].lock, LOCK_FUTEX);
		list_init(&futex_buckets[i].waiters);
	}
	audit_count_holders(held_by_wait_of);
}

/* Queue @w if *@addr == @val, with the task's state set; -EAGAIN, -EFAULT. */
static int enqueue_if_equal(struct bucket *b, struct futex_waiter *w, unsigned long addr, u32 val)
{
	u32 now;
	int err;

	for (;;) {
		spin_lock(&b->lock);
		pagefault_disable();
		err = get_user32(addr, &now);
		pagefault_enable();
		if (!err)
			break;
		spin_unlock(&b->lock);
		if (get_user32(addr, &now)) /* fault it in, now that we may */
			return -EFAULT;
	}
	if (now == val) {
		list_add_tail(&w->node, &b->waiters);
		set_current_state(TASK_INTERRUPTIBLE);
	} else {
		err = -EAGAIN;
	}
	spin_unlock(&b->lock);
	return err;
}

/*
 * The lock of the bucket in which @w waits now; a requeue may have moved it. Not analysed: the lock
 * is that of the result, which an attribute cannot name.
 */
static struct bucket *lock_bucket(struct futex_waiter *w) __no_thread_safety
{
	for (;;) {
		struct bucket *b = READ_ONCE(w->bucket);

		spin_lock(&b->lock);
		if (b == w->bucket)
			return b;
		spin_unlock(&b->lock);
	}
}

/*
 * Out of its bucket, if nobody has woken it; whether somebody has. Not analysed: lock_bucket()
 * takes the lock.
 */
static bool end_wait(struct futex_waiter *w) __no_thread_safety
{
	struct bucket *b = lock_bucket(w);
	bool woken = w->woken;

	ASSERT(b == futex_bucket_of(&w->key));
	if (!woken)
		list_del(&w->node);
	spin_unlock(&b->lock);
	return woken;
}

/* Once it is queued. Whether it was woken; what it holds it gives back only after an audit. */
static bool sleep_in_bucket(struct futex_waiter *w, unsigned long addr, u64 deadline)
{
	note_wait("futex", addr);
	if (!READ_ONCE(w->woken) && !(READ_ONCE(current->work) & TASK_WORK_EXIT))
		schedule_until(deadline);
	set_current_state(TASK_RUNNING);
	note_wait(NULL, 0);
	freezer_checkpoint();
	return end_wait(w);
}

long futex_wait_bits(struct futex f, u32 val, u32 bitset, u64 deadline)
{
	struct futex_waiter w = {.task = current, .bitset = bitset};
	bool woken = false;
	int err = get_key(f, &w.key);

	if (err)
		return err;
	w.bucket = futex_bucket_of(&w.key);
	current->futex_wait = &w;
	err = enqueue_if_equal(w.bucket, &w, f.addr, val);
	if (!err)
		woken = sleep_in_bucket(&w, f.addr, deadline);
	current->futex_wait = NULL;
	put_key(&w.key);
	if (err || woken)
		return err;
	if (READ_ONCE(current->work) & TASK_WORK_EXIT)
		return -EINTR;
	return clock_ns() < deadline ? 0 : -ETIMEDOUT; /* a wake without reason is allowed */
}

/* Wake at most @n waiters of @key that have a bit of @bitset; how many. */
static u32 wake_waiters(struct bucket *b, const struct futex_key *key, u32 n, u32 bitset)
	__must_hold(b->lock)
{
	struct futex_waiter *w, *next;
	u32 woken = 0;

	list_for_each_entry_safe(w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (!same_key(&w->key, key) || !(w->bitset & bitset))
			continue;
		list_del(&w->node);
		w->woken = true;
		wake_up_task(w->task);
		woken++;
	}
	return woken;
}

long futex_wake_bits(struct futex f, u32 n, u32 bitset)
{
	struct futex_key key;
	struct bucket *b;
	long woken;
	int err = get_key(f, &key);

	if (err)
		return err;
	b = futex_bucket_of(&key);
	spin_lock(&b->lock);
	woken = wake_waiters(b, &key, n, bitset);
	spin_unlock(&b->lock);
	put_key(&key);
	return woken;
}

/* Not analysed: the order is that of the addresses, and there may be one lock only. */
static void lock_two(struct bucket *a, struct bucket *b) __no_thread_safety
{
	spin_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		spin_lock_nested(a < b ? &b->lock : &a->lock, 1);
}

/* Not analysed: as lock_two(). */
static void unlock_two(struct bucket *a, struct bucket *b) __no_thread_safety
{
	if (a != b)
		spin_unlock(a < b ? &b->lock : &a->lock);
	spin_unlock(a < b ? &a->lock : &b->lock);
}

/*
 * Let at most @n waiters of @from, in @b, wait for @to; how many. Each then holds a reference for
 * @to, and the caller has theirs for @from. Within one bucket nobody changes places, so that each
 * is met once.
 */
static u32 move_waiters(struct bucket *b, const struct futex_key *from, const struct futex_key *to,
			u32 n)
{
	struct bucket *target = futex_bucket_of(to);
	struct futex_waiter *w, *next;
	u32 moved = 0;

	list_for_each_entry_safe(w, next, &b->waiters, node) {
		if (moved == n)
			break;
		if (!same_key(&w->key, from))
			continue;
		if (target != b) {
			list_del(&w->node);
			list_add_tail(&w->node, &target->waiters);
		}
		w->key = *to;
		if (to->shmem)
			shmem_get(to->shmem);
		WRITE_ONCE(w->bucket, target);
		moved++;
	}
	return moved;
}

/*
 * Of two futex_buckets, locked with lock_two(), the word at @addr: 0 with the locks held, or they are
 * given back, and the page is made present: -EAGAIN to try again, or -EFAULT.
 */
static int read_locked(struct bucket *a, struct bucket *b, unsigned long addr, u32 *now)
{
	int err;

	pagefault_disable();
	err = get_user32(addr, now);
	pagefault_enable();
	if (!err)
		return 0;
	unlock_two(a, b);
	return get_user32(addr, now) ? -EFAULT : -EAGAIN;
}

/* Lock the futex_buckets, with the word at @addr in *@now, if @addr is not 0. -EFAULT: not locked. */
static int lock_and_read(struct bucket *a, struct bucket *b, unsigned long addr, u32 *now)
{
	int err;

	do {
		lock_two(a, b);
		err = addr ? read_locked(a, b, addr, now) : 0;
	} while (err == -EAGAIN);
	return err;
}

/* Not analysed: lock_two() takes the locks. */
long futex_requeue_if(struct futex from, u32 n, struct futex to, u32 n_move, const u32 *expected)
	__no_thread_safety
{
	struct futex_key key, target;
	u32 woken = 0, moved = 0, now = 0;
	struct bucket *a, *b;
	long err = get_keys(from, &key, to, &target);

	if (err)
		return err;
	a = futex_bucket_of(&key);
	b = futex_bucket_of(&target);
	err = lock_and_read(a, b, expected ? from.addr : 0, &now);
	if (!err) {
		if (expected && now != *expected) {
			err = -EAGAIN;
		} else {
			woken = wake_waiters(a, &key, n, FUTEX_BITSET_ANY);
			moved = move_waiters(a, &key, &target, n_move);
		}
		unlock_two(a, b);
	}
	for (u32 i = 0; i < moved; i++)
		put_key(&key);
	put_key(&key);
	put_key(&target);
	return err ? err : (long)(woken + moved);
}

/* --- FUTEX_WAKE_OP: what @op says, in futex(2)'s encoding --- */

#define OP_SET 0
#define OP_ADD 1
#define OP_OR 2
#define OP_ANDN 3
#define OP_XOR 4
#define OP_SHIFTED 8 /* the argument is 1 << it */
#define CMP_EQ 0
#define CMP_NE 1
#define CMP_LT 2
#define CMP_LE 3
#define CMP_GT 4
#define CMP_GE 5

static int sign_extend12(u32 v)
{
	return (int)(v << 20) >> 20;
}

static bool op_known(u32 op)
{
	return (op >> 28 & 7) <= OP_XOR;
}

/* Linux looks at it when the word has changed. */
static bool comparison_known(u32 op)
{
	return (op >> 24 & 15) <= CMP_GE;
}

static u32 op_result(u32 op, u32 old)
{
	u32 arg = sign_extend12(op >> 12 & 0xfff);

	if (op >> 28 & OP_SHIFTED)
		arg = 1u << (arg & 31);
	switch (op >> 28 & 7) {
	case OP_SET:
		return arg;
	case OP_ADD:
		return old + arg;
	case OP_OR:
		return old | arg;
	case OP_ANDN:
		return old & ~arg;
	default:
		return old ^ arg;
	}
}

static bool op_compares(u32 op, int old)
{
	int arg = sign_extend12(op & 0xfff);

	switch (op >> 24 & 15) {
	case CMP_EQ:
		return old == arg;
	case CMP_NE:
		return old != arg;
	case CMP_LT:
		return old < arg;
	case CMP_LE:
		return old <= arg;
	case CMP_GT:
		return old > arg;
	default:
		return old >= arg;
	}
}

/* Change the word under both locks; with -EAGAIN they were given back meanwhile, or another CPU was
 * faster. */
static int change_word(struct bucket *a, struct bucket *b, unsigned long addr, u32 op, u32 *old)
{
	int err = read_locked(a, b, addr, old);

	if (err)
		return err;
	pagefault_disable();
	err = cmpxchg_user32(addr, *old, op_result(op, *old));
	pagefault_enable();
	if (err == -EFAULT) { /* mapped read-only, or not for writing yet */
		unlock_two(a, b);
		return cmpxchg_user32(addr, 0, 0) == -EFAULT ? -EFAULT : -EAGAIN;
	}
	if (err)
		unlock_two(a, b);
	return err;
}

/* Not analysed: lock_two() takes the locks. */
long futex_wake_op(struct futex f, u32 n, struct futex f2, u32 n2, u32 op) __no_thread_safety
{
	struct futex_key key, key2;
	struct bucket *a, *b;
	u32 woken = 0, old = 0;
	long err = get_keys(f, &key, f2, &key2);

	if (err)
		return err;
	a = futex_bucket_of(&key);
	b = futex_bucket_of(&key2);
	do {
		lock_two(a, b);
		err = op_known(op) ? change_word(a, b, f2.addr, op, &old) : -ENOSYS;
		if (err == -ENOSYS)
			unlock_two(a, b);
	} while (err == -EAGAIN && !task_is_ending());
	if (!err && !comparison_known(op)) {
		err = -ENOSYS;
		unlock_two(a, b);
	}
	if (!err) {
		woken = wake_waiters(a, &key, n, FUTEX_BITSET_ANY);
		if (op_compares(op, old))
			woken += wake_waiters(b, &key2, n2, FUTEX_BITSET_ANY);
		unlock_two(a, b);
	}
	put_key(&key);
	put_key(&key2);
	return err ? err : (long)woken;
}
