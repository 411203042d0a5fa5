// SPDX-License-Identifier: GPL-2.0
/* mremap and remap_file_pages. */
#include "scenario.h"

#define SIZE (8 * MIB)
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

SCENARIO(mremap_shrink, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *moved = mremap(map, SIZE, 5 * MIB, 0);

	must(s, "mremap", moved == map, 1);
	must(s, "gone", try_read(map + 5 * MIB), SEGV_UNMAPPED);
	must(s, "left", sum_all(map, 5 * MIB), stamp_sum(0, 5 * MIB));
	relinks(s, "links", map, "1100");
}

SCENARIO(mremap_grow_in_place, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *place = free_space(2 * SIZE), *map, *moved;

	map = mmap(place, 4 * MIB, RW, MAP_FIXED | side_flags(s), fd, 0);
	NEED(map == place);
	sum_all(map, 4 * MIB);
	links(s, "links_before", map, "11");
	moved = mremap(map, 4 * MIB, SIZE, 0);
	must(s, "mremap", moved == map ? 0 : errno, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + 7 * MIB, 7);
	relinks(s, "links", map, "11??");
}

SCENARIO(mremap_grow_blocked, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *place = free_space(2 * SIZE), *map, *moved;

	map = mmap(place, 4 * MIB, RW, MAP_FIXED | side_flags(s), fd, 0);
	NEED(map == place);
	NEED(mmap(place + 4 * MIB, PAGE, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == place + 4 * MIB);
	sum_all(map, 4 * MIB);
	links(s, "links_before", map, "11");
	moved = mremap(map, 4 * MIB, SIZE, 0);
	must(s, "in_place", moved == MAP_FAILED ? errno : 0, ENOMEM);
	moved = mremap(map, 4 * MIB, SIZE, MREMAP_MAYMOVE);
	must(s, "moved", moved != MAP_FAILED && moved != map, 1);
	must(s, "old", try_read(map), SEGV_UNMAPPED);
	must(s, "sum", sum_all(moved, SIZE), stamp_sum(0, SIZE));
	links(s, "links_old", map, "00");
}

/* to a place of the same position within 2 MiB, and to one of another */
static void move_fixed(struct side *s, size_t skew, const char *wanted)
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *place = free_space(SIZE + RANGE) + skew, *moved;

	moved = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	must(s, "mremap", moved == place, 1);
	must(s, "old", try_read(map + MIB), SEGV_UNMAPPED);
	must(s, "sum", sum_all(moved, SIZE), stamp_sum(0, SIZE));
	stamp_all(moved, SIZE);
	links(s, "links_old", map, "0000");
	relinks(s, "links", (char *)((uintptr_t)moved & -RANGE), wanted);
	/* the data are the file's */
	munmap(moved, SIZE);
	map = map_ordinary(SIZE, PROT_READ, fd, 0);
	must(s, "file", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(mremap_fixed, "SCM-6,SCM-10")
{
	move_fixed(s, 0, "1111");
}

SCENARIO(mremap_fixed_skewed, "SCM-6")
{
	move_fixed(s, 5 * PAGE, "00000");
}

SCENARIO(mremap_part, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *place = free_space(RANGE),
	     *moved;

	moved = mremap(map + RANGE, RANGE, RANGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       place);
	must(s, "mremap", moved == place, 1);
	must(s, "old", try_read(map + RANGE), SEGV_UNMAPPED);
	must(s, "sum", sum_all(moved, RANGE), stamp_sum(RANGE, 2 * RANGE));
	relinks(s, "links_rest", map, "1011");
	relinks(s, "links", moved, "1");
}

SCENARIO(mremap_page, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *place = free_space(RANGE),
	     *moved;

	moved = mremap(map + 3 * MIB, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       place);
	must(s, "mremap", moved == place, 1);
	must(s, "old", try_read(map + 3 * MIB), SEGV_UNMAPPED);
	must(s, "page", word(moved), 3 * MIB / PAGE + 1);
	set_word(moved, 33);
	must(s, "before", word(map + 3 * MIB - PAGE), 3 * MIB / PAGE);
	must(s, "after", word(map + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	relinks(s, "links", map, "1011");
	links(s, "links_page", place, "0");
}

SCENARIO(mremap_dontunmap, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *place = free_space(SIZE),
	     *moved;

	moved = mremap(map, SIZE, SIZE,
		       MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, place);
	must(s, "mremap", moved == place ? 0 : errno, 0);
	must(s, "old", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "new", sum_all(moved, SIZE), stamp_sum(0, SIZE));
	set_word(map + MIB, 11);
	must(s, "coherent", word(moved + MIB), 11);
}

SCENARIO(mremap_duplicate, "SCM-6,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *twin;

	/* an old size of 0 makes a second mapping of a shared object */
	twin = mremap(map, 0, SIZE, MREMAP_MAYMOVE);
	must(s, "mremap", twin != MAP_FAILED, 1);
	set_word(twin + MIB, 11);
	must(s, "coherent", word(map + MIB), 11);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "twin", word(twin + 2 * MIB), 2 * MIB / PAGE + 1);
}

SCENARIO(mremap_over_linked, "SCM-6,SCM-16")
{
	int fd = stamped_file(SIZE), other = stamped_file(RANGE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *source = map_ordinary(RANGE, RW, other, 0), *moved;

	set_word(source, 12345);
	moved = mremap(source, RANGE, RANGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       map + RANGE);
	must(s, "mremap", moved == map + RANGE, 1);
	must(s, "other", word(moved), 12345);
	relinks(s, "links", map, "1011");
	must(s, "beside", word(map + 2 * RANGE), 2 * RANGE / PAGE + 1);
	munmap(map, SIZE);
	map = map_ordinary(SIZE, PROT_READ, fd, 0);
	must(s, "file", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

/* units end at 64 TiB of file: what grows over that end leaves */
static void grow_beyond_span(struct side *s, int flags)
{
	const off_t offset = 64 * 1024 * GIB - RANGE;
	int fd = memory_file(65 * 1024 * GIB);
	char *place = free_space(4 * RANGE), *map;
	const off_t holes[] = { offset, offset + RANGE };

	map = mmap(place, RANGE, RW, MAP_FIXED | side_flags(s), fd, offset);
	NEED(map == place);
	set_word(map, 1);
	links(s, "links_before", map, "1");
	if (flags)
		NEED(mmap(place + RANGE, PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			  0) == place + RANGE);
	map = mremap(map, RANGE, 2 * RANGE, flags);
	must(s, "mremap", map == MAP_FAILED ? errno : 0, 0);
	must(s, "kept", word(map), 1);
	stamp_all(map, 2 * RANGE);
	links(s, "links", map, "00");
	for (unsigned int i = 0; i < 2; i++)
		NEED(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				holes[i], RANGE));
	must(s, "punched", sum_all(map, 2 * RANGE), 0);
	must(s, "munmap", err(munmap(map, 2 * RANGE)), 0);
}

SCENARIO_IN_MEMORY(mremap_grow_beyond_span, "SCM-3,SCM-6")
{
	grow_beyond_span(s, 0);
}

SCENARIO_IN_MEMORY(mremap_move_beyond_span, "SCM-3,SCM-6")
{
	grow_beyond_span(s, MREMAP_MAYMOVE);
}

SCENARIO(mremap_misuse, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *moved;

	moved = mremap(map + 1, SIZE, SIZE, MREMAP_MAYMOVE);
	must(s, "unaligned", moved == MAP_FAILED ? errno : 0, EINVAL);
	moved = mremap(map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       map + RANGE);
	must(s, "overlap", moved == MAP_FAILED ? errno : 0, EINVAL);
	moved = mremap(map, 2 * SIZE, 3 * SIZE, MREMAP_MAYMOVE);
	must(s, "too_long", moved == MAP_FAILED ? errno : 0, EFAULT);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(remap_file_pages_page, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "call",
	     err(syscall(SYS_remap_file_pages, map + 3 * MIB, PAGE, 0, 100, 0)),
	     0);
	must(s, "page", word(map + 3 * MIB), 101);
	must(s, "beside", word(map + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	set_word(map + 3 * MIB, 4242);
	must(s, "coherent", word(map + 100 * PAGE), 4242);
	relinks(s, "links", map, "1011");
}

SCENARIO(remap_file_pages_range, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "call",
	     err(syscall(SYS_remap_file_pages, map + RANGE, RANGE, 0, 0, 0)),
	     0);
	must(s, "sum", sum_all(map + RANGE, RANGE), stamp_sum(0, RANGE));
	set_word(map + RANGE, 4242);
	must(s, "coherent", word(map), 4242);
	relinks(s, "links", map, "1?11");
}

TEST_HARNESS_MAIN
