/*
 * A count of users for each number; see tid.h. Lock: tid_lock guards all of it.
 */
#include "kernel/sched/tid.h"

#include "kernel/debug/panic.h"
#include "kernel/sync/spinlock.h"

static DEFINE_SPINLOCK(tid_lock, LOCK_TID);
static u8 users[TID_MAX] __guarded_by(tid_lock);
static int next __guarded_by(tid_lock) = 1;

int tid_alloc(void)
{
	int tid = 0;

	spin_lock(&tid_lock);
	for (unsigned tried = 0; tried < TID_MAX && !tid; tried++) {
		if (!users[next])
			tid = next;
		next = next + 1 < TID_MAX ? next + 1 : TID_RESERVED;
	}
	if (tid)
		users[tid] = 1;
	spin_unlock(&tid_lock);
	return tid;
}

void tid_get(int tid)
{
	spin_lock(&tid_lock);
	BUG_ON(!users[tid] || users[tid] == 0xff);
	users[tid]++;
	spin_unlock(&tid_lock);
}

void tid_put(int tid)
{
	spin_lock(&tid_lock);
	BUG_ON(!users[tid]);
	users[tid]--;
	spin_unlock(&tid_lock);
}

int tid_set_next(int tid)
{
	int old;

	spin_lock(&tid_lock);
	old = next;
	next = tid;
	spin_unlock(&tid_lock);
	return old;
}
