/*
 * Futexes. A futex in private memory is known by its mm and address, one in shared memory by the
 * object and the offset, so that processes find each other.
 *
 * Locks: each hash bucket's own guards its waiters. User memory is read under it with faults off.
 */
#include "kernel/futex.h"

#include "kernel/errno.h"
#include "kernel/sched.h"
#include "kernel/uaccess.h"
#include "kernel/wait.h"
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
	down_read(&mm->mmap_lock);
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
	up_read(&mm->mmap_lock);
	return err;
}

static void put_key(const struct futex_key *key)
{
	if (key->shmem)
		shmem_put(key->shmem);
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

long futex_wait(unsigned long addr, u32 val)
{
	struct futex_waiter w = {.task = current};
	struct bucket *b;
	bool woken, exiting;
	int err = get_key(addr, &w.key);

	if (err)
		return err;
	b = bucket_of(&w.key);
	err = enqueue_if_equal(b, &w, addr, val);
	if (err) {
		put_key(&w.key);
		return err;
	}
	if (!READ_ONCE(w.woken) && !(READ_ONCE(current->work) & TASK_WORK_EXIT))
		schedule();
	set_current_state(TASK_RUNNING);
	spin_lock(&b->lock);
	woken = w.woken;
	if (!woken)
		list_del(&w.node);
	spin_unlock(&b->lock);
	put_key(&w.key);
	exiting = READ_ONCE(current->work) & TASK_WORK_EXIT;
	return woken ? 0 : exiting ? -EINTR : 0; /* a wake without reason is allowed */
}

long futex_wake(unsigned long addr, u32 n)
{
	struct futex_waiter *w, *next;
	struct futex_key key;
	struct bucket *b;
	long woken = 0;
	int err = get_key(addr, &key);

	if (err)
		return err;
	b = bucket_of(&key);
	spin_lock(&b->lock);
	list_for_each_entry_safe(w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (w->key.space != key.space || w->key.offset != key.offset)
			continue;
		list_del(&w->node);
		w->woken = true;
		wake_up_task(w->task);
		woken++;
	}
	spin_unlock(&b->lock);
	put_key(&key);
	return woken;
}
