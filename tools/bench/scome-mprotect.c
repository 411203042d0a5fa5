// SPDX-License-Identifier: GPL-2.0
/* Processes that map one file, each of which makes its own mapping read-only. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/scome.h"
#include "scome.h"

#define FAULT_AROUND "/sys/kernel/debug/fault_around_bytes"

enum step { MAP, PROTECT, CHECK };
enum value { COST };

struct job {
	const struct settings *settings;
	enum side side;
	int fd;
	char *map;
};

/* no write through the mapping, and it is still what it was */
static void check(const struct job *job)
{
	size_t size = job->settings->size;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	if (zero < 0 || read(zero, job->map + size / 2, 1) != -1 ||
	    errno != EFAULT)
		fail("side %s: the mapping can be written to",
		     side_name(job->side));
	close(zero);
	touch(job->map, size, PAGE_BYTES);
	check_side(job->side, job->map, size);
}

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	struct job *job = context;
	size_t size = job->settings->size;
	int64_t start;

	(void)process;
	switch (step) {
	case MAP:
		job->map = map_side(job->side, size, PROT_READ | PROT_WRITE,
				    job->fd, NULL);
		touch(job->map, size, PAGE_BYTES);
		check_side(job->side, job->map, size);
		return;
	case PROTECT:
		/* the first calls of a process look functions up: not counted */
		values[COST] = stamp();
		if (mprotect(job->map, 0, PROT_READ))
			fail("mprotect: %s", strerror(errno));
		start = stamp();
		if (mprotect(job->map, size, PROT_READ))
			fail("mprotect: %s", strerror(errno));
		values[COST] = stamp() - start;
		return;
	case CHECK:
		check(job);
		return;
	}
}

static void round_of(const struct settings *settings, unsigned int round,
		     enum side side, int fd)
{
	struct job job = { .settings = settings, .side = side, .fd = fd };
	struct pool *pool = pool_start(settings->processes, run, &job);
	int64_t sum = 0;

	pool_all(pool, MAP);
	for (unsigned int i = 0; i < settings->processes; i++) {
		pool_do(pool, i, PROTECT);
		sum += pool_values(pool, i)[COST];
	}
	/* one of them says it for all */
	pool_do(pool, settings->processes - 1, CHECK);
	pool_end(pool);
	printf("{\"measure\": \"mprotect\", \"side\": \"%s\", \"round\": %u, \"sum\": %" PRId64
	       "}\n",
	       side_name(side), round, sum);
	fflush(stdout);
}

/*
 * How the entries came is not what is measured: a fault may bring all of a table
 * and not only those around it, or most of the time would go there.
 */
static void map_tables_at_once(char *before, size_t size)
{
	char bytes[32];

	if (slurp(FAULT_AROUND, before, size) < 0)
		fail("%s: %s", FAULT_AROUND, strerror(errno));
	snprintf(bytes, sizeof(bytes), "%lu", SCOME_RANGE_SIZE);
	write_text(FAULT_AROUND, bytes);
}

void measure_mprotect(const struct settings *settings)
{
	int file = memory_file(STOCK, settings->size);
	char fault_around[32];

	map_tables_at_once(fault_around, sizeof(fault_around));
	fill(file, settings->size, PAGE_BYTES);
	for (unsigned int i = 0; i < settings->rounds; i++)
		for (unsigned int k = STOCK; k <= BY_PARENT; k++)
			round_of(settings, i, i & 1 ? BY_PARENT - k : k, file);
	close(file);
	write_text(FAULT_AROUND, fault_around);
}
