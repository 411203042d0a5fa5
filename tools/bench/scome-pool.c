// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that wait until they are told to do something.
 *
 * They wait in futex(2) on memory that all share: nothing but the one that is told
 * runs, however many there are.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scome.h"

struct slot {
	_Atomic uint32_t ordered;
	_Atomic uint32_t done;
	uint32_t step;
	_Atomic uint32_t stopped;
	volatile int64_t values[POOL_VALUES];
};

struct pool {
	unsigned int processes;
	pid_t *pids;
	struct slot *slots;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	const struct timespec second = { .tv_sec = 1 };

	syscall(SYS_futex, word, FUTEX_WAIT, value, &second, NULL, 0);
}

static void futex_wait_for_ever(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void __attribute__((noreturn))
serve(struct slot *slot, unsigned int process, pool_step run, void *context)
{
	uint32_t number = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (true) {
		while (atomic_load(&slot->ordered) == number)
			futex_wait_for_ever(&slot->ordered, number);
		number = atomic_load(&slot->ordered);
		run(slot->step, process, context, slot->values);
		atomic_store(&slot->done, number);
		futex_wake(&slot->done);
	}
}

struct pool *pool_start(unsigned int processes, pool_step run, void *context)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	size_t bytes = processes * sizeof(struct slot);

	if (!pool)
		fail("out of memory");
	pool->processes = processes;
	pool->pids = calloc(processes, sizeof(*pool->pids));
	pool->slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!pool->pids || pool->slots == MAP_FAILED)
		fail("out of memory");
	for (unsigned int i = 0; i < processes; i++) {
		pool->pids[i] = fork();
		if (pool->pids[i] < 0)
			fail("fork: %s", strerror(errno));
		if (!pool->pids[i])
			serve(&pool->slots[i], i, run, context);
	}
	return pool;
}

void pool_order(struct pool *pool, unsigned int process, unsigned int step)
{
	struct slot *slot = &pool->slots[process];

	slot->step = step;
	atomic_store(&slot->stopped, 0);
	atomic_fetch_add(&slot->ordered, 1);
	futex_wake(&slot->ordered);
}

void pool_wait(struct pool *pool, unsigned int process)
{
	struct slot *slot = &pool->slots[process];
	uint32_t number = atomic_load(&slot->ordered), done;

	while ((done = atomic_load(&slot->done)) != number) {
		futex_wait(&slot->done, done);
		if (waitpid(pool->pids[process], NULL, WNOHANG))
			fail("process %u is gone", process);
	}
}

void pool_do(struct pool *pool, unsigned int process, unsigned int step)
{
	pool_order(pool, process, step);
	pool_wait(pool, process);
}

/* the first alone: what it makes for the others is there when they come */
void pool_all(struct pool *pool, unsigned int step)
{
	pool_do(pool, 0, step);
	for (unsigned int i = 1; i < pool->processes; i++)
		pool_order(pool, i, step);
	for (unsigned int i = 1; i < pool->processes; i++)
		pool_wait(pool, i);
}

volatile int64_t *pool_values(struct pool *pool, unsigned int process)
{
	return pool->slots[process].values;
}

bool pool_stopped(volatile int64_t *values)
{
	const volatile char *address = (const volatile char *)values;
	struct slot *slot =
		(struct slot *)(uintptr_t)(address -
					   offsetof(struct slot, values));

	return atomic_load_explicit(&slot->stopped, memory_order_relaxed);
}

void pool_stop_step(struct pool *pool, unsigned int process)
{
	atomic_store(&pool->slots[process].stopped, 1);
	pool_wait(pool, process);
}

void pool_end(struct pool *pool)
{
	for (unsigned int i = 0; i < pool->processes; i++)
		kill(pool->pids[i], SIGKILL);
	for (unsigned int i = 0; i < pool->processes; i++)
		waitpid(pool->pids[i], NULL, 0);
	munmap(pool->slots, pool->processes * sizeof(struct slot));
	free(pool->pids);
	free(pool);
}
