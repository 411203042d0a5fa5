// SPDX-License-Identifier: GPL-2.0
/*
 * One entry for a GiB: a mapping that covers an aligned GiB of addresses and of the
 * file links the table of the file's leaf tables instead of each of them.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "scenario.h"

#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

/* the word at the beginning of each 2 MiB, and no other page, in so many GiB */
static int sparse_file(size_t size)
{
	int fd = memory_file(size);

	for (size_t at = 0; at < size; at += RANGE) {
		uint64_t value = at / RANGE + 1;

		NEED(pwrite(fd, &value, sizeof(value), at) == sizeof(value));
	}
	return fd;
}

static uint64_t sum_of(const char *map, size_t size)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < size; at += RANGE)
		sum += word(map + at);
	return sum;
}

static uint64_t wanted_sum(size_t from, size_t to)
{
	uint64_t sum = 0;

	for (size_t at = from; at < to; at += RANGE)
		sum += at / RANGE + 1;
	return sum;
}

struct warm {
	struct side *side;
	int fd;
	char *map;
	volatile uint64_t *shared;
};

static int touch_all(void *context)
{
	struct warm *warm = context;
	char *map = map_gib(warm->side, GIB, RW, warm->fd, 0);

	return sum_of(map, GIB) != wanted_sum(0, GIB);
}

/* all leaf tables are there, and somebody keeps them */
static struct warm warm_file(struct side *s)
{
	struct warm warm = { .side = s, .fd = sparse_file(GIB) };

	warm.shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(warm.shared != MAP_FAILED);
	warm.map = map_gib(s, GIB, RW, warm.fd, 0);
	NEED(sum_of(warm.map, GIB) == wanted_sum(0, GIB));
	return warm;
}

static int count_faults(void *context)
{
	struct warm *warm = context;
	char *map = map_gib(warm->side, GIB, RW, warm->fd, 0);
	int64_t before = minor_faults();
	uint64_t sum = sum_of(map, GIB);
	int64_t faults = minor_faults() - before;

	if (sum != wanted_sum(0, GIB))
		return 100;
	if (!warm->side->linked)
		return 0;
	return faults > 1 ? 101 : status_kb("VmSharedPT") != ONE_TABLE;
}

SCENARIO(one_fault, "SCM-6")
{
	struct warm warm = warm_file(s);

	must(s, "one_fault", in_child(count_faults, &warm), 0);
	linked_ranges(s, "links", warm.map, GIB, RANGES);
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(smaps, "SCM-6")
{
	/* a huge page has no leaf table */
	int64_t tables = files_huge() ? 1 : RANGES + 1;
	int64_t pages = files_huge() ? GIB / PAGE : RANGES;
	int64_t shared = 4 * tables, own = 0;
	struct warm warm = warm_file(s);

	if (s->linked) {
		shared = smaps_kb(warm.map, "SharedPT");
		own = smaps_kb(warm.map, "PageTables");
	}
	must(s, "shared", shared, 4 * tables);
	must(s, "own", own, 0);
	must(s, "rss", smaps_kb(warm.map, "Rss"), 4 * pages);
	NEED(!munmap(warm.map, GIB));
	linked_tables(s, "none", 0);
}

SCENARIO(written, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, RW, warm.fd, 0);

	for (size_t at = 0; at < GIB; at += 8 * RANGE)
		set_word(warm.map + at + PAGE, at + 7);
	for (size_t at = 0; at < GIB; at += 8 * RANGE)
		if (word(two + at + PAGE) != at + 7)
			must(s, "seen", at, 0);
	set_word(two, 99);
	must(s, "back", word(warm.map), 99);
	linked_ranges(s, "links", two, GIB, RANGES);
	linked_tables(s, "tables", 2 * ONE_TABLE);
}

SCENARIO(read_only, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, PROT_READ, warm.fd, 0);
	int fds[2];

	must(s, "sum", sum_of(two, GIB), wanted_sum(0, GIB));
	must(s, "write", try_write(two + 3 * RANGE, 1), SEGV_DENIED);
	NEED(!pipe(fds) && write(fds[1], "abcdefgh", 8) == 8);
	must(s, "into", err(read(fds[0], two + 3 * RANGE, 8)), -EFAULT);
	must(s, "into_first", err(read(fds[0], warm.map + 3 * RANGE, 8)), 8);
	must(s, "seen", two[3 * RANGE], 'a');
	linked_ranges(s, "links", two, GIB, RANGES);
}

/* O_DIRECT takes pages by the lockless walk, which has only entries to go by */
SCENARIO(direct_into_read_only, "SCM-6,SCM-15")
{
	int disk = direct_file(4 * PAGE, 5000);
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, PROT_READ, warm.fd, 0);

	sum_of(two, GIB);
	must(s, "denied", err(pread(disk, two + RANGE, PAGE, 0)), -EFAULT);
	must(s, "unchanged", word(warm.map + RANGE), 2);
	must(s, "allowed", pread(disk, warm.map + RANGE, PAGE, 0), PAGE);
	must(s, "arrived", word(two + RANGE), 5001);
	must(s, "protect", err(mprotect(warm.map, GIB, PROT_READ)), 0);
	must(s, "denied_now", err(pread(disk, warm.map + RANGE, PAGE, 0)),
	     -EFAULT);
	linked_tables(s, "tables", 2 * ONE_TABLE);
}

SCENARIO(protect_whole, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, RW, warm.fd, 0);

	sum_of(two, GIB);
	must(s, "protect", err(mprotect(two, GIB, PROT_READ)), 0);
	must(s, "denied", try_write(two + GIB / 2, 1), SEGV_DENIED);
	must(s, "other", try_write(warm.map + GIB / 2, 5), 0);
	must(s, "seen", word(two + GIB / 2), 5);
	linked_tables(s, "tables", 2 * ONE_TABLE);
	must(s, "none", err(mprotect(two, GIB, PROT_NONE)), 0);
	must(s, "unreadable", try_read(two + GIB / 2), SEGV_DENIED);
	must(s, "again", err(mprotect(two, GIB, RW)), 0);
	must(s, "allowed", try_write(two + GIB / 2, 6), 0);
	must(s, "sum", sum_of(two + RANGE, RANGE), 2);
	sum_of(two, GIB);
	linked_ranges(s, "links", two, GIB, RANGES);
}

SCENARIO(protect_part, "SCM-6,SCM-15,SCM-17")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *part = map + 100 * RANGE + PAGE;

	must(s, "protect", err(mprotect(part, PAGE, PROT_READ)), 0);
	must(s, "denied", try_write(part, 1), SEGV_DENIED);
	must(s, "before", try_write(part - PAGE, 101), 0);
	must(s, "after", try_write(part + PAGE, 0), 0);
	must(s, "sum", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, GIB, RANGES);
	must(s, "again", err(mprotect(part, PAGE, RW)), 0);
	must(s, "allowed", try_write(part, 1), 0);
	must(s, "sum_again", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links_again", map, GIB, RANGES);
}

SCENARIO(protect_half, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	char *map = warm.map;

	must(s, "protect", err(mprotect(map, GIB / 2, PROT_READ)), 0);
	must(s, "denied", try_write(map + GIB / 2 - RANGE, 1), SEGV_DENIED);
	must(s, "allowed", try_write(map + GIB / 2, 257), 0);
	must(s, "sum", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, GIB, RANGES);
}

SCENARIO(unmap_part, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *two = map_gib(s, GIB, RW, warm.fd, 0);

	sum_of(two, GIB);
	must(s, "page", err(munmap(map + 100 * RANGE + PAGE, PAGE)), 0);
	must(s, "gone", try_read(map + 100 * RANGE + PAGE), SEGV_UNMAPPED);
	must(s, "beside", word(map + 100 * RANGE), 101);
	must(s, "range", err(munmap(map + 200 * RANGE, RANGE)), 0);
	must(s, "range_gone", try_read(map + 200 * RANGE), SEGV_UNMAPPED);
	must(s, "left", sum_of(map, 200 * RANGE), wanted_sum(0, 200 * RANGE));
	must(s, "other", sum_of(two, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, 100 * RANGE, 100);
	linked_ranges(s, "links_of_other", two, GIB, RANGES);
}

SCENARIO(map_over, "SCM-6,SCM-16")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *over = map + 50 * RANGE;

	must(s, "over",
	     mmap(over, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == over,
	     1);
	must(s, "zero", word(over), 0);
	set_word(over, 77);
	must(s, "child", in_child(touch_all, &warm), 0);
	must(s, "mine", word(over), 77);
	must(s, "sum", sum_of(map + 51 * RANGE, 100 * RANGE),
	     wanted_sum(51 * RANGE, 151 * RANGE));
}

SCENARIO(advice, "SCM-6")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *two = map_gib(s, GIB, RW, warm.fd, 0);
	static unsigned char present[GIB / PAGE];
	unsigned int count = 0;

	sum_of(two, GIB);
	must(s, "dontneed",
	     err(madvise(map + 10 * RANGE, RANGE, MADV_DONTNEED)), 0);
	must(s, "cold", err(madvise(map, GIB, MADV_COLD)), 0);
	must(s, "pageout", err(madvise(map, 4 * RANGE, MADV_PAGEOUT)), 0);
	must(s, "clear_refs", write_text("/proc/self/clear_refs", "1"), 0);
	must(s, "sum", sum_of(map, GIB), wanted_sum(0, GIB));
	must(s, "other", sum_of(two, GIB), wanted_sum(0, GIB));
	must(s, "mincore", err(mincore(map, GIB, present)), 0);
	for (size_t i = 0; i < GIB / PAGE; i++)
		count += present[i] & 1;
	must_in_memory(s, "present", count, files_huge() ? GIB / PAGE : RANGES);
	linked_ranges(s, "links", map, GIB, RANGES);
	must(s, "lock", err(mlock(map + RANGE, PAGE)), 0);
	must(s, "locked", sum_of(map, GIB), wanted_sum(0, GIB));
}

static int child_of_fork(void *context)
{
	struct warm *warm = context;
	int64_t before = minor_faults();
	uint64_t sum = sum_of(warm->map, GIB);

	if (sum != wanted_sum(0, GIB))
		return 100;
	if (warm->side->linked && minor_faults() - before > 2)
		return 101;
	set_word(warm->map + 5 * RANGE + PAGE, 44);
	if (munmap(warm->map + GIB / 2, GIB / 2))
		return 102;
	return 0;
}

SCENARIO(fork_child, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);

	must(s, "child", in_child(child_of_fork, &warm), 0);
	must(s, "written", word(warm.map + 5 * RANGE + PAGE), 44);
	must(s, "sum", sum_of(warm.map, GIB), wanted_sum(0, GIB));
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(file_changes, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char *map = warm.map;

	must(s, "punch", punch_hole(warm.fd, 7 * RANGE, PAGE), 0);
	must(s, "zero", word(map + 7 * RANGE), 0);
	must(s, "truncate", ftruncate(warm.fd, GIB / 2), 0);
	must(s, "past", try_read(map + GIB / 2), RAISED(SIGBUS, BUS_ADRERR));
	must(s, "inside", word(map + GIB / 2 - RANGE), RANGES / 2);
	must(s, "grow", ftruncate(warm.fd, GIB), 0);
	must(s, "empty", sum_of(map + GIB / 2, GIB / 2), 0);
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(remap, "SCM-6,SCM-10")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *moved;

	must(s, "shrink", mremap(map, GIB, GIB / 2, 0) == map, 1);
	must(s, "gone", try_read(map + GIB / 2), SEGV_UNMAPPED);
	must(s, "half", sum_of(map, GIB / 2), wanted_sum(0, GIB / 2));
	linked_ranges(s, "links_of_half", map, GIB, RANGES / 2);
	must(s, "grow", mremap(map, GIB / 2, GIB, 0) == map, 1);
	must(s, "whole", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, GIB, RANGES);
	moved = free_space(GIB);
	must(s, "move",
	     mremap(map, GIB, GIB, MREMAP_MAYMOVE | MREMAP_FIXED, moved) ==
		     moved,
	     1);
	must(s, "old", try_read(map), SEGV_UNMAPPED);
	must(s, "sum", sum_of(moved, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links_moved", moved, GIB, RANGES);
}

/* where addresses are congruent to the file modulo 2 MiB and not modulo a GiB */
SCENARIO(not_congruent, "SCM-6,SCM-10")
{
	struct warm warm = warm_file(s);
	char *at = warm.map - 8 * GIB + RANGE, *map;

	map = mmap(at, GIB, RW, MAP_FIXED | side_flags(s), warm.fd, 0);
	NEED(map == at);
	must(s, "sum", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, GIB, RANGES);
	linked_tables(s, "tables", ONE_TABLE * (RANGES + 1));
}

/* of 2 GiB from the middle of one on, the one in between is covered */
SCENARIO(more_than_one, "SCM-6")
{
	int fd = sparse_file(3 * GIB);
	char *map = map_gib(s, 2 * GIB, RW, fd, GIB / 2);

	must(s, "sum", sum_of(map, 2 * GIB),
	     wanted_sum(GIB / 2, 2 * GIB + GIB / 2));
	linked_ranges(s, "links", map, 2 * GIB, 2 * RANGES);
	linked_tables(s, "tables", ONE_TABLE * (RANGES + 1));
	must(s, "unmap", err(munmap(map, GIB)), 0);
	must(s, "left", sum_of(map + GIB, GIB),
	     wanted_sum(GIB + GIB / 2, 2 * GIB + GIB / 2));
	linked_ranges(s, "links_left", map + GIB, GIB, RANGES);
}

/* the kernel chooses an address at which that is possible */
SCENARIO(placed, "SCM-6")
{
	int fd = sparse_file(GIB);
	char *map = mmap(NULL, GIB, RW, side_flags(s), fd, 0);
	char *shared = mmap(NULL, GIB + RANGE, RW,
			    MAP_ANONYMOUS | side_flags(s), -1, 0);

	NEED(map != MAP_FAILED && shared != MAP_FAILED);
	sum_of(map, GIB);
	linked_tables(s, "file", ONE_TABLE);
	memset(shared, 1, PAGE);
	linked_tables(s, "anonymous", 2 * ONE_TABLE);
	linked_ranges(s, "links", shared, GIB, RANGES);
}

SCENARIO(reclaimed, "SCM-6,SCM-2")
{
	const char *cgroup = own_cgroup();
	struct warm warm = warm_file(s);
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	write_text(path, "64M");
	must(s, "sum", sum_of(warm.map, GIB), wanted_sum(0, GIB));
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(seen_by_a_tracer, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	uint64_t value = 0, other = 31;
	struct iovec local = { &value, 8 },
		     remote = { warm.map + 9 * RANGE, 8 };
	pid_t pid = fork();

	NEED(pid >= 0);
	if (!pid) {
		while (!warm.shared[0])
			usleep(1000);
		_exit(word(warm.map + 9 * RANGE) != 31);
	}
	must(s, "read", err(process_vm_readv(pid, &local, 1, &remote, 1, 0)),
	     8);
	must(s, "value", value, 10);
	local.iov_base = &other;
	must(s, "write", err(process_vm_writev(pid, &local, 1, &remote, 1, 0)),
	     8);
	warm.shared[0] = 1;
	must(s, "child", wait_status(pid), 0);
}

/* what a thread with a CPU of its own does until it is stopped */
struct spinner {
	struct side *side;
	volatile uint64_t *at;
	bool writes;
	volatile uint64_t turns;
	volatile uint64_t seen;
	volatile bool stop;
	volatile int raised;
	pthread_t thread;
};

static void spin(void *context)
{
	struct spinner *spinner = context;

	while (!spinner->stop) {
		if (spinner->writes)
			*spinner->at = spinner->turns;
		else
			spinner->seen = *spinner->at;
		spinner->turns++;
	}
}

static void *spin_main(void *context)
{
	struct spinner *spinner = context;

	pin(1);
	spinner->raised = try_call(spin, spinner) & 0xff;
	return NULL;
}

static void spin_start(struct spinner *spinner)
{
	pin(0);
	NEED(!pthread_create(&spinner->thread, NULL, spin_main, spinner));
	while (spinner->turns < 2000)
		sched_yield();
}

static void spin_soon(struct spinner *spinner)
{
	uint64_t from = spinner->turns;

	while (spinner->turns - from < 2000 && !spinner->raised)
		sched_yield();
}

static int spin_stop(struct spinner *spinner)
{
	spinner->stop = true;
	NEED(!pthread_join(spinner->thread, NULL));
	return spinner->raised;
}

SCENARIO(stale_after_punch, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	struct spinner spinner = {
		.at = (volatile uint64_t *)(warm.map + 20 * RANGE),
	};
	unsigned int good = 0;

	spin_start(&spinner);
	for (uint64_t i = 0; i < 30; i++) {
		uint64_t value = 500 + i;

		NEED(!punch_hole(warm.fd, 20 * RANGE, PAGE));
		spin_soon(&spinner);
		good += spinner.seen == 0;
		NEED(pwrite(warm.fd, &value, 8, 20 * RANGE) == 8);
		spin_soon(&spinner);
		good += spinner.seen == value;
	}
	must(s, "good", good, 60);
	must(s, "raised", spin_stop(&spinner), 0);
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(stale_after_protect, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	struct spinner spinner = {
		.at = (volatile uint64_t *)(warm.map + 20 * RANGE),
		.writes = true,
	};

	spin_start(&spinner);
	must(s, "protect", err(mprotect(warm.map, GIB, PROT_READ)), 0);
	spin_soon(&spinner);
	must(s, "raised", spin_stop(&spinner), SIGSEGV);
}

SCENARIO(stale_after_protect_elsewhere, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	struct spinner spinner = {
		.at = (volatile uint64_t *)(warm.map + 20 * RANGE),
		.writes = true,
	};
	unsigned int i;

	spin_start(&spinner);
	for (i = 0; i < 20; i++) {
		NEED(!mprotect(warm.map + 300 * RANGE, PAGE, PROT_READ));
		spin_soon(&spinner);
		NEED(!mprotect(warm.map + 300 * RANGE, PAGE, RW));
		NEED(!punch_hole(warm.fd, 20 * RANGE, PAGE));
		spin_soon(&spinner);
	}
	must(s, "raised", spin_stop(&spinner), 0);
	must(s, "last", word(warm.map + 20 * RANGE) == spinner.turns - 1, 1);
}

SCENARIO(stale_after_unmap, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	struct spinner spinner = {
		.at = (volatile uint64_t *)(warm.map + 20 * RANGE),
	};

	spin_start(&spinner);
	must(s, "unmap", err(munmap(warm.map, GIB)), 0);
	spin_soon(&spinner);
	must(s, "raised", spin_stop(&spinner), SIGSEGV);
	linked_tables(s, "tables", 0);
}

/* threads that touch, while another one changes what lies there */
struct storm {
	struct warm warm;
	volatile bool stop;
	volatile uint64_t bad;
};

static void *storm_main(void *context)
{
	struct storm *storm = context;
	unsigned int seed = (uintptr_t)&seed;

	while (!storm->stop) {
		size_t at = rand_r(&seed) % RANGES * RANGE;

		if (word(storm->warm.map + at) != at / RANGE + 1)
			storm->bad++;
	}
	return NULL;
}

SCENARIO(storm, "SCM-6,SCM-15")
{
	struct storm storm = { .warm = warm_file(s) };
	char *map = storm.warm.map;
	pthread_t threads[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		NEED(!pthread_create(&threads[i], NULL, storm_main, &storm));
	for (i = 0; i < 300; i++) {
		char *part = map + (i * 7 % RANGES) * RANGE;

		switch (i % 5) {
		case 0:
			NEED(!mprotect(map, GIB, i % 2 ? RW : PROT_READ));
			break;
		case 1:
			NEED(!mprotect(part + PAGE, PAGE, PROT_NONE));
			NEED(!mprotect(part + PAGE, PAGE, RW));
			NEED(!mprotect(map, GIB, RW));
			break;
		case 2:
			NEED(!madvise(part, RANGE, MADV_DONTNEED));
			break;
		case 3:
			NEED(mmap(map, GIB, RW, MAP_FIXED | side_flags(s),
				  storm.warm.fd, 0) == map);
			break;
		default:
			NEED(!munmap(part + PAGE, PAGE));
			NEED(mmap(part + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED,
				  storm.warm.fd,
				  part + PAGE - map) == part + PAGE);
			break;
		}
	}
	storm.stop = true;
	for (i = 0; i < 3; i++)
		NEED(!pthread_join(threads[i], NULL));
	must(s, "bad", storm.bad, 0);
	NEED(mmap(map, GIB, RW, MAP_FIXED | side_flags(s), storm.warm.fd, 0) ==
	     map);
	must(s, "sum", sum_of(map, GIB), wanted_sum(0, GIB));
	linked_ranges(s, "links", map, GIB, RANGES);
}

/* whoever walks the tables finds them as they were, while another one drops them */
static void *dontneed_main(void *context)
{
	struct storm *storm = context;

	while (!storm->stop) {
		madvise(storm->warm.map + 30 * RANGE, PAGE, MADV_DONTNEED);
		if (word(storm->warm.map + 31 * RANGE) != 32)
			storm->bad++;
	}
	return NULL;
}

static void *truncate_main(void *context)
{
	struct storm *storm = context;

	while (!storm->stop)
		punch_hole(storm->warm.fd, GIB - RANGE + PAGE, PAGE);
	return NULL;
}

#define READS 300

SCENARIO(readers_and_dontneed, "SCM-6")
{
	struct storm storm = { .warm = warm_file(s) };
	struct iovec local = { malloc(PAGE), PAGE }, remote = { NULL, PAGE };
	static unsigned char present[GIB / PAGE];
	pthread_t threads[2];
	unsigned int good = 0;

	NEED(local.iov_base);
	NEED(!pthread_create(&threads[0], NULL, dontneed_main, &storm));
	NEED(!pthread_create(&threads[1], NULL, truncate_main, &storm));
	for (unsigned int i = 0; i < READS; i++) {
		remote.iov_base = storm.warm.map + i % 500 * RANGE;
		good += process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
				(ssize_t)PAGE &&
			word(local.iov_base) == i % 500 + 1;
		if (i % 100 == 0)
			good -= mincore(storm.warm.map, GIB, present) != 0 ||
				smaps_kb(storm.warm.map, "Rss") < 0;
	}
	storm.stop = true;
	for (unsigned int i = 0; i < 2; i++)
		NEED(!pthread_join(threads[i], NULL));
	must(s, "good", good, READS);
	must(s, "bad", storm.bad, 0);
	linked_tables(s, "tables", ONE_TABLE);
}

SCENARIO(many_processes, "SCM-6,SCM-2,SCM-5")
{
	struct warm warm = warm_file(s);
	unsigned int good = 0, i;
	pid_t pids[32];

	for (i = 0; i < 32; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i])
			_exit(touch_all(&warm));
	}
	for (i = 0; i < 32; i++)
		good += wait_status(pids[i]) == 0;
	must(s, "good", good, 32);
	must(s, "sum", sum_of(warm.map, GIB), wanted_sum(0, GIB));
	linked_tables(s, "tables", ONE_TABLE);
}

TEST_HARNESS_MAIN
