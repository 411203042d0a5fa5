// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables of processes that map one memory file, and the faults that a process
 * takes on a file that another one has touched.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../lib/scome.h"
#include "scome.h"

enum step { PREPARE, MAP_SPARSE, MAP_WHOLE };
enum value { UPPER_TABLES, FAULTS };

struct job {
	const struct settings *settings;
	enum side side;
	int fd;
};

static void run(unsigned int step, unsigned int process, void *context,
		volatile int64_t *values)
{
	const struct job *job = context;
	size_t size = job->settings->size;
	int64_t upper = 0, faults;
	char *map;

	(void)process;
	if (step == PREPARE) {
		/* everything the measured part needs is in place before it */
		check_side(STOCK, NULL, 0);
		munmap(map_side(STOCK, size, PROT_READ, job->fd, &upper), size);
		values[UPPER_TABLES] = minor_faults();
		return;
	}
	map = map_side(job->side, size, PROT_READ | PROT_WRITE, job->fd,
		       &upper);
	faults = minor_faults();
	touch(map, size, step == MAP_SPARSE ? SCOME_RANGE_SIZE : PAGE_BYTES);
	values[FAULTS] = minor_faults() - faults;
	values[UPPER_TABLES] = upper;
	check_side(job->side, map, size);
}

/*
 * The least that page tables can take where leaf tables are linked one by one: for each process the tables above the leaf
 * level that its addresses need, and one leaf table for each 2 MiB of the file.
 */
static int64_t floor_bytes(const struct settings *settings, int64_t upper)
{
	int64_t leaves = settings->size / SCOME_RANGE_SIZE;

	return (upper + leaves) * TABLE_BYTES;
}

static void tables_round(const struct settings *settings, unsigned int round,
			 enum side side)
{
	struct job job = { .settings = settings, .side = side };
	struct pool *pool;
	int64_t bytes, upper = 0;

	job.fd = memory_file(side, settings->size);
	if (side != HUGETLB)
		fill(job.fd, settings->size, SCOME_RANGE_SIZE);
	pool = pool_start(settings->processes, run, &job);
	pool_all(pool, PREPARE);
	bytes = pagetable_bytes();
	pool_all(pool, MAP_SPARSE);
	bytes = pagetable_bytes() - bytes;
	for (unsigned int i = 0; i < settings->processes; i++)
		upper += pool_values(pool, i)[UPPER_TABLES];
	pool_end(pool);
	close(job.fd);
	printf("{\"measure\": \"tables\", \"side\": \"%s\", \"round\": %u, \"bytes\": %" PRId64
	       ", \"upper_tables\": %" PRId64 ", \"floor\": %" PRId64 "}\n",
	       side_name(side), round, bytes, upper,
	       floor_bytes(settings, upper));
	fflush(stdout);
}

static void faults_round(const struct settings *settings, unsigned int round,
			 enum side side, int file)
{
	struct job job = { .settings = settings, .side = side, .fd = file };
	struct pool *pool;

	if (side == HUGETLB)
		job.fd = memory_file(side, settings->size);
	pool = pool_start(2, run, &job);
	pool_all(pool, PREPARE);
	pool_all(pool, MAP_WHOLE);
	printf("{\"measure\": \"faults\", \"side\": \"%s\", \"round\": %u, \"first\": %" PRId64
	       ", \"faults\": %" PRId64 "}\n",
	       side_name(side), round, pool_values(pool, 0)[FAULTS],
	       pool_values(pool, 1)[FAULTS]);
	fflush(stdout);
	pool_end(pool);
	if (side == HUGETLB)
		close(job.fd);
}

/* the last side: HUGETLB when it is asked for and there are pages for the file */
static enum side last_side(const struct settings *settings)
{
	const char *path = "/proc/sys/vm/nr_hugepages";
	int64_t wanted = settings->size / SCOME_RANGE_SIZE, found;
	char text[32];

	if (!settings->hugetlb)
		return BY_PARENT;
	if (kb_line("/proc/meminfo", "Hugepagesize:") != SCOME_RANGE_SIZE) {
		printf("{\"measure\": \"hugetlb\", \"reason\": \"the kernel has no huge pages of 2 MiB\"}\n");
		return BY_PARENT;
	}
	snprintf(text, sizeof(text), "%" PRId64, wanted);
	write_text(path, text);
	found = slurp(path, text, sizeof(text)) > 0 ? atoll(text) : 0;
	if (found >= wanted)
		return HUGETLB;
	printf("{\"measure\": \"hugetlb\", \"reason\": \"the guest has memory for %" PRId64
	       " of %" PRId64 " huge pages\"}\n",
	       found, wanted);
	write_text(path, "0");
	return BY_PARENT;
}

void measure_tables(const struct settings *settings)
{
	enum side last = last_side(settings);

	for (unsigned int i = 0; i < settings->rounds; i++)
		for (unsigned int k = STOCK; k <= last; k++)
			tables_round(settings, i, i & 1 ? last - k : k);
	if (last == HUGETLB)
		write_text("/proc/sys/vm/nr_hugepages", "0");
}

void measure_faults(const struct settings *settings)
{
	enum side last = last_side(settings);
	int file = memory_file(STOCK, settings->size);

	fill(file, settings->size, PAGE_BYTES);
	for (unsigned int i = 0; i < settings->rounds; i++)
		for (unsigned int k = STOCK; k <= last; k++)
			faults_round(settings, i, i & 1 ? last - k : k, file);
	close(file);
	if (last == HUGETLB)
		write_text("/proc/sys/vm/nr_hugepages", "0");
}
