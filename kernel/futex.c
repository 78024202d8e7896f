/*
 * Futexes. A futex in private memory is known by its mm and address, one in shared memory by the
 * object and the offset, so that processes find each other.
 *
 * Locks: each hash bucket's own guards its waiters; of two, that at the lower address is taken
 * first. A waiter's bucket and key change under the locks of both buckets. User memory is read
 * under the lock with faults off.
 */
#include "kernel/futex.h"

#include "kernel/errno.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/timeout.h"
#include "kernel/clock.h"
#include "kernel/uaccess.h"
#include "kernel/wait.h"
#include "mm/mmap_lock.h"
#include "mm/shmem.h"
#include "mm/vma.h"

#define NR_BUCKETS 64

/* Of a shared object the key holds a reference, so that no other object gets its address meanwhile.
 */
struct futex_key {
	const void *space; /* an mm or a shared object */
	struct shmem *shmem;
	unsigned long offset;
};

struct futex_waiter {
	struct futex_key key;
	struct bucket *bucket;
	struct task *task;
	bool woken;
	struct list_head node;
};

struct bucket {
	struct spinlock lock;
	struct list_head waiters; /* lock */
};
static struct bucket buckets[NR_BUCKETS];

static int get_key(unsigned long addr, struct futex_key *key)
{
	struct mm *mm = current->mm;
	const struct vma *v;
	int err = 0;

	if (addr & 3)
		return -EINVAL;
	mmap_read_lock(mm);
	v = vma_find(&mm->vmas, addr);
	if (!v || v->start > addr)
		err = -EFAULT;
	else if (v->shmem)
		*key = (struct futex_key){v->shmem, v->shmem,
					  (v->pgoff << PAGE_SHIFT) + (addr - v->start)};
	else
		*key = (struct futex_key){mm, NULL, addr};
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

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->space == b->space && a->offset == b->offset;
}

static int get_keys(unsigned long addr, struct futex_key *key, unsigned long addr2,
		    struct futex_key *key2)
{
	int err = get_key(addr, key);

	if (err)
		return err;
	err = get_key(addr2, key2);
	if (err)
		put_key(key);
	return err;
}

static struct bucket *bucket_of(const struct futex_key *key) __no_thread_safety
{
	u64 h = ((u64)key->space ^ key->offset * 0x9e3779b97f4a7c15UL) >> 6;
	struct bucket *b = &buckets[(h ^ h >> 17) % NR_BUCKETS];

	return b;
}

void futex_init(void) __no_thread_safety
{
	for (unsigned i = 0; i < NR_BUCKETS; i++) {
		spin_lock_init(&buckets[i].lock, LOCK_FUTEX);
		list_init(&buckets[i].waiters);
	}
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

/* The lock of the bucket in which @w waits now; a requeue may have moved it. */
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

/* Out of its bucket, if nobody has woken it; whether somebody has. */
static bool end_wait(struct futex_waiter *w) __no_thread_safety
{
	struct bucket *b = lock_bucket(w);
	bool woken = w->woken;

	ASSERT(b == bucket_of(&w->key));
	if (!woken)
		list_del(&w->node);
	spin_unlock(&b->lock);
	put_key(&w->key);
	return woken;
}

long futex_wait(unsigned long addr, u32 val, u64 deadline)
{
	struct futex_waiter w = {.task = current};
	int err = get_key(addr, &w.key);

	if (err)
		return err;
	w.bucket = bucket_of(&w.key);
	err = enqueue_if_equal(w.bucket, &w, addr, val);
	if (err) {
		put_key(&w.key);
		return err;
	}
	if (!READ_ONCE(w.woken) && !(READ_ONCE(current->work) & TASK_WORK_EXIT))
		schedule_until(deadline);
	set_current_state(TASK_RUNNING);
	if (end_wait(&w))
		return 0;
	if (READ_ONCE(current->work) & TASK_WORK_EXIT)
		return -EINTR;
	return clock_ns() < deadline ? 0 : -ETIMEDOUT; /* a wake without reason is allowed */
}

/* Wake at most @n waiters of @key; how many. */
static u32 wake_waiters(struct bucket *b, const struct futex_key *key, u32 n) __must_hold(b->lock)
{
	struct futex_waiter *w, *next;
	u32 woken = 0;

	list_for_each_entry_safe(w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (!same_key(&w->key, key))
			continue;
		list_del(&w->node);
		w->woken = true;
		wake_up_task(w->task);
		woken++;
	}
	return woken;
}

long futex_wake(unsigned long addr, u32 n)
{
	struct futex_key key;
	struct bucket *b;
	long woken;
	int err = get_key(addr, &key);

	if (err)
		return err;
	b = bucket_of(&key);
	spin_lock(&b->lock);
	woken = wake_waiters(b, &key, n);
	spin_unlock(&b->lock);
	put_key(&key);
	return woken;
}

static void lock_two(struct bucket *a, struct bucket *b) __no_thread_safety
{
	spin_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		spin_lock_nested(a < b ? &b->lock : &a->lock, 1);
}

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
	struct bucket *target = bucket_of(to);
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

long futex_requeue(unsigned long addr, u32 n, unsigned long to, u32 n_move) __no_thread_safety
{
	struct futex_key from, target;
	struct bucket *a, *b;
	u32 woken, moved;
	int err = get_keys(addr, &from, to, &target);

	if (err)
		return err;
	a = bucket_of(&from);
	b = bucket_of(&target);
	lock_two(a, b);
	woken = wake_waiters(a, &from, n);
	moved = move_waiters(a, &from, &target, n_move);
	unlock_two(a, b);
	for (u32 i = 0; i < moved; i++)
		put_key(&from);
	put_key(&from);
	put_key(&target);
	return woken + moved;
}
