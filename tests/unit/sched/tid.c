/*
 * Suite `tid`: the numbers of tasks begin again, and none is given twice.
 *
 * Oracle: a set of the numbers that the case holds; what is handed out is in no task and not in the
 * set.
 */
#include "kernel/sched/tid.h"

#include "kernel/sched/task.h"
#include "tests/ktest.h"

static u64 held[TID_MAX / 64];

static bool is_held(int tid)
{
	return held[tid / 64] >> tid % 64 & 1;
}

static int take(struct ktest *t)
{
	int tid = tid_alloc();

	if (!tid)
		return 0;
	KEXPECT(t, tid > 0 && tid < TID_MAX);
	KEXPECT(t, !is_held(tid));
	held[tid / 64] |= 1UL << tid % 64;
	return tid;
}

static void give_back(int tid)
{
	held[tid / 64] &= ~(1UL << tid % 64);
	tid_put(tid);
}

static void begins_again(struct ktest *t)
{
	int next = tid_set_next(TID_MAX - 2), tid[4];

	for (unsigned i = 0; i < ARRAY_SIZE(tid); i++)
		tid[i] = take(t);
	KEXPECT_EQ(t, tid[0], TID_MAX - 2);
	KEXPECT_EQ(t, tid[1], TID_MAX - 1);
	KEXPECT(t, tid[2] >= TID_RESERVED && tid[2] < tid[3]);
	tid_set_next(TID_MAX - 2);
	give_back(tid[1]);
	KEXPECT_EQ(t, take(t), TID_MAX - 1); /* the one before is still in use */
	for (unsigned i = 0; i < ARRAY_SIZE(tid); i++)
		give_back(tid[i]);
	tid_set_next(next);
}

/* As a process keeps its number beyond the end of its first thread. */
static void lives_with_its_last_user(struct ktest *t)
{
	int tid = take(t), other, next;

	tid_get(tid);
	tid_put(tid);
	next = tid_set_next(tid);
	other = take(t);
	KEXPECT(t, other != tid);
	give_back(other);
	give_back(tid);
	tid_set_next(tid);
	KEXPECT_EQ(t, take(t), tid);
	give_back(tid);
	tid_set_next(next);
}

/* Every number once, and then none, and no task. */
static void all_in_use(struct ktest *t)
{
	int next = tid_set_next(1);
	unsigned n = 0;
	struct task *task;

	while (take(t))
		n++;
	KEXPECT(t, n > TID_MAX - 200 && n < TID_MAX);
	KEXPECT(t, !task_create("one too many", NULL, NULL));
	for (int tid = 1; tid < TID_MAX; tid++)
		if (is_held(tid))
			give_back(tid);
	tid_set_next(next);
	task = task_create("a last one", NULL, NULL);
	KEXPECT(t, task && task->tid > 0);
	if (task)
		task_free(task);
}

static const struct ktest_case cases[] = {
	{"begins_again", begins_again},
	{"lives_with_its_last_user", lives_with_its_last_user},
	{"all_in_use", all_in_use},
};
KTEST_SUITE(tid_suite, "tid", "the numbers of tasks", true, cases);
