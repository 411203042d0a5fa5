/* SPDX-License-Identifier: GPL-2.0 */
/* What the measurements of linked mappings share. */
#ifndef BENCH_SCOME_H
#define BENCH_SCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES 4096UL
#define TABLE_BYTES 4096UL
#define GIB (1UL << 30)
#define MIB (1UL << 20)

/* what kind of mapping is measured */
enum side {
	STOCK, /* MAP_SHARED */
	BY_PMD, /* linked, where no GiB of the file can be linked as a whole */
	BY_PARENT, /* linked, aligned so that a GiB is linked by one entry */
	HUGETLB, /* MAP_SHARED of a file with pages of 2 MiB */
};

struct settings {
	size_t size;
	unsigned int processes;
	unsigned int rounds;
	unsigned int loops;
	bool instructions;
	bool spin;
	bool hugetlb;
	const char *directory;
	const char *cgroup;
};

/* scome-file.c: text files, the files that are mapped */
void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...);
ssize_t slurp(const char *path, char *buffer, size_t size);
int write_text(const char *path, const char *text);
int64_t kb_line(const char *path, const char *name);
int64_t pagetable_bytes(void);
int memory_file(enum side side, size_t size);
void fill(int fd, size_t size, size_t step);

/* scome-map.c: mappings, and whether they are what they are said to be */
const char *side_name(enum side side);
char *map_side(enum side side, size_t size, int prot, int fd,
	       int64_t *upper_tables);
void touch(const volatile char *map, size_t size, size_t step);
int64_t minor_faults(void);
size_t linked_ranges(const char *map, size_t size);
void check_side(enum side side, const char *map, size_t size);

/* scome-pool.c: processes that wait until they are told to do something */
#define POOL_VALUES 6

struct pool;
/* one step of one process; what it stores in values comes back to who asked */
typedef void (*pool_step)(unsigned int step, unsigned int process,
			  void *context, volatile int64_t *values);

struct pool *pool_start(unsigned int processes, pool_step run, void *context);
void pool_order(struct pool *pool, unsigned int process, unsigned int step);
void pool_wait(struct pool *pool, unsigned int process);
void pool_do(struct pool *pool, unsigned int process, unsigned int step);
void pool_all(struct pool *pool, unsigned int step);
volatile int64_t *pool_values(struct pool *pool, unsigned int process);
/* for a step that goes on until it is told to stop */
bool pool_stopped(volatile int64_t *values);
void pool_stop_step(struct pool *pool, unsigned int process);
void pool_end(struct pool *pool);

/* scome-main.c: nanoseconds, or instructions with --instructions */
int64_t stamp(void);
void pin(int cpu);

/* the measurements; each prints a JSON object a line */
void measure_tables(const struct settings *settings);
void measure_faults(const struct settings *settings);
void measure_fork(const struct settings *settings);
void measure_shootdown(const struct settings *settings);
void measure_reclaim(const struct settings *settings);
void measure_mprotect(const struct settings *settings);

#endif
