// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidation of one page that many processes are linked to, beside one that one process
 * is linked to: a hole is punched into one file and into the other, in turn, while the
 * processes wait. With --spin one of them writes to both pages all the
 * time on another processor, which has to be interrupted. Reading would not do: the pages
 * around a fault are mapped without waiting for the hole, which then takes the page out
 * of the tables twice.
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

/* the file that all processes are linked to, and the one that the first alone is */
enum file { OF_ALL, OF_ONE, FILES };

struct job {
	int fds[FILES];
	char *maps[FILES];
};

static void map_page(struct job *job, enum file file)
{
	job->maps[file] = map_side(BY_PMD, SCOME_RANGE_SIZE,
				   PROT_READ | PROT_WRITE, job->fds[file],
				   NULL);
	touch(job->maps[file], SCOME_RANGE_SIZE, SCOME_RANGE_SIZE);
	if (linked_ranges(job->maps[file], SCOME_RANGE_SIZE) != 1)
		fail("a page is not linked");
}

static void write_pages(const struct job *job)
{
	for (enum file file = OF_ALL; file < FILES; file++)
		*(volatile char *)job->maps[file] = 1;
}

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	struct job *job = context;

	switch (step) {
	case MAP:
		map_page(job, OF_ALL);
		if (!process)
			map_page(job, OF_ONE);
		return;
	case TOUCH:
		write_pages(job);
		return;
	case SPIN:
		pin(1);
		while (!pool_stopped(values)) {
			write_pages(job);
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

/* the pages are mapped again, by the one that writes or by one that is told to */
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

static int64_t median(int64_t *samples, unsigned int count)
{
	qsort(samples, count, sizeof(*samples), compare);
	return samples[count / 2];
}

struct result {
	int64_t *samples;
	int64_t interrupts;
};

/* the first ones fill caches: they are not counted */
static void invalidate_both(const struct settings *settings, struct pool *pool,
			    const struct job *job, struct result *results)
{
	const unsigned int before = 10;

	for (unsigned int i = 0; i < before + settings->loops; i++) {
		for (unsigned int k = 0; k < FILES; k++) {
			enum file file = i & 1 ? FILES - 1 - k : k;
			int64_t interrupts, cost;

			bring_back(settings, pool);
			interrupts = shootdown_interrupts();
			cost = invalidate(job->fds[file]);
			interrupts = shootdown_interrupts() - interrupts;
			if (i < before)
				continue;
			results[file].samples[i - before] = cost;
			results[file].interrupts += interrupts;
		}
	}
}

static void round_of(const struct settings *settings, unsigned int round)
{
	struct result results[FILES] = { 0 };
	struct pool *pool;
	struct job job;

	for (enum file file = OF_ALL; file < FILES; file++) {
		job.fds[file] = memory_file(BY_PMD, SCOME_RANGE_SIZE);
		results[file].samples =
			calloc(settings->loops, sizeof(int64_t));
		if (!results[file].samples)
			fail("out of memory");
	}
	/* who waits has no processor: it was on this one */
	pin(0);
	pool = pool_start(settings->processes, run, &job);
	pool_all(pool, MAP);
	if (settings->spin)
		pool_order(pool, 0, SPIN);
	invalidate_both(settings, pool, &job, results);
	if (settings->spin)
		pool_stop_step(pool, 0);
	pool_end(pool);
	for (enum file file = OF_ALL; file < FILES; file++) {
		printf("{\"measure\": \"shootdown\", \"processes\": %u, \"round\": %u, \"spin\": %s"
		       ", \"median\": %" PRId64
		       ", \"loops\": %u, \"interrupts\": %" PRId64 "}\n",
		       file == OF_ALL ? settings->processes : 1, round,
		       settings->spin ? "true" : "false",
		       median(results[file].samples, settings->loops),
		       settings->loops, results[file].interrupts);
		close(job.fds[file]);
		free(results[file].samples);
	}
	fflush(stdout);
}

void measure_shootdown(const struct settings *settings)
{
	for (unsigned int i = 0; i < settings->rounds; i++)
		round_of(settings, i);
}
