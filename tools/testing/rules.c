// SPDX-License-Identifier: GPL-2.0
/* What is particular to linked mappings: when they are refused, where they lie, what they cost. */
#include <sched.h>

#include "scenario.h"

#define SIZE (8 * MIB)

#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

static int64_t tried(void *address, size_t size, int prot, int flags, int fd,
		     off_t offset)
{
	char *map = mmap(address, size, prot, flags, fd, offset);

	if (map == MAP_FAILED)
		return -errno;
	munmap(map, size);
	return 0;
}

SCENARIO_LINKED(refused_files, "SCM-2,SCM-16")
{
	/* the file is of overlayfs, its pages of another file system */
	char path[] = "/var/tmp/map-XXXXXX";
	int overlay = mkstemp(path),
	    device = open("/dev/zero", O_RDWR | O_CLOEXEC);
	int huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	NEED(overlay >= 0 && !ftruncate(overlay, SIZE) && device >= 0);
	unlink(path);
	must(s, "overlay", tried(NULL, SIZE, RW, MAP_PT, overlay, 0),
	     -EOPNOTSUPP);
	must(s, "overlay_without_flag",
	     tried(NULL, SIZE, RW, MAP_SHARED_VALIDATE, overlay, 0), 0);
	must(s, "device", tried(NULL, SIZE, RW, MAP_PT, device, 0),
	     -EOPNOTSUPP);
	NEED(!write_text("/proc/sys/vm/nr_hugepages", "8"));
	NEED(huge >= 0 && !ftruncate(huge, SIZE));
	must(s, "hugetlb", tried(NULL, SIZE, RW, MAP_PT, huge, 0), -EOPNOTSUPP);
	must(s, "hugetlb_anonymous",
	     tried(NULL, SIZE, RW, MAP_PT | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0),
	     -EOPNOTSUPP);
	NEED(!write_text("/proc/sys/vm/nr_hugepages", "0"));
}

SCENARIO_LINKED(refused_sizes, "SCM-3")
{
	int fd = memory_file(SIZE);

	must(s, "small", tried(NULL, MIB, RW, MAP_PT, fd, 0), -EOPNOTSUPP);
	must(s, "page_less", tried(NULL, RANGE - PAGE, RW, MAP_PT, fd, 0),
	     -EOPNOTSUPP);
	must(s, "exactly", tried(NULL, RANGE, RW, MAP_PT, fd, 0), 0);
	/* a range of the file counts, and this one has only parts of two */
	must(s, "offset", tried(NULL, RANGE, RW, MAP_PT, fd, PAGE),
	     -EOPNOTSUPP);
	must(s, "offset_page_less",
	     tried(NULL, 4 * MIB - 2 * PAGE, RW, MAP_PT, fd, PAGE),
	     -EOPNOTSUPP);
	must(s, "offset_enough",
	     tried(NULL, 4 * MIB - PAGE, RW, MAP_PT, fd, PAGE), 0);
	must(s, "nothing", tried(NULL, 0, RW, MAP_PT, fd, 0), -EINVAL);
	must(s, "anonymous_small",
	     tried(NULL, MIB, RW, MAP_PT | MAP_ANONYMOUS, -1, 0), -EOPNOTSUPP);
}

SCENARIO_LINKED(refused_places, "SCM-3")
{
	int fd = memory_file(SIZE);
	char *place = free_space(SIZE + RANGE), *old;

	must(s, "skewed",
	     tried(place + PAGE, SIZE, RW, MAP_PT | MAP_FIXED, fd, 0),
	     -EOPNOTSUPP);
	must(s, "aligned", tried(place, SIZE, RW, MAP_PT | MAP_FIXED, fd, 0),
	     0);
	must(s, "congruent",
	     tried(place + PAGE, 4 * MIB, RW, MAP_PT | MAP_FIXED, fd, PAGE), 0);
	must(s, "incongruent",
	     tried(place, SIZE / 2, RW, MAP_PT | MAP_FIXED, fd, PAGE),
	     -EOPNOTSUPP);
	old = mmap(place + PAGE, SIZE, RW,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	NEED(old == place + PAGE);
	set_word(old, 5);
	must(s, "over_old", tried(old, SIZE, RW, MAP_PT | MAP_FIXED, fd, 0),
	     -EOPNOTSUPP);
	must(s, "old_is_whole", try_read(old) ?: (int)word(old), 5);
}

SCENARIO_LINKED(refused_flags, "SCM-2")
{
	int fd = memory_file(SIZE);
	char *map;

	must(s, "unknown",
	     tried(NULL, SIZE, RW, MAP_SHARED_VALIDATE | 0x800000, fd, 0),
	     -EOPNOTSUPP);
	must(s, "unknown_beside",
	     tried(NULL, SIZE, RW, MAP_PT | 0x800000, fd, 0), -EOPNOTSUPP);
	must(s, "sync", tried(NULL, SIZE, RW, MAP_PT | MAP_SYNC, fd, 0),
	     -EOPNOTSUPP);
	must(s, "anonymous_unknown",
	     tried(NULL, SIZE, RW,
		   MAP_SHARED_VALIDATE | MAP_ANONYMOUS | 0x800000, -1, 0),
	     -EOPNOTSUPP);
	must(s, "anonymous_validate",
	     tried(NULL, SIZE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0),
	     0);
	/* the other kinds have always ignored flags they do not know */
	map = mmap(free_space(SIZE), SIZE, RW, MAP_PRIVATE | MAP_SHARED_PT, fd,
		   0);
	must(s, "private", map != MAP_FAILED, 1);
	stamp_all(map, SIZE);
	links(s, "links_private", map, "0000");
	map = mmap(free_space(SIZE), SIZE, RW, MAP_SHARED | MAP_SHARED_PT, fd,
		   0);
	must(s, "shared", map != MAP_FAILED, 1);
	stamp_all(map, SIZE);
	links(s, "links_shared", map, "0000");
}

SCENARIO(refused_access, "SCM-15")
{
	int flags = side_flags(s), fd = memory_file(SIZE), other;

	other = reopen(fd, O_RDONLY);
	must(s, "read_only", tried(NULL, SIZE, RW, flags, other, 0), -EACCES);
	must(s, "readable", tried(NULL, SIZE, PROT_READ, flags, other, 0), 0);
	other = reopen(fd, O_WRONLY);
	must(s, "write_only", tried(NULL, SIZE, PROT_READ, flags, other, 0),
	     -EACCES);
	must(s, "no_file", tried(NULL, SIZE, RW, flags, -1, 0), -EBADF);
	must(s, "odd_offset", tried(NULL, SIZE, RW, flags, fd, 100), -EINVAL);
	must(s, "directory",
	     tried(NULL, SIZE, PROT_READ, flags,
		   open("/dev/shm", O_RDONLY | O_CLOEXEC), 0),
	     -ENODEV);
}

SCENARIO_LINKED(alignment, "SCM-3")
{
	int fd = memory_file(64 * MIB);
	unsigned int aligned = 0;
	char *map, *hint;

	for (unsigned int i = 0; i < 16; i++) {
		off_t offset = i * 37 * PAGE;

		/* something small in between, so that chance does not align */
		NEED(mmap(NULL, PAGE * (i + 1), RW, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0) != MAP_FAILED);
		map = mmap(NULL, SIZE, RW, MAP_PT, fd, offset);
		NEED(map != MAP_FAILED);
		aligned += (uintptr_t)map % RANGE == offset % RANGE;
	}
	must(s, "chosen", aligned, 16);
	hint = free_space(SIZE) + 5 * PAGE;
	map = mmap(hint, SIZE, RW, MAP_PT, fd, 0);
	must(s, "hinted", map != MAP_FAILED && (uintptr_t)map % RANGE == 0, 1);
	map = mmap(NULL, SIZE, RW, MAP_PT | MAP_32BIT, fd, 0);
	must(s, "low",
	     map != MAP_FAILED && (uintptr_t)map < 2 * GIB &&
		     (uintptr_t)map % RANGE == 0,
	     1);
	stamp_all(map, SIZE);
	links(s, "links_low", map, "1111");
}

static bool within_gib(const char *map, size_t size)
{
	return (uintptr_t)map / GIB == ((uintptr_t)map + size - 1) / GIB;
}

SCENARIO_LINKED(gib_boundary, "SCM-6")
{
	unsigned int within = 0;
	int fd = memory_file(3 * GIB);
	char *map;

	for (unsigned int i = 0; i < 12; i++) {
		map = mmap(NULL, 600 * MIB, RW, MAP_PT, fd, 0);
		NEED(map != MAP_FAILED);
		within += within_gib(map, 600 * MIB);
	}
	must(s, "large", within, 12);
	map = mmap(NULL, GIB, RW, MAP_PT, fd, 0);
	must(s, "whole", map != MAP_FAILED && within_gib(map, GIB), 1);
	must(s, "larger", tried(NULL, 3 * GIB, RW, MAP_PT, fd, 0), 0);
	NEED(!scome_set(SCOME_ON, RANGE));
	within = 0;
	for (unsigned int i = 0; i < 12; i++) {
		map = mmap(NULL, 700 * MIB, RW, MAP_SHARED, fd, 0);
		NEED(map != MAP_FAILED);
		within += within_gib(map, 700 * MIB);
	}
	must(s, "by_prctl", within, 12);
}

SCENARIO_LINKED(smaps_lines, "SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0),
	     *ordinary = map_ordinary(SIZE, RW, fd, 0);

	must(s, "untouched", smaps_kb(map, "SharedPT"), 0);
	must(s, "flag", smaps_flag(map, "sp"), 1);
	stamp_all(map, 4 * MIB);
	must(s, "half", smaps_kb(map, "SharedPT"), 8);
	stamp_all(map, SIZE);
	must(s, "whole", smaps_kb(map, "SharedPT"), 16);
	must(s, "own_tables_at_most_one", smaps_kb(map, "PageTables") <= 4, 1);
	sum_all(ordinary, SIZE);
	must(s, "ordinary_shared", smaps_kb(ordinary, "SharedPT"), 0);
	must(s, "ordinary_own", smaps_kb(ordinary, "PageTables") >= 16, 1);
	must(s, "ordinary_flag", smaps_flag(ordinary, "sp"), 0);
	NEED(!munmap(map + 3 * MIB, PAGE));
	must(s, "first_part", smaps_kb(map, "SharedPT"), 4);
	must(s, "second_part", smaps_kb(map + 4 * MIB, "SharedPT"), 8);
}

SCENARIO_LINKED(status_lines, "SCM-6")
{
	size_t size = 64 * MIB;
	int fd = memory_file(size);
	int64_t own = status_kb("VmPTE");
	char *map, *two;

	must(s, "none", status_kb("VmSharedPT"), 0);
	map = map_side(s, size, RW, fd, 0);
	stamp_all(map, size);
	must(s, "linked", status_kb("VmSharedPT"), 128);
	must(s, "own_tables", status_kb("VmPTE") - own <= 16, 1);
	two = map_side(s, size, PROT_READ, fd, 0);
	sum_all(two, size);
	must(s, "twice", status_kb("VmSharedPT"), 256);
	NEED(!munmap(map, size));
	must(s, "once", status_kb("VmSharedPT"), 128);
	NEED(!munmap(two, size));
	must(s, "none_again", status_kb("VmSharedPT"), 0);
}

struct counters {
	int64_t units, links, tables;
};

static struct counters counters(void)
{
	return (struct counters){ scome_counter("units"),
				  scome_counter("links"),
				  scome_counter("tables") };
}

static int other_process(void *context)
{
	struct side *s = ((void **)context)[0];
	int fd = *(int *)((void **)context)[1];
	struct counters before = counters(), after;
	char *map = map_side(s, SIZE, PROT_READ, fd, 0);

	sum_all(map, SIZE);
	after = counters();
	if (after.units != before.units || after.tables != before.tables)
		return 1;
	return after.links - before.links == 1 ? 0 : 2;
}

SCENARIO_LINKED(counters_of_a_unit, "SCM-2,SCM-5,SCM-8")
{
	int fd = memory_file(SIZE);
	void *context[] = { s, &fd };
	struct counters before = counters(), now;
	int64_t faults = scome_counter("faults");
	char *map = map_side(s, SIZE, RW, fd, 0), *two;

	stamp_all(map, SIZE);
	now = counters();
	must(s, "units", now.units - before.units, 1);
	must(s, "tables", now.tables - before.tables, 4);
	/* a link ties this process to the unit, with one distance of address and offset */
	must(s, "links", now.links - before.links, 1);
	must(s, "faults", scome_counter("faults") > faults, 1);
	two = map_side(s, SIZE, RW, fd, 0);
	sum_all(two, SIZE);
	now = counters();
	must(s, "same_unit", now.units - before.units, 1);
	must(s, "same_tables", now.tables - before.tables, 4);
	must(s, "more_links", now.links - before.links, 2);
	must(s, "other_process", in_child(other_process, context), 0);
	must(s, "after_exit", counters().links - before.links, 2);
	NEED(!munmap(map + 3 * MIB, PAGE));
	must(s, "after_split", counters().links - before.links, 2);
	NEED(!munmap(map, SIZE));
	must(s, "after_munmap", counters().links - before.links, 1);
	NEED(!munmap(two, SIZE));
	now = counters();
	must(s, "retired_unit", now.units, before.units);
	must(s, "retired_tables", now.tables, before.tables);
	must(s, "retired_links", now.links, before.links);
}

static unsigned int lines_of(const char *path)
{
	FILE *stream = fopen(path, "re");
	unsigned int lines = 0;
	int character;

	NEED(stream);
	while ((character = fgetc(stream)) != EOF)
		lines += character == '\n';
	fclose(stream);
	return lines;
}

/* what a call that was refused has made goes within a second */
static void wait_for_refused(void)
{
	for (int i = 0; i < 30 && scome_counter("units"); i++)
		usleep(100000);
}

SCENARIO_LINKED(list_of_units, "SCM-2")
{
	const char *list = "/sys/kernel/debug/scome/units";
	int fd = memory_file(SIZE), other = memory_file(SIZE);
	unsigned int before;
	char *map, *two;

	wait_for_refused();
	before = lines_of(list);
	map = map_side(s, SIZE, RW, fd, 0);
	two = map_side(s, SIZE, RW, other, 0);
	stamp_all(map, SIZE);
	stamp_all(two, SIZE);
	must(s, "two_more", lines_of(list) - before, 2);
	must(s, "counter", scome_counter("units") >= 2, 1);
	NEED(!munmap(map, SIZE) && !munmap(two, SIZE));
	must(s, "gone", lines_of(list), before);
}

static int unprivileged(void *context)
{
	NEED(!setgid(65534) && !setuid(65534));
	return open(context, O_RDONLY) >= 0;
}

SCENARIO_LINKED(debug_files_are_private, "SCM-16")
{
	must(s, "units",
	     in_child(unprivileged, "/sys/kernel/debug/scome/units"), 0);
}

static int64_t charged(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	return read_number(path);
}

static int touch_in_cgroup(void *context)
{
	char *map = context;
	const char *cgroup = own_cgroup();
	int64_t before = charged(cgroup), after;

	stamp_all(map, SIZE);
	after = charged(cgroup);
	/* a CPU charges 64 pages ahead: some may have been paid before */
	if (after - before < (int64_t)(SIZE - MIB))
		return 1;
	/* its page tables and little more */
	return after - before > (int64_t)(SIZE + MIB) ? 2 : 0;
}

/* memory is charged to the process that faulted it in, whoever made the mapping */
SCENARIO(charged_to_who_touches, "SCM-5")
{
	const char *cgroup = own_cgroup();
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);
	int64_t before = charged(cgroup);

	must(s, "toucher", in_child(touch_in_cgroup, map), 0);
	must(s, "creator", charged(cgroup) - before < (int64_t)MIB, 1);
	stamp_all(map, SIZE);
	must(s, "second_touch", charged(cgroup) - before < (int64_t)MIB, 1);
	relinks(s, "links", map, "1111");
}

SCENARIO(charged_to_first_half_each, "SCM-5")
{
	const char *cgroup = own_cgroup();
	int fd = memory_file(2 * SIZE);
	char *map = map_side(s, 2 * SIZE, RW, fd, 0);
	int64_t before = charged(cgroup);

	stamp_all(map, SIZE);
	/* as above: some may have been paid before */
	must(s, "own_half", charged(cgroup) - before >= (int64_t)(SIZE - MIB),
	     1);
	before = charged(cgroup);
	must(s, "other_half", in_child(touch_in_cgroup, map + SIZE), 0);
	must(s, "not_mine", charged(cgroup) - before < (int64_t)MIB, 1);
	relinks(s, "links", map, "11111111");
}

static int over_limit(void *context)
{
	const char *cgroup = own_cgroup();
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.swap.max", cgroup);
	NEED(!write_text(path, "0"));
	snprintf(path, sizeof(path), "%s/memory.max", cgroup);
	NEED(!write_text(path, "4M"));
	stamp_all(context, SIZE);
	return 0;
}

SCENARIO(killed_at_its_limit, "SCM-5,SCM-16")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "toucher", in_child(over_limit, map), 128 + SIGKILL);
	stamp_all(map, SIZE);
	must(s, "others_live", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

/* as the last one: whatever the others did, nothing is left */
SCENARIO_LINKED(nothing_left, "SCM-8")
{
	wait_for_refused();
	must(s, "units", scome_counter("units"), 0);
	must(s, "tables", scome_counter("tables"), 0);
	must(s, "links", scome_counter("links"), 0);
}

TEST_HARNESS_MAIN
