// SPDX-License-Identifier: GPL-2.0
/*
 * What a child costs the first touch of memory that its parent has mapped and touched:
 * its first pass less its second. Before each pass the TLB is empty.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scome.h"

enum step { MAP, FORK };
enum value { FIRST_PASS, SECOND_PASS };

struct job {
	const struct settings *settings;
	enum side side;
	int fd;
	char *map;
};

/* unmapping more pages than are flushed one by one flushes all */
static void empty_tlb(void)
{
	void *map = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (map == MAP_FAILED || munmap(map, MIB))
		fail("mmap: %s", strerror(errno));
}

static void child(const struct job *job, volatile int64_t *values)
{
	size_t size = job->settings->size;
	int64_t start;

	for (unsigned int pass = FIRST_PASS; pass <= SECOND_PASS; pass++) {
		/* the child's own copies of what it writes to are made before */
		values[pass] = stamp();
		empty_tlb();
		start = stamp();
		touch(job->map, size, PAGE_BYTES);
		values[pass] = stamp() - start;
	}
	check_side(job->side, job->map, size);
	_exit(0);
}

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	struct job *job = context;
	size_t size = job->settings->size;
	int status;
	pid_t pid;

	(void)process;
	if (step == MAP) {
		job->map = map_side(job->side, size, PROT_READ | PROT_WRITE,
				    job->fd, NULL);
		touch(job->map, size, PAGE_BYTES);
		check_side(job->side, job->map, size);
		return;
	}
	pid = fork();
	if (!pid)
		child(job, values);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail("fork: %s", strerror(errno));
	if (status)
		fail("the child ends with status %#x", status);
}

static void round_of(const struct settings *settings, unsigned int round,
		     enum side side, int fd)
{
	struct job job = { .settings = settings, .side = side, .fd = fd };
	struct pool *pool = pool_start(1, run, &job);
	volatile int64_t *values = pool_values(pool, 0);

	pool_do(pool, 0, MAP);
	for (unsigned int i = 0; i < settings->loops; i++) {
		pool_do(pool, 0, FORK);
		printf("{\"measure\": \"fork\", \"side\": \"%s\", \"round\": %u, \"first\": %" PRId64
		       ", \"second\": %" PRId64 "}\n",
		       side_name(side), round, values[FIRST_PASS],
		       values[SECOND_PASS]);
	}
	fflush(stdout);
	pool_end(pool);
}

void measure_fork(const struct settings *settings)
{
	int file = memory_file(STOCK, settings->size);

	fill(file, settings->size, PAGE_BYTES);
	for (unsigned int i = 0; i < settings->rounds; i++)
		for (unsigned int k = STOCK; k <= BY_PARENT; k++)
			round_of(settings, i, i & 1 ? BY_PARENT - k : k, file);
	close(file);
}
