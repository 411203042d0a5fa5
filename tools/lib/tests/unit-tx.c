// SPDX-License-Identifier: GPL-2.0
/* Transactions, in threads and in children, too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* --- transactions */

void test_commit(void **state)
{
	struct scome_heap *heap = new_heap();
	int *old = scome_heap_zalloc(heap, 100), *new;

	(void)state;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(scome_heap_add(heap, old, 8), 0);
	old[0] = 1;
	old[1] = 2;
	new = scome_heap_alloc(heap, 50);
	assert_non_null(new);
	assert_int_equal(scome_heap_set_root(heap, 0, new), 0);
	assert_int_equal(scome_heap_free(heap, old), 0);
	assert_int_equal(old[1], 2);
	assert_int_equal(stats_of(heap).objects, 2);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(stats_of(heap).objects, 1);
	assert_ptr_equal(scome_heap_root(heap, 0), new);
	in_order(heap);
	assert_int_equal(stats_of(heap).recoveries, 0);
	scome_heap_close(heap);
}

void test_abort(void **state)
{
	struct scome_heap *heap = new_heap();
	char *old = scome_heap_alloc(heap, 20000), *other;
	struct scome_heap_stats before, after;
	static char random[20000];

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		random[i] = i * 7;
	memcpy(old, random, 20000);
	assert_int_equal(scome_heap_set_root(heap, 0, old), 0);
	before = stats_of(heap);
	assert_int_equal(scome_heap_begin(heap), 0);
	/* odd places, and over each other */
	assert_int_equal(scome_heap_add(heap, old + 3, 1001), 0);
	memset(old + 3, 0xaa, 1001);
	assert_int_equal(scome_heap_add(heap, old + 900, 7001), 0);
	memset(old + 900, 0xbb, 7001);
	assert_int_equal(scome_heap_add(heap, old + 19999, 1), 0);
	old[19999] = 1;
	assert_int_equal(scome_heap_free(heap, old), 0);
	other = scome_heap_alloc(heap, 20000);
	assert_true(other != old);
	memset(other, 0xcc, 20000);
	assert_int_equal(scome_heap_set_root(heap, 0, other), 0);
	/* more memory than there was */
	assert_non_null(scome_heap_alloc(heap, 7 * MIB));
	assert_int_equal(scome_heap_abort(heap), 0);
	after = stats_of(heap);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_ptr_equal(scome_heap_root(heap, 0), old);
	assert_memory_equal(old, random, 20000);
	in_order(heap);
	scome_heap_close(heap);
}

void test_errors_of_transactions(void **state)
{
	struct scome_heap *heap = new_heap();
	char *object = scome_heap_alloc(heap, 100), stack[8];
	char *end = heap->data + HEAP_CHUNK;
	struct scome_heap_stats stats;

	(void)state;
	fails_with(EPERM, scome_heap_add(heap, object, 8));
	fails_with(EPERM, scome_heap_commit(heap));
	fails_with(EPERM, scome_heap_abort(heap));
	assert_int_equal(scome_heap_begin(heap), 0);
	fails_with(EDEADLK, scome_heap_begin(heap));
	fails_with(EDEADLK, scome_heap_trim(heap));
	fails_with(EDEADLK, scome_heap_sync(heap));
	fails_with(EBUSY, scome_heap_close(heap));
	fails_with(EINVAL, scome_heap_add(heap, stack, 8));
	fails_with(EINVAL, scome_heap_add(heap, heap->state, 8));
	fails_with(EINVAL, scome_heap_add(heap, heap->data - 1, 8));
	fails_with(EINVAL, scome_heap_add(heap, end - 4, 8));
	fails_with(EINVAL, scome_heap_add(heap, end + 4096, 8));
	fails_with(EINVAL, scome_heap_add(heap, object, SIZE_MAX));
	fails_with(EINVAL, scome_heap_add(heap, object, -(uintptr_t)object));
	fails_with(EINVAL, scome_heap_add(heap, (void *)-8, 16));
	assert_int_equal(scome_heap_add(heap, end, 0), 0);
	assert_int_equal(scome_heap_add(heap, end - 8, 8), 0);
	fails_with(ENOMEM, scome_heap_alloc(heap, SMALL_LIMIT));
	assert_int_equal(scome_heap_free(heap, object), 0);
	fails_with(EINVAL, scome_heap_free(heap, object));
	/* within one's own, these are allowed */
	assert_int_equal(scome_heap_stats(heap, &stats, sizeof(stats)), 0);
	in_order(heap);
	assert_int_equal(scome_heap_abort(heap), 0);
	assert_int_equal(scome_heap_usable_size(heap, object), 112);
	in_order(heap);
	scome_heap_close(heap);
}

void test_a_transaction_that_is_too_large(void **state)
{
	struct scome_heap *heap = new_heap();
	char *object = scome_heap_alloc(heap, 20 * MIB);
	uint64_t log = HEAP_META - HEAP_LOG;
	unsigned int i;

	(void)state;
	memset(object, 1, 20 * MIB);
	assert_int_equal(scome_heap_begin(heap), 0);
	fails_with(E2BIG, scome_heap_add(heap, object, 20 * MIB));
	fails_with(E2BIG, scome_heap_add(heap, object, log));
	assert_int_equal(scome_heap_add(heap, object, log - 16), 0);
	memset(object, 2, log - 16);
	fails_with(E2BIG, scome_heap_add(heap, object, 1));
	fails_with(E2BIG, scome_heap_alloc(heap, 1));
	fails_with(E2BIG, scome_heap_free(heap, object));
	fails_with(E2BIG, scome_heap_set_root(heap, 0, object));
	/* to look needs no room */
	assert_null(scome_heap_root(heap, 0));
	assert_int_equal(scome_heap_usable_size(heap, object), 20 * MIB);
	in_order(heap);
	assert_int_equal(scome_heap_abort(heap), 0);
	for (i = 0; i < 20 * MIB; i += 4096)
		assert_int_equal(object[i], 1);
	in_order(heap);
	/* the log's own memory is given back, too */
	assert_int_equal(heap->state->log_backed, HEAP_META);
	assert_int_equal(scome_heap_trim(heap), 0);
	assert_int_equal(heap->state->log_backed, HEAP_CHUNK);
	scome_heap_close(heap);
}

/* what is promised to frees is there when the commit needs it */
void test_a_transaction_that_frees_much(void **state)
{
	struct scome_heap *heap = new_heap();
	static void *objects[20000];
	unsigned int freed = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		assert_non_null(objects[i] =
					scome_heap_alloc(heap, 16 + i % 900));
	assert_int_equal(scome_heap_begin(heap), 0);
	/* from both ends, so that slabs become empty late */
	while (freed < 20000) {
		unsigned int i = freed % 2 ? freed / 2 : 19999 - freed / 2;

		if (scome_heap_free(heap, objects[i]))
			break;
		freed++;
	}
	assert_int_equal(errno, E2BIG);
	assert_in_range(freed, (HEAP_META - HEAP_LOG) / HEAP_OP_UNDO - 1,
			19999);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(stats_of(heap).objects, 20000 - freed);
	in_order(heap);
	scome_heap_close(heap);
}

/* no operation changes more words than the log has room for */
void test_words_of_an_operation(void **state)
{
	struct scome_heap *heap = new_heap();
	void *objects[256] = { NULL };
	uint64_t most = 0, seed = 4711;

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t before;
		unsigned int which;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		which = seed >> 56;
		if (i % 1000 == 0 && i)
			assert_int_equal(scome_heap_commit(heap), 0);
		if (i % 1000 == 0)
			assert_int_equal(scome_heap_begin(heap), 0);
		before = heap->state->log_used;
		if (objects[which]) {
			struct heap_object object;

			assert_true(object_find(heap, objects[which], &object));
			object_give(heap, &object);
			objects[which] = NULL;
		} else {
			size_t size = 1 + (seed >> 20 & 0xffff) % 20000;

			if (seed >> 40 & 1)
				size *= 8;
			objects[which] = scome_heap_alloc_aligned(
				heap, 1UL << (seed >> 50) % 16, size);
		}
		if (heap->state->log_used - before > most)
			most = heap->state->log_used - before;
	}
	assert_int_equal(scome_heap_commit(heap), 0);
	in_order(heap);
	print_message("# at most %lu of %u words\n", most / HEAP_WORD_UNDO,
		      HEAP_OP_WORDS);
	assert_in_range(most, 20 * HEAP_WORD_UNDO, HEAP_OP_UNDO);
	scome_heap_close(heap);
}

/* --- threads and children */

static void *others_transaction(void *context)
{
	struct scome_heap *heap = context;

	/* not this thread's */
	if (!scome_heap_commit(heap) || errno != EPERM)
		return (void *)1;
	if (scome_heap_begin(heap))
		return (void *)2;
	/* it waited: the first one is over */
	if (!scome_heap_root(heap, 1))
		return (void *)3;
	return scome_heap_commit(heap) ? (void *)4 : NULL;
}

void test_threads_wait(void **state)
{
	struct scome_heap *heap = new_heap();
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(
		pthread_create(&thread, NULL, others_transaction, heap), 0);
	usleep(20000);
	assert_int_equal(
		scome_heap_set_root(heap, 1, scome_heap_alloc(heap, 1)), 0);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	scome_heap_close(heap);
}

/* as after the death of the waiter that was woken: the lock does not say that
 * anybody waits for it
 */
void test_a_wake_up_that_is_lost(void **state)
{
	struct scome_heap *heap = new_heap();
	int *word = &heap->state->lock.__data.__lock;
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		/* instead of waiting for ever */
		alarm(20);
		while (!(__atomic_load_n(word, __ATOMIC_ACQUIRE) &
			 FUTEX_TID_MASK))
			usleep(100);
		if (scome_heap_begin(heap))
			_exit(1);
		_exit(scome_heap_commit(heap) ? 2 : 0);
	}
	assert_int_equal(scome_heap_begin(heap), 0);
	while (!(__atomic_load_n(word, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
		usleep(100);
	/* it sleeps in the kernel */
	usleep(20000);
	__atomic_fetch_and(word, ~FUTEX_WAITERS, __ATOMIC_RELEASE);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scome_heap_close(heap);
}

static void *allocates(void *context)
{
	struct scome_heap *heap = context;
	unsigned char *objects[64] = { NULL };
	uint64_t seed = (uintptr_t)objects >> 4;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int which = (seed >> 33) % 64;
		size_t size = 1 + (seed >> 40) % 3000;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		if (objects[which]) {
			size = scome_heap_usable_size(heap, objects[which]);
			for (size_t j = 0; j < size; j += 7)
				if (objects[which][j] != which)
					return (void *)1;
			if (scome_heap_free(heap, objects[which]))
				return (void *)2;
			objects[which] = NULL;
			continue;
		}
		objects[which] = scome_heap_alloc(heap, size);
		if (!objects[which])
			return (void *)3;
		memset(objects[which], which,
		       scome_heap_usable_size(heap, objects[which]));
	}
	for (unsigned int i = 0; i < 64; i++)
		if (scome_heap_free(heap, objects[i]))
			return (void *)4;
	return NULL;
}

void test_threads_allocate(void **state)
{
	struct scome_heap *heap = new_heap();
	pthread_t threads[4];
	void *result;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(threads + i, NULL, allocates, heap), 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
	in_order(heap);
	assert_int_equal(stats_of(heap).objects, 0);
	scome_heap_close(heap);
}

static void *ends_in_a_transaction(void *context)
{
	struct scome_heap *heap = context;
	int *object = scome_heap_root(heap, 0);

	if (scome_heap_begin(heap) || scome_heap_add(heap, object, 4))
		return (void *)1;
	*object = 2;
	if (!scome_heap_alloc(heap, 100) || scome_heap_free(heap, object))
		return (void *)2;
	return NULL;
}

void test_a_thread_that_ends(void **state)
{
	struct scome_heap *heap = new_heap();
	int *object = scome_heap_alloc(heap, 4);

	(void)state;
	*object = 1;
	assert_int_equal(scome_heap_set_root(heap, 0, object), 0);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_t thread;
		void *result;

		assert_int_equal(pthread_create(&thread, NULL,
						ends_in_a_transaction, heap),
				 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_null(result);
	}
	in_order(heap);
	assert_int_equal(*object, 1);
	assert_int_equal(stats_of(heap).objects, 1);
	assert_int_equal(stats_of(heap).recoveries, 4);
	scome_heap_close(heap);
}

static int child_of_a_transaction(struct scome_heap *heap, int *object)
{
	/* the transaction is the parent's */
	if (!scome_heap_add(heap, object, 4) || errno != EPERM)
		return 1;
	if (!scome_heap_commit(heap) || errno != EPERM)
		return 2;
	if (!scome_heap_abort(heap) || errno != EPERM)
		return 3;
	/* until that ends it waits */
	if (scome_heap_begin(heap))
		return 4;
	if (*object != 2 || scome_heap_add(heap, object, 4))
		return 5;
	*object = 3;
	if (scome_heap_commit(heap))
		return 6;
	return scome_heap_close(heap) ? 7 : 0;
}

void test_a_child(void **state)
{
	struct scome_heap *heap = new_heap();
	int *object = scome_heap_alloc(heap, 4), status;
	pid_t child;

	(void)state;
	*object = 1;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(scome_heap_add(heap, object, 4), 0);
	child = fork();
	if (!child)
		_exit(child_of_a_transaction(heap, object));
	usleep(20000);
	*object = 2;
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(*object, 3);
	in_order(heap);
	scome_heap_close(heap);
}

/* as long as a child has it open, nobody makes the lock anew */
void test_a_child_keeps_it_open(void **state)
{
	int fd = memory_file(), pipes[2], status;
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	int *object = scome_heap_alloc(heap, 4);
	pid_t child;
	char byte;

	(void)state;
	*object = 1;
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		if (scome_heap_begin(heap) || scome_heap_add(heap, object, 4))
			_exit(1);
		*object = 2;
		if (write(pipes[1], "x", 1) != 1)
			_exit(2);
		usleep(100000);
		_exit(scome_heap_commit(heap) ? 3 : 0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(scome_heap_close(heap), 0);
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	/* waits for the child */
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(*object, 2);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scome_heap_close(heap);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

/* what is nonsense while others have it: nobody gets the lock again */
void test_a_log_destroyed_under_a_dead_one(void **state)
{
	struct scome_heap *heap = new_heap();
	int status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		if (scome_heap_begin(heap))
			_exit(1);
		heap->state->log_used = 12;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fails_with(ENOTRECOVERABLE, scome_heap_alloc(heap, 1));
	fails_with(ENOTRECOVERABLE, scome_heap_begin(heap));
	fails_with(ENOTRECOVERABLE, scome_heap_check(heap, NULL, NULL));
	assert_int_equal(scome_heap_close(heap), 0);
}
