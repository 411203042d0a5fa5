// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidation of one page that many processes are linked to: a hole is punched into
 * the file while the processes wait. With --spin one of them reads the page all the
 * time on another processor, which has to be interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/scome.h"
#include "scome.h"

enum step { MAP, TOUCH, SPIN };
enum value { TURNS };

struct job {
	int fd;
	char *map;
};

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	struct job *job = context;
	const volatile char *page = job->map;

	(void)process;
	switch (step) {
	case MAP:
		job->map = map_side(BY_PMD, SCOME_RANGE_SIZE,
				    PROT_READ | PROT_WRITE, job->fd, NULL);
		touch(job->map, SCOME_RANGE_SIZE, SCOME_RANGE_SIZE);
		check_side(BY_PMD, job->map, SCOME_RANGE_SIZE);
		return;
	case TOUCH:
		(void)*page;
		return;
	case SPIN:
		pin(1);
		while (!pool_stopped(values)) {
			(void)*page;
			values[TURNS]++;
		}
		return;
	}
}

/* what the line of /proc/interrupts says of all processors */
static int64_t shootdown_interrupts(void)
{
	static char text[65536];
	int64_t sum = 0;
	char *at, *next;

	if (slurp("/proc/interrupts", text, sizeof(text)) < 0)
		fail("/proc/interrupts: %s", strerror(errno));
	at = strstr(text, "TLB:");
	if (!at)
		fail("/proc/interrupts has no line TLB");
	for (at += strlen("TLB:");; at = next) {
		int64_t value = strtoll(at, &next, 10);

		if (next == at)
			return sum;
		sum += value;
	}
}

/* the page is mapped again, by the one that reads it or by one that is told to */
static void bring_back(const struct settings *settings, struct pool *pool)
{
	volatile int64_t *values = pool_values(pool, 0);
	int64_t turns;

	if (!settings->spin) {
		pool_do(pool, 0, TOUCH);
		return;
	}
	for (turns = values[TURNS]; values[TURNS] < turns + 2;)
		;
}

static int64_t invalidate(int fd)
{
	int64_t start = stamp();

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      PAGE_BYTES))
		fail("fallocate: %s", strerror(errno));
	return stamp() - start;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* the median, in the unit of stamp() */
static void round_of(const struct settings *settings, unsigned int round,
		     unsigned int processes)
{
	struct job job = { .fd = memory_file(BY_PMD, SCOME_RANGE_SIZE) };
	int64_t *samples = calloc(settings->loops, sizeof(*samples));
	int64_t interrupts;
	struct pool *pool;

	if (!samples)
		fail("out of memory");
	pool = pool_start(processes, run, &job);
	pool_all(pool, MAP);
	if (settings->spin) {
		pin(0);
		pool_order(pool, 0, SPIN);
	}
	/* the first ones fill caches */
	for (unsigned int i = 0; i < 10; i++) {
		bring_back(settings, pool);
		invalidate(job.fd);
	}
	interrupts = shootdown_interrupts();
	for (unsigned int i = 0; i < settings->loops; i++) {
		bring_back(settings, pool);
		samples[i] = invalidate(job.fd);
	}
	interrupts = shootdown_interrupts() - interrupts;
	if (settings->spin)
		pool_stop_step(pool, 0);
	qsort(samples, settings->loops, sizeof(*samples), compare);
	printf("{\"measure\": \"shootdown\", \"processes\": %u, \"round\": %u, \"spin\": %s"
	       ", \"median\": %" PRId64
	       ", \"loops\": %u, \"interrupts\": %" PRId64 "}\n",
	       processes, round, settings->spin ? "true" : "false",
	       samples[settings->loops / 2], settings->loops, interrupts);
	fflush(stdout);
	pool_end(pool);
	close(job.fd);
	free(samples);
}

void measure_shootdown(const struct settings *settings)
{
	for (unsigned int i = 0; i < settings->rounds; i++) {
		round_of(settings, i, i & 1 ? settings->processes : 1);
		round_of(settings, i, i & 1 ? 1 : settings->processes);
	}
}
