// SPDX-License-Identifier: GPL-2.0
/* How a file is mapped: flags, sizes, offsets, several mappings. */
#include "scenario.h"

#define SIZE (8 * MIB)
#define BUS_PAST_END RAISED(SIGBUS, BUS_ADRERR)
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

SCENARIO(plain, "SCM-2,SCM-3,SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);
	uint64_t value;

	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	set_word(map + 3 * MIB, 4711);
	must(s, "pread", pread(fd, &value, sizeof(value), 3 * MIB),
	     sizeof(value));
	must(s, "file_sees_mapping", value, 4711);
	value = 4712;
	must(s, "pwrite", pwrite(fd, &value, sizeof(value), 5 * MIB),
	     sizeof(value));
	must(s, "mapping_sees_file", word(map + 5 * MIB), 4712);
	must(s, "past_mapping", try_read(map + SIZE), SEGV_UNMAPPED);
}

SCENARIO(anonymous, "SCM-2,SCM-6")
{
	char *map = map_side_flags(s, SIZE, RW, MAP_ANONYMOUS, -1, 0);

	must(s, "zero", sum_all(map, SIZE), 0);
	stamp_all(map, SIZE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
}

SCENARIO(populate, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_side_flags(s, SIZE, RW, MAP_POPULATE, fd, 0);
	unsigned char resident[SIZE / PAGE];
	unsigned int pages = 0;

	links(s, "links_before_touch", map, "1111");
	must(s, "mincore", err(mincore(map, SIZE, resident)), 0);
	for (size_t i = 0; i < SIZE / PAGE; i++)
		pages += resident[i] & 1;
	must(s, "resident", pages, SIZE / PAGE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(populate_empty, "SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = map_side_flags(s, SIZE, RW, MAP_POPULATE, fd, 0);
	struct stat status;

	must(s, "fstat", fstat(fd, &status), 0);
	must_in_memory(s, "blocks", status.st_blocks, SIZE / 512);
	links(s, "links", map, "1111");
	must(s, "sum", sum_all(map, SIZE), 0);
}

SCENARIO(noreserve, "SCM-6")
{
	char *map = map_side_flags(s, SIZE, RW, MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

	stamp_all(map, SIZE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
}

SCENARIO(unaligned_size, "SCM-3,SCM-6")
{
	size_t size = SIZE + 3 * PAGE;
	int fd = stamped_file(size);
	char *map = map_side(s, size, RW, fd, 0);

	must(s, "sum", sum_all(map, size), stamp_sum(0, size));
	must(s, "past_mapping", try_read(map + size), SEGV_UNMAPPED);
	relinks(s, "links", map, "11110");
	stamp_all(map, size);
	must(s, "munmap", err(munmap(map, size)), 0);
	map = map_ordinary(size, PROT_READ, fd, 0);
	must(s, "file", sum_all(map, size), stamp_sum(0, size));
}

SCENARIO(odd_size, "SCM-3")
{
	size_t size = SIZE - 100;
	int fd = memory_file(size);
	char *map = map_side(s, size, RW, fd, 0);

	map[size - 1] = 'x';
	must(s, "rest_of_page", map[size], 0);
	must(s, "last_page", try_read(map + SIZE - 8), 0);
	must(s, "past_mapping", try_read(map + SIZE), SEGV_UNMAPPED);
	relinks(s, "links", map, "1111");
}

SCENARIO(offset_of_pages, "SCM-3,SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE - 5 * PAGE, RW, fd, 5 * PAGE), *start;

	must(s, "place", (uintptr_t)map % RANGE, 5 * PAGE);
	must(s, "sum", sum_all(map, SIZE - 5 * PAGE),
	     stamp_sum(5 * PAGE, SIZE));
	start = map - 5 * PAGE;
	relinks(s, "links", start, "0111");
}

SCENARIO(offset_of_ranges, "SCM-3,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, 2 * RANGE, RW, fd, RANGE);

	must(s, "sum", sum_all(map, 2 * RANGE), stamp_sum(RANGE, 3 * RANGE));
	links(s, "links", map, "11");
}

SCENARIO(two_mappings, "SCM-2,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *one = map_side(s, SIZE, RW, fd, 0),
	     *two = map_side(s, SIZE, RW, fd, 0);

	must(s, "apart", one != two, 1);
	sum_all(one, SIZE);
	sum_all(two, SIZE);
	links(s, "links_one", one, "1111");
	links(s, "links_two", two, "1111");
	set_word(one + MIB, 1);
	must(s, "one_to_two", word(two + MIB), 1);
	set_word(two + 5 * MIB, 2);
	must(s, "two_to_one", word(one + 5 * MIB), 2);
	must(s, "munmap", err(munmap(one, SIZE)), 0);
	must(s, "other_left", word(two + MIB), 1);
	relinks(s, "links_left", two, "1111");
	relinks(s, "links_gone", one, "0000");
}

SCENARIO(two_offsets, "SCM-2,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *one = map_side(s, 2 * RANGE, RW, fd, 0),
	     *two = map_side(s, 2 * RANGE, RW, fd, RANGE);

	set_word(one + RANGE + PAGE, 31);
	must(s, "coherent", word(two + PAGE), 31);
	must(s, "sum", sum_all(two + RANGE, RANGE),
	     stamp_sum(2 * RANGE, 3 * RANGE));
	relinks(s, "links_one", one, "11");
	relinks(s, "links_two", two, "11");
}

SCENARIO(two_files, "SCM-16")
{
	int fd = stamped_file(SIZE), other = memory_file(SIZE);
	char *one = map_side(s, SIZE, RW, fd, 0),
	     *two = map_side(s, SIZE, RW, other, 0);

	must(s, "other_empty", sum_all(two, SIZE), 0);
	stamp_all(two, SIZE);
	set_word(two, 5);
	must(s, "one", sum_all(one, SIZE), stamp_sum(0, SIZE));
	must(s, "two", word(two), 5);
	links(s, "links_one", one, "1111");
	links(s, "links_two", two, "1111");
}

SCENARIO(beside_ordinary, "SCM-2,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *ordinary = map_ordinary(SIZE, RW, fd, 0),
	     *map = map_side(s, SIZE, RW, fd, 0);

	stamp_all(ordinary, SIZE);
	set_word(ordinary + MIB, 100);
	must(s, "ordinary_to_side", word(map + MIB), 100);
	set_word(map + MIB, 200);
	must(s, "side_to_ordinary", word(ordinary + MIB), 200);
	relinks(s, "links", map, "1111");
	links(s, "links_ordinary", ordinary, "0000");
}

SCENARIO(beside_private, "SCM-16")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0), *private;

	private = mmap(free_space(SIZE), SIZE, RW, MAP_PRIVATE, fd, 0);
	NEED(private != MAP_FAILED);
	must(s, "sum", sum_all(private, SIZE), stamp_sum(0, SIZE));
	set_word(private + MIB, 9);
	must(s, "private_write_stays", word(map + MIB), MIB / PAGE + 1);
	set_word(map + MIB, 10);
	must(s, "shared_write_hidden", word(private + MIB), 9);
	set_word(map + 3 * MIB, 11);
	must(s, "shared_write_shown", word(private + 3 * MIB), 11);
	relinks(s, "links", map, "1111");
	links(s, "links_private", private, "0000");
}

SCENARIO(no_access, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, PROT_NONE, fd, 0);

	must(s, "read", try_read(map + MIB), SEGV_DENIED);
	must(s, "write", try_write(map + MIB, 1), SEGV_DENIED);
	must(s, "mprotect", err(mprotect(map, SIZE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(read_only, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, PROT_READ, fd, 0),
	     *writer = map_side(s, SIZE, RW, fd, 0);

	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	/* somebody else has written every page, so that every leaf entry allows it */
	stamp_all(writer, SIZE);
	must(s, "write", try_write(map + MIB, 1), SEGV_DENIED);
	must(s, "write_again", try_write(map + 7 * MIB, 1), SEGV_DENIED);
	set_word(writer + MIB, 12);
	must(s, "sees_writer", word(map + MIB), 12);
	relinks(s, "links", map, "1111");
	relinks(s, "links_writer", writer, "1111");
}

SCENARIO(read_only_first, "SCM-15")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, PROT_READ, fd, 0), *writer;

	must(s, "hole", sum_all(map, SIZE), 0);
	links(s, "links", map, "1111");
	writer = map_side(s, SIZE, RW, fd, 0);
	stamp_all(writer, SIZE);
	must(s, "sees_writer", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(map, 1), SEGV_DENIED);
	relinks(s, "links_after", map, "1111");
	relinks(s, "links_writer", writer, "1111");
}

SCENARIO(sparse, "SCM-3")
{
	size_t size = 64 * MIB;
	int fd = memory_file(size);
	char *map = map_side(s, size, RW, fd, 0);
	struct stat status;

	set_word(map + 33 * MIB, 5);
	must(s, "fstat", fstat(fd, &status), 0);
	must(s, "blocks", status.st_blocks, 8);
	links(s, "links_one", map, "00000000000000001000000000000000");
	must(s, "hole", word(map + 50 * MIB), 0);
	links(s, "links_two", map, "00000000000000001000000001000000");
	must(s, "data", word(map + 33 * MIB), 5);
}

SCENARIO(tiny_file, "SCM-3")
{
	int fd = stamped_file(PAGE);
	char *map = map_side(s, 4 * MIB, RW, fd, 0);

	must(s, "first", word(map), 1);
	must(s, "past_end", try_read(map + PAGE), BUS_PAST_END);
	must(s, "far_past_end", try_write(map + 3 * MIB, 1), BUS_PAST_END);
	links(s, "links", map, "1?");
	must(s, "grow", ftruncate(fd, 4 * MIB), 0);
	must(s, "grown", try_write(map + 3 * MIB, 1), 0);
	relinks(s, "links_grown", map, "11");
}

SCENARIO(empty_file, "SCM-3")
{
	int fd = memory_file(0);
	char *map = map_side(s, 4 * MIB, RW, fd, 0);

	must(s, "empty", try_read(map), BUS_PAST_END);
	must(s, "grow", ftruncate(fd, 4 * MIB), 0);
	stamp_all(map, 4 * MIB);
	must(s, "sum", sum_all(map, 4 * MIB), stamp_sum(0, 4 * MIB));
	relinks(s, "links", map, "11");
}

SCENARIO(closed_file, "SCM-5")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "close", close(fd), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

TEST_HARNESS_MAIN
