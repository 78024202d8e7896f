/*
 * clang's thread-safety analysis (-Wthread-safety, an error in `make check`): a lock is a
 * capability and functions state which they take, give back and need. Other compilers see nothing.
 *
 * The three capabilities of the lazy section are roles, one object each and no data: what matters
 * to the first seed's rule is *that* the PTE-page lock is held, and at most two are held at a time.
 */
#pragma once

#ifdef __clang__
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif

#define __capability(name) TSA(capability(name))
#define __acquires(...) TSA(acquire_capability(__VA_ARGS__))
#define __releases(...) TSA(release_capability(__VA_ARGS__))
#define __acquires_shared(...) TSA(acquire_shared_capability(__VA_ARGS__))
#define __releases_shared(...) TSA(release_shared_capability(__VA_ARGS__))
#define __try_acquires(...) TSA(try_acquire_capability(__VA_ARGS__))
#define __must_hold(...) TSA(requires_capability(__VA_ARGS__))
#define __excludes(...) TSA(locks_excluded(__VA_ARGS__))
/* For global data only: clang 14 cannot name another member of the same struct in C. */
#define __guarded_by(x) TSA(guarded_by(x))
#define __no_thread_safety TSA(no_thread_safety_analysis)

struct __capability("role") lock_role
{
	char unused;
};

extern struct lock_role ptl_role;	 /* the lock of a PTE page */
extern struct lock_role ptl_nested_role; /* a second one, taken inside the first */
extern struct lock_role lazy_mmu_role;	 /* inside a lazy MMU section */
