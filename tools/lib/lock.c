// SPDX-License-Identifier: GPL-2.0
/*
 * The lock: one thread of one process changes the heap at a time.
 *
 * The mutex is robust: when its owner dies, the next one is told, and takes back
 * what is in the log. It knows its owner, so a thread that is in a transaction
 * is not locked out by itself (EDEADLK).
 */
#include <errno.h>
#include <time.h>

#include "heap.h"

/*
 * A waiter looks again by itself after this time. Kernels before 6.12.117 and its
 * like lose a wake-up: it was for a waiter that is killed before it marks the lock
 * as waited for, and which somebody else has taken meanwhile (handle_futex_death()).
 */
#define WAIT_NS 100000000L

/* how often this process is the child of a fork() since the library was loaded */
static unsigned int forks;

static void count_fork(void)
{
	forks++;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

int heap_lock_init(struct scome_heap *heap)
{
	pthread_mutexattr_t attributes;
	int error;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	error = pthread_mutex_init(&heap->state->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	errno = error;
	return error ? -1 : 0;
}

/* pthread_mutex_lock(), and lost wake-ups do no harm. The first try does not wait,
 * so only those who must wait ask for the time. (A try by pthread_mutex_trylock()
 * keeps a mutex that is ENOTRECOVERABLE.)
 */
static int lock_robustly(pthread_mutex_t *lock)
{
	struct timespec until = { 0 };
	int error;

	for (;;) {
		error = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
		if (error != ETIMEDOUT)
			return error;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WAIT_NS;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
	}
}

int heap_lock(struct scome_heap *heap)
{
	pthread_mutex_t *lock = &heap->state->lock;
	int error = lock_robustly(lock);

	if (error && error != EOWNERDEAD) {
		errno = error;
		return -1;
	}
	if (log_recover(heap)) {
		/* without pthread_mutex_consistent() nobody gets it any more */
		pthread_mutex_unlock(lock);
		errno = ENOTRECOVERABLE;
		return -1;
	}
	if (error)
		pthread_mutex_consistent(lock);
	return 0;
}

void heap_unlock(struct scome_heap *heap)
{
	pthread_mutex_unlock(&heap->state->lock);
}

/* a number that no other thread has or had; not the address of anything, which
 * the next thread may get
 */
static uint64_t this_thread(void)
{
	static _Atomic(uint64_t) threads;
	static _Thread_local uint64_t number;

	if (!number)
		number = atomic_fetch_add(&threads, 1) + 1;
	return number;
}

bool heap_in_transaction(const struct scome_heap *heap)
{
	return atomic_load_explicit(&heap->owner, memory_order_relaxed) ==
		       this_thread() &&
	       heap->forks == forks;
}

/**
 * scome_heap_begin - begin a transaction
 *
 * Waits for the heap's lock, and has it until the end of the transaction.
 */
HEAP_PUBLIC int scome_heap_begin(struct scome_heap *heap)
{
	if (heap_lock(heap))
		return -1;
	heap->freed_count = 0;
	heap->forks = forks;
	atomic_store_explicit(&heap->owner, this_thread(),
			      memory_order_relaxed);
	return 0;
}

int heap_look(struct scome_heap *heap, struct heap_op *op)
{
	op->alone = !heap_in_transaction(heap);
	if (op->alone && heap_lock(heap))
		return -1;
	op->mark = heap->state->log_used;
	return 0;
}

int heap_begin(struct scome_heap *heap, struct heap_op *op)
{
	if (heap_look(heap, op))
		return -1;
	if (!log_room(heap, HEAP_OP_UNDO))
		return 0;
	heap_end(heap, op, false);
	return -1;
}

void heap_end(struct scome_heap *heap, const struct heap_op *op, bool good)
{
	int error = errno;

	if (!good)
		log_undo(heap, op->mark);
	if (op->alone) {
		log_commit(heap);
		heap_unlock(heap);
	}
	errno = error;
}
