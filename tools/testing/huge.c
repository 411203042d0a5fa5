// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of tmpfs in linked mappings: seen below a shared parent as in an ordinary
 * mapping, and page by page by whoever links less than a GiB.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "scenario.h"

#define WARM 6
#define RANGE_KB (int64_t)(RANGE / KIB)
#define PAGES (RANGE / PAGE)

/* kB that this mapping maps huge */
static int64_t huge_kb(const void *map)
{
	return smaps_kb(map, "ShmemPmdMapped");
}

static int huge_file(const char *options, size_t size)
{
	return file_in(mounted(options), 0, size);
}

/* a number in every page of the first ranges */
static void stamp_ranges(char *map, unsigned int ranges)
{
	stamp_all(map, ranges * RANGE);
}

struct warm {
	struct side *side;
	int fd;
	char *map;
};

/* the first ranges of a file that is mapped huge */
static struct warm warm_file(struct side *s)
{
	struct warm warm = { .side = s, .fd = huge_file("huge=always", GIB) };

	warm.map = map_gib(s, GIB, RW, warm.fd, 0);
	stamp_ranges(warm.map, WARM);
	must(s, "huge_before", huge_kb(warm.map), WARM * RANGE_KB);
	linked_ranges(s, "links_before", warm.map, GIB, RANGES);
	linked_tables(s, "tables_before", ONE_TABLE);
	return warm;
}

/* ranges, but for the page that is not counted, are as they were stamped */
static void unchanged(struct side *s, const char *name, const char *map)
{
	must(s, name, sum_all(map, WARM * RANGE), stamp_sum(0, WARM * RANGE));
}

/* a second place of this process, for less than a GiB: linked by a PMD entry */
static char *map_range(struct warm *warm, unsigned int range, int prot)
{
	return map_side(warm->side, RANGE, prot, warm->fd, range * RANGE);
}

static int read_all(void *context)
{
	struct warm *warm = context;
	char *map = map_gib(warm->side, GIB, RW, warm->fd, 0);
	int64_t before = minor_faults();
	uint64_t sum = sum_all(map, WARM * RANGE);
	int64_t faults = minor_faults() - before;

	if (sum != stamp_sum(0, WARM * RANGE))
		return 100;
	if (huge_kb(map) != WARM * RANGE_KB)
		return 101;
	return warm->side->linked && faults > 1 ? 102 : 0;
}

SCENARIO(below_a_parent, "SCM-6")
{
	struct warm warm = warm_file(s);

	must(s, "child", in_child(read_all, &warm), 0);
	unchanged(s, "sum", warm.map);
	must(s, "huge", huge_kb(warm.map), WARM * RANGE_KB);
	/* no leaf table, and a parent */
	must(s, "shared", s->linked ? smaps_kb(warm.map, "SharedPT") : 4, 4);
	must(s, "rss", smaps_kb(warm.map, "Rss"), WARM * RANGE_KB);
	must(s, "unmap", err(munmap(warm.map, GIB)), 0);
	linked_tables(s, "tables", 0);
}

/* the first ranges have leaf tables from a time before the pages were huge */
SCENARIO(tables_stay, "SCM-6")
{
	char *dir = mounted("huge=never");
	int fd = file_in(dir, 0, GIB);
	char *map = map_gib(s, GIB, RW, fd, 0);

	stamp_ranges(map, 2);
	NEED(!punch_hole(fd, 0, 2 * RANGE));
	NEED(!mount("none", dir, "tmpfs", MS_REMOUNT, "huge=always"));
	stamp_ranges(map, 3);
	must(s, "sum", sum_all(map, 3 * RANGE), stamp_sum(0, 3 * RANGE));
	must(s, "huge", huge_kb(map), RANGE_KB);
	linked_ranges(s, "links", map, GIB, RANGES);
}

SCENARIO(seen_by_a_small_link, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char *two = map_range(&warm, 2, RW);
	unsigned int good = 0;

	must(s, "first", word(two + 3 * PAGE), 2 * PAGES + 4);
	links(s, "links_of_two", two, "1");
	for (unsigned int i = 0; i < PAGES; i++) {
		set_word(two + i * PAGE, i + 1000);
		good += word(warm.map + 2 * RANGE + i * PAGE) == i + 1000;
		set_word(warm.map + 2 * RANGE + i * PAGE, 2 * PAGES + i + 1);
		good += word(two + i * PAGE) == 2 * PAGES + i + 1;
	}
	must(s, "good", good, 2 * PAGES);
	unchanged(s, "sum", warm.map);
	/* the ranges beside it are not concerned */
	must(s, "huge", huge_kb(warm.map) >= (WARM - 1) * RANGE_KB, 1);
	linked_tables(s, "tables", 2 * ONE_TABLE);
	must(s, "unmap", err(munmap(two, RANGE)), 0);
	unchanged(s, "sum_after", warm.map);
}

/* a small link is the first to touch */
SCENARIO(small_link_first, "SCM-6,SCM-2")
{
	int fd = huge_file("huge=always", GIB);
	char *two = map_side(s, RANGE, RW, fd, 0), *map;

	stamp_ranges(two, 1);
	links(s, "links_of_two", two, "1");
	map = map_gib(s, GIB, RW, fd, 0);
	must(s, "sum", sum_all(map, RANGE), stamp_sum(0, RANGE));
	set_word(map + RANGE, 7);
	must(s, "huge", huge_kb(map) >= RANGE_KB, 1);
	linked_ranges(s, "links", map, GIB, RANGES);
}

/* who may only read sees what is written meanwhile */
SCENARIO(read_only_small_link, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	char *two = map_range(&warm, 1, PROT_READ);

	must(s, "read", word(two), PAGES + 1);
	must(s, "denied", try_write(two, 1), SEGV_DENIED);
	must(s, "write", try_write(warm.map + RANGE, 5), 0);
	must(s, "seen", word(two), 5);
	linked_ranges(s, "links", two, RANGE, 1);
}

SCENARIO(protect_whole, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, RW, warm.fd, 0);

	unchanged(s, "sum", two);
	must(s, "protect", err(mprotect(two, GIB, PROT_READ)), 0);
	must(s, "denied", try_write(two + RANGE, 1), SEGV_DENIED);
	must(s, "other", try_write(warm.map + RANGE, 5), 0);
	must(s, "seen", word(two + RANGE), 5);
	must(s, "huge", huge_kb(two), WARM * RANGE_KB);
	must(s, "again", err(mprotect(two, GIB, RW)), 0);
	must(s, "allowed", try_write(two + RANGE, PAGES + 1), 0);
	unchanged(s, "sum_after", warm.map);
	must(s, "huge_after", huge_kb(warm.map), WARM * RANGE_KB);
}

SCENARIO(protect_part, "SCM-6,SCM-15,SCM-17")
{
	struct warm warm = warm_file(s);
	char *part = warm.map + 2 * RANGE + 5 * PAGE;

	must(s, "protect", err(mprotect(part, PAGE, PROT_READ)), 0);
	must(s, "denied", try_write(part, 1), SEGV_DENIED);
	must(s, "before", try_write(part - PAGE, 2 * PAGES + 5), 0);
	unchanged(s, "sum", warm.map);
	must(s, "again", err(mprotect(part, PAGE, RW)), 0);
	must(s, "allowed", try_write(part, 2 * PAGES + 6), 0);
	unchanged(s, "sum_again", warm.map);
	linked_ranges(s, "links", warm.map, WARM * RANGE, WARM);
}

/* FOLL_FORCE reads what nobody may access */
SCENARIO(forced, "SCM-6,SCM-15")
{
	struct warm warm = warm_file(s);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint64_t value = 0;

	NEED(mem >= 0);
	must(s, "none", err(mprotect(warm.map, GIB, PROT_NONE)), 0);
	must(s, "unreadable", try_read(warm.map + RANGE), SEGV_DENIED);
	must(s, "forced",
	     err(pread(mem, &value, 8, (uintptr_t)warm.map + RANGE + PAGE)), 8);
	must(s, "value", value, PAGES + 2);
	must(s, "again", err(mprotect(warm.map, GIB, RW)), 0);
	unchanged(s, "sum", warm.map);
}

/* O_DIRECT takes pages by the lockless walk */
SCENARIO(direct_io, "SCM-6,SCM-15")
{
	int disk = direct_file(4 * PAGE, 5000);
	struct warm warm = warm_file(s);
	char *two = map_gib(s, GIB, PROT_READ, warm.fd, 0);

	unchanged(s, "sum", two);
	must(s, "denied", err(pread(disk, two + RANGE, PAGE, 0)), -EFAULT);
	must(s, "unchanged", word(warm.map + RANGE), PAGES + 1);
	must(s, "allowed", pread(disk, warm.map + RANGE, 4 * PAGE, 0),
	     4 * PAGE);
	must(s, "arrived", word(two + RANGE + 3 * PAGE), 5004);
	must(s, "huge", huge_kb(two), WARM * RANGE_KB);
}

SCENARIO(punched, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char *map = warm.map, *two = map_gib(s, GIB, RW, warm.fd, 0);

	unchanged(s, "sum", two);
	must(s, "page", punch_hole(warm.fd, RANGE + 3 * PAGE, PAGE), 0);
	must(s, "zero", word(map + RANGE + 3 * PAGE), 0);
	must(s, "zero_too", word(two + RANGE + 3 * PAGE), 0);
	must(s, "beside", word(map + RANGE + 4 * PAGE), PAGES + 5);
	must(s, "range", punch_hole(warm.fd, 3 * RANGE, RANGE), 0);
	must(s, "zeros", sum_all(two + 3 * RANGE, RANGE), 0);
	must(s, "truncate", err(ftruncate(warm.fd, 5 * RANGE + PAGE)), 0);
	must(s, "past", try_read(two + 5 * RANGE + PAGE),
	     RAISED(SIGBUS, BUS_ADRERR));
	must(s, "inside", word(two + 5 * RANGE), 5 * PAGES + 1);
	must(s, "grow", err(ftruncate(warm.fd, GIB)), 0);
	must(s, "empty", word(map + 5 * RANGE + PAGE), 0);
	linked_ranges(s, "links", map, GIB, RANGES);
}

static int write_in_child(void *context)
{
	struct warm *warm = context;

	if (sum_all(warm->map, WARM * RANGE) != stamp_sum(0, WARM * RANGE))
		return 100;
	if (huge_kb(warm->map) != WARM * RANGE_KB)
		return 101;
	set_word(warm->map + 4 * RANGE, 44);
	return 0;
}

/* a program's access and a system call's to where the file may have ended */
static void both_end(struct side *s, const char *name, char *at)
{
	int pipes[2], done = try_write(at, 7);
	char full[64];

	snprintf(full, sizeof(full), "%s_access", name);
	must(s, full, !done || done == RAISED(SIGBUS, BUS_ADRERR), 1);
	NEED(!pipe2(pipes, O_CLOEXEC));
	done = err(write(pipes[1], at + 1, 1));
	snprintf(full, sizeof(full), "%s_call", name);
	must(s, full, done == 1 || done == -EFAULT, 1);
	close(pipes[0]);
	close(pipes[1]);
}

/* the last page is there as a whole, and so is the huge page that it is part of */
SCENARIO(last_page, "SCM-6,SCM-2")
{
	int fd = huge_file("huge=always", 100);
	char *map = map_side(s, RANGE, RW, fd, 0);

	must(s, "write", try_write(map + 200, 5), 0);
	must(s, "read", word(map + 200), 5);
	must(s, "inside", word(map), 0);
	both_end(s, "page", map + 400);
	both_end(s, "behind", map + 5 * PAGE);
	links(s, "links", map, "1");
}

/* who links a GiB has mapped it huge across the end */
SCENARIO(across_the_end, "SCM-6,SCM-2")
{
	int fd = huge_file("huge=always", RANGE + PAGE);
	char *map = map_gib(s, GIB, RW, fd, 0), *small;

	set_word(map + RANGE, 3);
	must(s, "huge", huge_kb(map), RANGE_KB);
	small = map_side(s, RANGE, RW, fd, RANGE);
	both_end(s, "behind", small + 5 * PAGE);
	must(s, "seen", word(small), 3);
	links(s, "links", small, "1");
}

/* a file that is not to have huge pages has got one, from a page to behind its end */
SCENARIO(collapsed_across_the_end, "SCM-6,SCM-2")
{
	int fd = huge_file("huge=never", PAGE);
	char *own = mmap(free_space(RANGE), RANGE, RW, MAP_SHARED | MAP_FIXED,
			 fd, 0),
	     *map;

	NEED(own != MAP_FAILED);
	set_word(own, 8);
	must(s, "collapse", err(madvise(own, RANGE, MADV_COLLAPSE)), 0);
	map = map_side(s, RANGE, RW, fd, 0);
	both_end(s, "behind", map + PAGE);
	must(s, "seen", word(map), 8);
	links(s, "links", map, "1");
}

SCENARIO(fork_child, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);

	must(s, "child", in_child(write_in_child, &warm), 0);
	must(s, "seen", word(warm.map + 4 * RANGE), 44);
	must(s, "huge", huge_kb(warm.map), WARM * RANGE_KB);
}

/* reclaim takes a huge page apart */
SCENARIO(reclaimed, "SCM-6,SCM-2")
{
	const char *cgroup = own_cgroup();
	struct warm warm = warm_file(s);
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	write_text(path, "64M");
	must(s, "less", smaps_kb(warm.map, "Rss") < WARM * RANGE_KB, 1);
	unchanged(s, "sum", warm.map);
	linked_ranges(s, "links", warm.map, GIB, RANGES);
}

/* a folio is split and moved while it is mapped huge */
SCENARIO(a_page_moves, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);

	must(s, "offline",
	     err(madvise(warm.map + RANGE + 7 * PAGE, PAGE, MADV_SOFT_OFFLINE)),
	     0);
	unchanged(s, "sum", warm.map);
	must(s, "write", try_write(warm.map + RANGE + 7 * PAGE, 9), 0);
	must(s, "seen", word(warm.map + RANGE + 7 * PAGE), 9);
	linked_ranges(s, "links", warm.map, GIB, RANGES);
}

SCENARIO(split_by_debugfs, "SCM-6,SCM-2")
{
	struct warm warm = warm_file(s);
	char command[128];

	snprintf(command, sizeof(command), "%d,0x%lx,0x%lx", getpid(),
		 (unsigned long)warm.map,
		 (unsigned long)warm.map + WARM * RANGE);
	NEED(!write_text("/sys/kernel/debug/split_huge_pages", command));
	must(s, "split", huge_kb(warm.map) < WARM * RANGE_KB, 1);
	unchanged(s, "sum", warm.map);
	stamp_ranges(warm.map, WARM);
	unchanged(s, "sum_again", warm.map);
	linked_ranges(s, "links", warm.map, GIB, RANGES);
}

SCENARIO(locked, "SCM-6,SCM-3")
{
	struct warm warm = warm_file(s);

	must(s, "lock", err(mlock(warm.map, WARM * RANGE)), 0);
	unchanged(s, "sum", warm.map);
	must(s, "huge", huge_kb(warm.map) >= WARM * RANGE_KB, 1);
}

SCENARIO(moved, "SCM-6,SCM-10")
{
	struct warm warm = warm_file(s);
	char *to =
		(char *)((uintptr_t)free_space(4 * GIB) & -GIB) + GIB + RANGE;

	must(s, "move",
	     mremap(warm.map, GIB, GIB, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
		     to,
	     1);
	unchanged(s, "sum", to);
	set_word(to + 20 * RANGE, 6);
	must(s, "written", word(to + 20 * RANGE), 6);
	linked_ranges(s, "links", to, WARM * RANGE, WARM);
}

/* pages that are small become huge by request, and keep their contents */
SCENARIO(collapsed, "SCM-6,SCM-2")
{
	int fd = huge_file("huge=advise", GIB);
	char *map = map_gib(s, GIB, RW, fd, 0);
	char *two = map_ordinary(RANGE, RW, fd, 0);

	stamp_ranges(map, 1);
	must(s, "small", huge_kb(map), 0);
	must(s, "collapse", err(madvise(two, RANGE, MADV_COLLAPSE)), 0);
	must(s, "sum", sum_all(map, RANGE), stamp_sum(0, RANGE));
	must(s, "collapse_linked", err(madvise(map, RANGE, MADV_COLLAPSE)), 0);
	must(s, "sum_linked", sum_all(map, RANGE), stamp_sum(0, RANGE));
	set_word(two, 77);
	must(s, "seen", word(map), 77);
	linked_ranges(s, "links", map, GIB, RANGES);
}

/* advice of one is for all: of a unit there is one table */
SCENARIO(advised, "SCM-6")
{
	int fd = huge_file("huge=advise", GIB);
	char *map = map_gib(s, GIB, RW, fd, 0), *small;

	stamp_ranges(map, 1);
	must(s, "before", huge_kb(map), 0);
	must(s, "advise", err(madvise(map, GIB, MADV_HUGEPAGE)), 0);
	set_word(map + RANGE, 1);
	must(s, "after", huge_kb(map), RANGE_KB);
	linked_ranges(s, "links", map, GIB, RANGES);

	small = map_side(s, 2 * RANGE, RW, fd, 8 * RANGE);
	must(s, "advise_small", err(madvise(small, 2 * RANGE, MADV_HUGEPAGE)),
	     0);
	set_word(small, 1);
	set_word(small + RANGE, 1);
	must(s, "huge", huge_kb(small), 2 * RANGE_KB);
	links(s, "left", small, "00");
}

/* whoever did not ask for this mapping loses no huge page: what no parent serves */
SCENARIO_LINKED(spared, "SCM-6,SCM-3")
{
	int fd = huge_file("huge=always", GIB + 4 * RANGE);
	char *small, *space, *map;

	NEED(!scome_set(SCOME_ON, RANGE));
	small = mmap(NULL, 2 * RANGE, RW, MAP_SHARED, fd, 0);
	NEED(small != MAP_FAILED);
	stamp_ranges(small, 2);
	links(s, "small", small, "00");
	must(s, "small_is_huge", huge_kb(small), 2 * RANGE_KB);

	space = (char *)(((uintptr_t)free_space(6 * GIB) + GIB) & -GIB);
	map = mmap(space, GIB + 2 * RANGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	NEED(map == space);
	must(s, "sum", sum_all(map, 2 * RANGE), stamp_sum(0, 2 * RANGE));
	stamp_all(map + GIB, 2 * RANGE);
	linked_ranges(s, "whole", map, GIB, RANGES);
	links(s, "tail", map + GIB, "00");
	must(s, "tail_is_huge", huge_kb(map + GIB), 2 * RANGE_KB);
	must(s, "head_is_huge", huge_kb(map), 2 * RANGE_KB);

	/* between GiBs: none is covered */
	space += 2 * GIB + GIB / 2;
	map = mmap(space, GIB, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	NEED(map == space);
	must(s, "sum_between", sum_all(map, 2 * RANGE),
	     stamp_sum(0, 2 * RANGE));
	linked_ranges(s, "between", map, GIB, 0);
	must(s, "between_is_huge", huge_kb(map), 2 * RANGE_KB);
}

/* what is ordinary from the start merges and grows as ordinary mappings do */
SCENARIO(spared_from_the_start, "SCM-3")
{
	int fd = huge_file("huge=always", 8 * RANGE);
	char *place = free_space(4 * RANGE), *map;
	int64_t units = s->linked ? scome_counter("units") : 0;

	if (s->linked)
		NEED(!scome_set(SCOME_ON, RANGE));
	map = mmap(place, RANGE, RW, MAP_SHARED | MAP_FIXED, fd, 0);
	NEED(map == place);
	NEED(mmap(place + RANGE, RANGE, RW, MAP_SHARED | MAP_FIXED, fd,
		  RANGE) == place + RANGE);
	stamp_ranges(map, 2);
	must(s, "one_mapping", smaps_kb(map, "Size"), 2 * RANGE_KB);
	must(s, "grows", mremap(map, 2 * RANGE, 3 * RANGE, 0) == map, 1);
	must(s, "huge", huge_kb(map), 2 * RANGE_KB);
	must(s, "units", (s->linked ? scome_counter("units") : 0) - units, 0);
}

/* one's advice makes the unit huge: then a mapping of another has it to lose, too */
SCENARIO_LINKED(spared_after_advice, "SCM-6,SCM-3")
{
	int fd = huge_file("huge=advise", GIB);
	char *map = map_gib(s, GIB, RW, fd, 0), *small;

	must(s, "advise", err(madvise(map, GIB, MADV_HUGEPAGE)), 0);
	stamp_ranges(map, 2);
	must(s, "huge", huge_kb(map), 2 * RANGE_KB);
	NEED(!scome_set(SCOME_ON, RANGE));
	small = mmap(NULL, RANGE, RW, MAP_SHARED, fd, 0);
	NEED(small != MAP_FAILED);
	must(s, "sum", sum_all(small, RANGE), stamp_sum(0, RANGE));
	links(s, "small", small, "0");
	must(s, "huge_after", huge_kb(map), 2 * RANGE_KB);
}

/* who may not write to the file advises nobody but itself */
SCENARIO(advised_by_a_reader, "SCM-6,SCM-15")
{
	int fd = huge_file("huge=advise", GIB);
	char *map = map_gib(s, GIB, RW, fd, 0);
	char *two = map_gib(s, GIB, PROT_READ, reopen(fd, O_RDONLY), 0);

	must(s, "advise", err(madvise(two, GIB, MADV_HUGEPAGE)), 0);
	stamp_ranges(map, 1);
	must(s, "sum", sum_all(two, RANGE), stamp_sum(0, RANGE));
	must(s, "huge", huge_kb(map), 0);
	linked_ranges(s, "links", two, GIB, RANGES);
}

/* advice for a part concerns that part; the rest of a mapping stays what it is */
SCENARIO(advised_in_part, "SCM-6")
{
	int fd = huge_file("huge=advise", 4 * RANGE);
	char *map = map_side(s, 4 * RANGE, RW, fd, 0);

	stamp_ranges(map, 1);
	must(s, "advise",
	     err(madvise(map + 2 * RANGE, 2 * RANGE, MADV_HUGEPAGE)), 0);
	stamp_all(map, 4 * RANGE);
	must(s, "huge", huge_kb(map + 2 * RANGE), 2 * RANGE_KB);
	must(s, "sum", sum_all(map, 4 * RANGE), stamp_sum(0, 4 * RANGE));
	relinks(s, "links", map, "1100");
}

/* with small pages there is nothing to lose */
SCENARIO_LINKED(nothing_to_spare, "SCM-6,SCM-3")
{
	int fd = huge_file("huge=never", 2 * RANGE);
	char *map;

	NEED(!scome_set(SCOME_ON, RANGE));
	map = mmap(NULL, 2 * RANGE, RW, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED);
	stamp_ranges(map, 2);
	links(s, "small", map, "11");
}

/* two who touch the same range for the first time, one of them by a small link */
struct meeting {
	struct warm warm;
	_Atomic(unsigned int) turn, arrived;
	unsigned int bad;
};

#define MEETINGS 60

static void meet(struct meeting *meeting, unsigned int turn)
{
	meeting->arrived++;
	while (meeting->turn < turn) {
		unsigned int all = 2 * turn;

		if (meeting->arrived == all)
			meeting->turn = turn;
		sched_yield();
	}
}

static void *meet_small(void *context)
{
	struct meeting *meeting = context;

	for (unsigned int i = 0; i < MEETINGS; i++) {
		unsigned int range = WARM + i;
		char *two = map_range(&meeting->warm, range, RW);

		meet(meeting, 2 * i + 1);
		for (unsigned int page = 0; page < PAGES; page += 2)
			set_word(two + page * PAGE, range * PAGES + page);
		meet(meeting, 2 * i + 2);
		for (unsigned int page = 0; page < PAGES; page++)
			if (word(two + page * PAGE) != range * PAGES + page)
				meeting->bad++;
		NEED(!munmap(two, RANGE));
	}
	return NULL;
}

SCENARIO(met_at_the_first_touch, "SCM-6,SCM-2")
{
	struct meeting meeting = { .warm = warm_file(s) };
	unsigned int bad = 0;
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, meet_small, &meeting));
	for (unsigned int i = 0; i < MEETINGS; i++) {
		unsigned int range = WARM + i;
		char *map = meeting.warm.map + range * RANGE;

		meet(&meeting, 2 * i + 1);
		for (unsigned int page = 1; page < PAGES; page += 2)
			set_word(map + page * PAGE, range * PAGES + page);
		meet(&meeting, 2 * i + 2);
		for (unsigned int page = 0; page < PAGES; page++)
			if (word(map + page * PAGE) != range * PAGES + page)
				bad++;
	}
	NEED(!pthread_join(thread, NULL));
	must(s, "bad", bad + meeting.bad, 0);
	unchanged(s, "sum", meeting.warm.map);
}

/* threads that touch, while others take pages away and look through small links */
struct storm {
	struct warm warm;
	volatile bool stop;
	_Atomic(uint64_t) bad;
};

static void *storm_reads(void *context)
{
	struct storm *storm = context;
	unsigned int seed = (uintptr_t)&seed;

	while (!storm->stop) {
		size_t page = rand_r(&seed) % (WARM * PAGES);
		uint64_t value = word(storm->warm.map + page * PAGE);

		/* or it has been punched, and is not written yet */
		if (value != page + 1 && value)
			storm->bad++;
	}
	return NULL;
}

static void *storm_links(void *context)
{
	struct storm *storm = context;
	unsigned int seed = (uintptr_t)&seed;

	while (!storm->stop) {
		unsigned int range = rand_r(&seed) % WARM;
		char *two = map_range(&storm->warm, range, PROT_READ);
		size_t page = rand_r(&seed) % PAGES;
		uint64_t value = word(two + page * PAGE);

		if (value && value != range * PAGES + page + 1)
			storm->bad++;
		NEED(!munmap(two, RANGE));
	}
	return NULL;
}

SCENARIO(storm, "SCM-6,SCM-2,SCM-15")
{
	struct storm storm = { .warm = warm_file(s) };
	char *map = storm.warm.map;
	pthread_t threads[3];
	char command[128];

	NEED(!pthread_create(&threads[0], NULL, storm_reads, &storm));
	NEED(!pthread_create(&threads[1], NULL, storm_links, &storm));
	NEED(!pthread_create(&threads[2], NULL, storm_reads, &storm));
	snprintf(command, sizeof(command), "%d,0x%lx,0x%lx", getpid(),
		 (unsigned long)map, (unsigned long)map + WARM * RANGE);
	for (unsigned int i = 0; i < 60; i++) {
		size_t at = i * 7 % WARM * RANGE;

		switch (i % 4) {
		case 0:
			NEED(!punch_hole(storm.warm.fd, at, RANGE));
			for (size_t page = 0; page < PAGES; page++)
				set_word(map + at + page * PAGE,
					 at / PAGE + page + 1);
			break;
		case 1:
			NEED(!mprotect(map, GIB, PROT_READ));
			NEED(!mprotect(map, GIB, RW));
			break;
		case 2:
			write_text("/sys/kernel/debug/split_huge_pages",
				   command);
			break;
		default:
			madvise(map + at, RANGE, MADV_PAGEOUT);
			break;
		}
	}
	storm.stop = true;
	for (unsigned int i = 0; i < 3; i++)
		NEED(!pthread_join(threads[i], NULL));
	must(s, "bad", storm.bad, 0);
	unchanged(s, "sum", map);
	linked_ranges(s, "links", map, GIB, RANGES);
}

TEST_HARNESS_MAIN
