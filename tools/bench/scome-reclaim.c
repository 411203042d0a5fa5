// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of the clean pages of a file on a disk that one process maps, and that many
 * map. All of them and the pages are in one control group, which is told to give
 * pages back.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scome.h"

/* calls of memory.reclaim, which gives back what is old first */
#define MOST_CALLS 64

enum step { JOIN, READ, MAP, TOUCH };

struct job {
	const struct settings *settings;
	enum side side;
	int fd;
	char *map;
};

static void read_all(int fd, size_t size)
{
	static char chunk[65536];

	for (size_t at = 0; at < size; at += sizeof(chunk))
		if (pread(fd, chunk, sizeof(chunk), at) !=
		    (ssize_t)sizeof(chunk))
			fail("the file cannot be read: %s", strerror(errno));
}

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	struct job *job = context;
	size_t size = job->settings->size;
	char path[512];

	(void)process;
	(void)values;
	switch (step) {
	case JOIN:
		snprintf(path, sizeof(path), "%s/cgroup.procs",
			 job->settings->cgroup);
		if (write_text(path, "0"))
			fail("%s: %s", path, strerror(errno));
		return;
	case READ:
		read_all(job->fd, size);
		return;
	case MAP:
		job->map = map_side(job->side, size, PROT_READ, job->fd, NULL);
		return;
	case TOUCH:
		touch(job->map, size, PAGE_BYTES);
		check_side(job->side, job->map, size);
		return;
	}
}

/* pages of the file in memory; the mapping that tells is there for a moment only */
static size_t pages_in_memory(int fd, size_t size)
{
	static unsigned char present[GIB / PAGE_BYTES];
	size_t pages = size / PAGE_BYTES, count = 0;
	char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED || mincore(map, size, present) ||
	    munmap(map, size))
		fail("mincore: %s", strerror(errno));
	for (size_t i = 0; i < pages; i++)
		count += present[i] & 1;
	return count;
}

static int clean_file(const struct settings *settings)
{
	int fd =
		open(settings->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fail("%s: %s", settings->directory, strerror(errno));
	fill(fd, settings->size, PAGE_BYTES);
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		fail("the file cannot be written: %s", strerror(errno));
	if (pages_in_memory(fd, settings->size))
		fail("the file stays in memory");
	return fd;
}

/* the cost of giving all pages back, in the unit of stamp() */
static void reclaim(const struct settings *settings, int fd, int64_t *cost,
		    int64_t *pages)
{
	size_t left = pages_in_memory(fd, settings->size);
	char path[512], bytes[32];
	int64_t start;
	int error;

	snprintf(path, sizeof(path), "%s/memory.reclaim", settings->cgroup);
	*cost = 0;
	*pages = left;
	for (unsigned int i = 0; i < MOST_CALLS && left; i++) {
		snprintf(bytes, sizeof(bytes), "%zu", left * PAGE_BYTES);
		start = stamp();
		error = write_text(path, bytes);
		*cost += stamp() - start;
		if (error && error != EAGAIN)
			fail("%s: %s", path, strerror(error));
		left = pages_in_memory(fd, settings->size);
	}
	*pages -= left;
	if (*pages < (int64_t)(settings->size / PAGE_BYTES) * 9 / 10)
		fail("only %" PRId64 " pages were reclaimed", *pages);
}

static void round_of(const struct settings *settings, unsigned int round,
		     enum side side, unsigned int processes)
{
	struct job job = { .settings = settings, .side = side };
	int64_t cost, pages;
	struct pool *pool;

	job.fd = clean_file(settings);
	pool = pool_start(processes, run, &job);
	pool_all(pool, JOIN);
	pool_do(pool, 0, READ);
	pool_all(pool, MAP);
	pool_all(pool, TOUCH);
	reclaim(settings, job.fd, &cost, &pages);
	pool_end(pool);
	close(job.fd);
	printf("{\"measure\": \"reclaim\", \"side\": \"%s\", \"processes\": %u, \"round\": %u"
	       ", \"cost\": %" PRId64 ", \"pages\": %" PRId64 "}\n",
	       side_name(side), processes, round, cost, pages);
	fflush(stdout);
}

void measure_reclaim(const struct settings *settings)
{
	if (settings->size > GIB)
		fail("a file of at most a GiB can be reclaimed");
	for (unsigned int i = 0; i < settings->rounds; i++) {
		enum side first = i & 1 ? BY_PMD : STOCK;
		enum side second = i & 1 ? STOCK : BY_PMD;

		round_of(settings, i, first, 1);
		round_of(settings, i, first, settings->processes);
		round_of(settings, i, second, 1);
		round_of(settings, i, second, settings->processes);
	}
}
