// SPDX-License-Identifier: GPL-2.0
/* Swap, memory limits, migration, collapse, and what /proc says about pages. */
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/swap.h>

#include "scenario.h"

#define SIZE (16 * MIB)
#define ALL "11111111"

static char *touched(struct side *s, int fd)
{
	char *map = map_side(s, SIZE, RW, fd, 0);

	stamp_all(map, SIZE);
	links(s, "links_before", map, ALL);
	return map;
}

/* pages of the mapping that this process's entries have: present, or not there */
static unsigned int present_pages(const char *map, size_t size)
{
	unsigned int present = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entries[SIZE / PAGE];

	NEED(fd >= 0 && size <= SIZE);
	NEED(pread(fd, entries, size / PAGE * 8, (uintptr_t)map / PAGE * 8) ==
	     (ssize_t)(size / PAGE * 8));
	close(fd);
	for (size_t i = 0; i < size / PAGE; i++)
		present += entries[i] >> 63;
	return present;
}

static int64_t cgroup_write(const char *cgroup, const char *file,
			    const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return write_text(path, text);
}

static int64_t cgroup_number(const char *cgroup, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return read_number(path);
}

SCENARIO(swap_out_and_in, "SCM-2,SCM-5")
{
	const char *cgroup = own_cgroup();
	char *map = touched(s, memory_file(SIZE)), *other;
	int64_t reclaim;

	reclaim = cgroup_write(cgroup, "memory.reclaim", "8M");
	must(s, "reclaim", reclaim == 0 || reclaim == -EAGAIN, 1);
	must_in_memory(s, "swapped",
		       cgroup_number(cgroup, "memory.swap.current") >=
			       (int64_t)(6 * MIB),
		       1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, ALL);
	stamp_all(map, SIZE);
	other = map_side(s, SIZE, PROT_READ, memory_file(SIZE), 0);
	must(s, "other_file", sum_all(other, SIZE), 0);
}

SCENARIO(swap_two_mappings, "SCM-2")
{
	const char *cgroup = own_cgroup();
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *two = map_side(s, SIZE, RW, fd, 0);

	sum_all(two, SIZE);
	for (unsigned int i = 0; i < 3; i++) {
		cgroup_write(cgroup, "memory.reclaim", "12M");
		set_word(two + 5 * MIB + i * PAGE, 5000 + i);
	}
	must(s, "swapped", cgroup_number(cgroup, "memory.swap.current") > 0, 1);
	must(s, "one", word(map + 5 * MIB + 2 * PAGE), 5002);
	must(s, "sums_agree", sum_all(map, SIZE) == sum_all(two, SIZE), 1);
	relinks(s, "links", map, ALL);
	relinks(s, "links_two", two, ALL);
}

SCENARIO(pageout, "SCM-2,SCM-5")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd);
	unsigned int present;

	must(s, "madvise", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	present = present_pages(map, SIZE);
	must(s, "mostly_out", present < SIZE / PAGE / 2, 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, ALL);
	must(s, "present", present_pages(map, SIZE), SIZE / PAGE);
}

SCENARIO(pageout_by_one_of_two, "SCM-5")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *two = map_side(s, SIZE, RW, fd, 0);

	sum_all(two, SIZE);
	must(s, "madvise", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	must(s, "two", sum_all(two, SIZE), stamp_sum(0, SIZE));
	set_word(two + MIB, 5);
	must(s, "coherent", word(map + MIB), 5);
	relinks(s, "links", map, ALL);
	relinks(s, "links_two", two, ALL);
}

SCENARIO(memory_limit, "SCM-2")
{
	const char *cgroup = own_cgroup();
	int fd = memory_file(SIZE);
	char *map = touched(s, fd);

	must(s, "limit", cgroup_write(cgroup, "memory.max", "10M"), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	if (!files_on_disk())
		must(s, "swapped",
		     cgroup_number(cgroup, "memory.swap.current") > 0, 1);
	relinks(s, "links", map, ALL);
}

SCENARIO(swapoff_brings_back, "SCM-2")
{
	char *map = touched(s, memory_file(SIZE));

	must(s, "madvise", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	must(s, "swapoff", err(swapoff("/dev/zram0")), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "swapon", err(swapon("/dev/zram0", 0)), 0);
	relinks(s, "links", map, ALL);
}

/* khugepaged's work through an ordinary mapping of the file, at once */
SCENARIO(collapse_through_ordinary, "SCM-5,SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *ordinary = map_ordinary(SIZE, RW, fd, 0);
	uint64_t value = 0;

	sum_all(ordinary, SIZE);
	see(s, "collapse", err(madvise(ordinary, SIZE, MADV_COLLAPSE)));
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(ordinary + MIB, 5);
	must(s, "ordinary_to_side", word(map + MIB), 5);
	set_word(map + 3 * MIB, 6);
	must(s, "side_to_ordinary", word(ordinary + 3 * MIB), 6);
	must(s, "pread",
	     pread(fd, &value, sizeof(value), 3 * MIB) == sizeof(value) ?
		     value :
		     0,
	     6);
	relinks(s, "links", map, ALL);
	must(s, "munmap", err(munmap(ordinary, SIZE)), 0);
	must(s, "after", sum_all(map, MIB), stamp_sum(0, MIB));
	stamp_all(map, SIZE);
	must(s, "sum_after", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(collapse_itself, "SCM-5")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *two = map_side(s, SIZE, RW, fd, 0);

	sum_all(two, SIZE);
	madvise(map, SIZE, MADV_COLLAPSE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + MIB, 5);
	must(s, "coherent", word(two + MIB), 5);
	set_word(two + 3 * MIB, 6);
	must(s, "coherent_back", word(map + 3 * MIB), 6);
}

SCENARIO(collapse_then_split, "SCM-5")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *ordinary = map_ordinary(SIZE, RW, fd, 0);

	sum_all(ordinary, SIZE);
	madvise(ordinary, SIZE, MADV_COLLAPSE);
	sum_all(map, SIZE);
	must(s, "punch",
	     err(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   3 * MIB, PAGE)),
	     0);
	must(s, "zero", word(map + 3 * MIB), 0);
	must(s, "beside", word(map + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	must(s, "pageout", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	set_word(map + 3 * MIB, 3 * MIB / PAGE + 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, ALL);
}

SCENARIO(linked_to_huge_file, "SCM-5")
{
	int fd = memory_file(SIZE);
	char *ordinary = map_ordinary(SIZE, RW, fd, 0), *map;

	stamp_all(ordinary, SIZE);
	see(s, "collapse", err(madvise(ordinary, SIZE, MADV_COLLAPSE)));
	map = map_side(s, SIZE, RW, fd, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + 5 * MIB, 7);
	must(s, "coherent", word(ordinary + 5 * MIB), 7);
	set_word(ordinary + 7 * MIB, 8);
	must(s, "coherent_back", word(map + 7 * MIB), 8);
	relinks(s, "links", map, ALL);
}

SCENARIO(pagemap, "SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "empty", present_pages(map, SIZE), 0);
	for (size_t at = 0; at < SIZE; at += 8 * PAGE)
		set_word(map + at, 1);
	must(s, "some", present_pages(map, SIZE), SIZE / PAGE / 8);
	must(s, "punch",
	     err(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			   RANGE)),
	     0);
	must(s, "less", present_pages(map, SIZE), (SIZE - RANGE) / PAGE / 8);
}

/* of <linux/fs.h>, which Debian 12's headers do not have yet */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_argument {
	uint64_t size, flags, start, end, walk_end, regions, length, most_pages;
	uint64_t inverted, mask, any, returned;
};

#define SCAN_PRESENT (1 << 3)
#define PAGEMAP_SCAN_IOCTL _IOWR('f', 16, struct scan_argument)

SCENARIO(pagemap_scan, "SCM-6")
{
	struct scan_region regions[8] = { 0 };
	int fd = memory_file(SIZE),
	    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *map = map_side(s, SIZE, RW, fd, 0);
	struct scan_argument argument = {
		.size = sizeof(argument),
		.start = (uintptr_t)map,
		.end = (uintptr_t)map + SIZE,
		.regions = (uintptr_t)regions,
		.length = 8,
		.mask = SCAN_PRESENT,
		.returned = SCAN_PRESENT,
	};

	for (size_t at = 3 * MIB; at < 5 * MIB; at += PAGE)
		set_word(map + at, 1);
	must(s, "found", err(ioctl(pagemap, PAGEMAP_SCAN_IOCTL, &argument)), 1);
	must(s, "start", regions[0].start - (uintptr_t)map, 3 * MIB);
	must(s, "stops_at", regions[0].end - (uintptr_t)map, 5 * MIB);
	must(s, "walked", argument.walk_end - (uintptr_t)map, SIZE);
}

static void clear_refs(struct side *s, const char *how, const char *wanted)
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd), *two = map_side(s, SIZE, RW, fd, 0);

	sum_all(two, SIZE);
	must(s, "write", write_text("/proc/self/clear_refs", how), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + MIB, 5);
	must(s, "coherent", word(two + MIB), 5);
	relinks(s, "links", map, wanted);
}

SCENARIO(clear_refs_all, "SCM-6")
{
	clear_refs(s, "1", ALL);
}

SCENARIO(clear_refs_anonymous, "SCM-6")
{
	clear_refs(s, "2", ALL);
}

SCENARIO(clear_refs_mapped, "SCM-6")
{
	clear_refs(s, "3", ALL);
}

SCENARIO(clear_refs_peak, "SCM-6")
{
	clear_refs(s, "5", ALL);
}

static bool soft_dirty(const char *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	NEED(fd >= 0 && pread(fd, &entry, 8, (uintptr_t)at / PAGE * 8) == 8);
	close(fd);
	return entry >> 55 & 1;
}

/* soft-dirty is a process's own view of a page: it leaves */
SCENARIO(clear_refs_soft_dirty, "SCM-6,SCM-16")
{
	int fd = memory_file(SIZE);
	char *map = touched(s, fd);

	must(s, "dirty", soft_dirty(map + MIB), 1);
	must(s, "write", write_text("/proc/self/clear_refs", "4"), 0);
	must(s, "clean", soft_dirty(map + MIB), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	see(s, "read_is_clean", soft_dirty(map + 3 * MIB));
	set_word(map + MIB, 5);
	must(s, "dirty_again", soft_dirty(map + MIB), 1);
	must(s, "other_clean", soft_dirty(map + 5 * MIB), 0);
	relinks(s, "links", map, "00000000");
}

SCENARIO(move_pages_query, "SCM-6")
{
	char *map = touched(s, memory_file(SIZE));
	void *pages[3] = { map, map + 3 * MIB, map + 5 * MIB + PAGE };
	int status[3] = { -99, -99, -99 };

	must(s, "call",
	     err(syscall(SYS_move_pages, 0, 3, pages, NULL, status, 0)), 0);
	must(s, "on_nodes", status[0] >= 0 && status[1] >= 0 && status[2] >= 0,
	     1);
	relinks(s, "links", map, ALL);
}

static int node_of(void *page)
{
	int status = -99;

	NEED(!syscall(SYS_move_pages, 0, 1, &page, NULL, &status, 0));
	return status;
}

SCENARIO(move_pages_moves, "SCM-5,SCM-6")
{
	int fd = memory_file(SIZE), nodes[2], status[2] = { -99, -99 };
	char *map = touched(s, fd), *two = map_side(s, SIZE, RW, fd, 0);
	void *pages[2] = { map + 3 * MIB, map + 3 * MIB + PAGE };

	sum_all(two, SIZE);
	nodes[0] = nodes[1] = !node_of(pages[0]);
	/* mapped twice by this process: only with MPOL_MF_MOVE_ALL on the ordinary side */
	must(s, "call",
	     err(syscall(SYS_move_pages, 0, 2, pages, nodes, status,
			 MPOL_MF_MOVE_ALL)),
	     0);
	must(s, "status", status[0], nodes[0]);
	must(s, "node", node_of(pages[1]), nodes[1]);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + 3 * MIB, 5);
	must(s, "coherent", word(two + 3 * MIB), 5);
	relinks(s, "links", map, ALL);
}

SCENARIO(migrate_pages_all, "SCM-5")
{
	unsigned long from, to;
	char *map = touched(s, memory_file(SIZE));
	int node = node_of(map + MIB);

	from = 1UL << node;
	to = 1UL << !node;
	must(s, "call",
	     err(syscall(SYS_migrate_pages, 0, 8UL, &from, &to)) >= 0, 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	stamp_all(map, SIZE);
	relinks(s, "links", map, ALL);
}

SCENARIO(mbind_whole, "SCM-5,SCM-6")
{
	char *map = touched(s, memory_file(SIZE));
	unsigned long mask = 1UL << !node_of(map + MIB);

	must(s, "mbind",
	     err(syscall(SYS_mbind, map, SIZE, MPOL_BIND, &mask, 8UL,
			 MPOL_MF_MOVE)),
	     0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "node", 1UL << node_of(map + MIB), mask);
	stamp_all(map, SIZE);
	see(s, "policy_bad",
	    err(syscall(SYS_mbind, map, SIZE, 99, &mask, 8UL, 0)));
	relinks(s, "links", map, "????????");
}

SCENARIO(mbind_part, "SCM-6")
{
	char *map = touched(s, memory_file(SIZE));
	unsigned long mask = 1;

	must(s, "mbind",
	     err(syscall(SYS_mbind, map + 3 * MIB, PAGE, MPOL_BIND, &mask, 8UL,
			 0)),
	     0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + 3 * MIB, 5);
	must(s, "write", word(map + 3 * MIB), 5);
	relinks(s, "links", map, "1?111111");
}

SCENARIO(compaction, "SCM-5")
{
	char *map = touched(s, memory_file(SIZE));

	must(s, "compact", write_text("/proc/sys/vm/compact_memory", "1"), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	stamp_all(map, SIZE);
	relinks(s, "links", map, ALL);
}

SCENARIO(smaps_sizes, "SCM-6")
{
	char *map = map_side(s, SIZE, RW, memory_file(SIZE), 0);

	must(s, "size", smaps_kb(map, "Size"), SIZE / KIB);
	must(s, "rss_empty", smaps_kb(map, "Rss"), 0);
	stamp_all(map, SIZE / 2);
	must(s, "rss", smaps_kb(map, "Rss"), SIZE / 2 / KIB);
	must(s, "anonymous", smaps_kb(map, "Anonymous"), 0);
	must(s, "shared_flag", smaps_flag(map, "sh"), 1);
	must(s, "vm_size", smaps_kb(map, "Size"), SIZE / KIB);
}

TEST_HARNESS_MAIN
