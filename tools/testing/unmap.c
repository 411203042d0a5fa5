// SPDX-License-Identifier: GPL-2.0
/* munmap and mprotect of parts, and what is mapped over a mapping. */
#include "scenario.h"

#define SIZE (8 * MIB)
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

/* another mapping of the file has everything still, whatever happened to this one */
static void file_is_whole(struct side *s, int fd, size_t size)
{
	char *other = map_ordinary(size, PROT_READ, fd, 0);

	must(s, "file", sum_all(other, size), stamp_sum(0, size));
	munmap(other, size);
}

/* the part [from, to) goes; everything else must be as it was */
static void unmap_part(struct side *s, size_t from, size_t to,
		       const char *wanted)
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "munmap", err(munmap(map + from, to - from)), 0);
	must(s, "first", try_read(map + from), SEGV_UNMAPPED);
	must(s, "last", try_read(map + to - PAGE), SEGV_UNMAPPED);
	if (from)
		must(s, "before", try_write(map + from - PAGE, from / PAGE), 0);
	if (to < SIZE)
		must(s, "after", try_write(map + to, to / PAGE + 1), 0);
	must(s, "left", sum_all(map, from) + sum_all(map + to, SIZE - to),
	     stamp_sum(0, from) + stamp_sum(to, SIZE));
	relinks(s, "links", map, wanted);
	file_is_whole(s, fd, SIZE);
}

SCENARIO(munmap_page, "SCM-3,SCM-6")
{
	unmap_part(s, 3 * MIB, 3 * MIB + PAGE, "1011");
}

SCENARIO(munmap_first_page, "SCM-3,SCM-6")
{
	unmap_part(s, 0, PAGE, "0111");
}

SCENARIO(munmap_last_page, "SCM-3,SCM-6")
{
	unmap_part(s, SIZE - PAGE, SIZE, "1110");
}

SCENARIO(munmap_range, "SCM-3,SCM-6")
{
	unmap_part(s, 4 * MIB, 6 * MIB, "1101");
}

SCENARIO(munmap_across, "SCM-3,SCM-6")
{
	unmap_part(s, MIB, 3 * MIB, "0011");
}

SCENARIO(munmap_tail, "SCM-3,SCM-6")
{
	unmap_part(s, 5 * MIB, SIZE, "1100");
}

SCENARIO(munmap_and_again, "SCM-2,SCM-5")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	set_word(map + MIB, 77);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	links(s, "links_gone", map, "0000");
	map = map_side(s, SIZE, RW, fd, 0);
	must(s, "kept", word(map + MIB), 77);
	relinks(s, "links", map, "1111");
}

SCENARIO(munmap_before_touch, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	links(s, "links_before", map, "0000");
	must(s, "munmap", err(munmap(map + RANGE, RANGE)), 0);
	must(s, "gone", try_read(map + RANGE), SEGV_UNMAPPED);
	relinks(s, "links", map, "1011");
}

/* what PROT_READ from from to to leaves readable and writable */
static void protect_part(struct side *s, size_t from, size_t to,
			 const char *wanted)
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	stamp_all(map, SIZE);
	must(s, "mprotect", err(mprotect(map + from, to - from, PROT_READ)), 0);
	must(s, "read", try_read(map + from), 0);
	must(s, "write", try_write(map + from, 99), SEGV_DENIED);
	must(s, "write_last", try_write(map + to - PAGE, 99), SEGV_DENIED);
	if (from)
		must(s, "before", try_write(map + from - PAGE, from / PAGE), 0);
	if (to < SIZE)
		must(s, "after", try_write(map + to, to / PAGE + 1), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, wanted);
	must(s, "back", err(mprotect(map, SIZE, RW)), 0);
	must(s, "write_back", try_write(map + from, from / PAGE + 1), 0);
	must(s, "write_back_last", try_write(map + to - PAGE, to / PAGE), 0);
	file_is_whole(s, fd, SIZE);
}

SCENARIO(mprotect_page, "SCM-6,SCM-15")
{
	protect_part(s, 3 * MIB, 3 * MIB + PAGE, "1111");
}

SCENARIO(mprotect_first_page, "SCM-6,SCM-15")
{
	protect_part(s, 0, PAGE, "1111");
}

SCENARIO(mprotect_range, "SCM-15")
{
	protect_part(s, 2 * MIB, 4 * MIB, "1111");
}

SCENARIO(mprotect_across, "SCM-6,SCM-15")
{
	protect_part(s, MIB, 5 * MIB, "1111");
}

SCENARIO(mprotect_all, "SCM-15")
{
	protect_part(s, 0, SIZE, "1111");
}

SCENARIO(mprotect_none, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mprotect", err(mprotect(map, SIZE, PROT_NONE)), 0);
	must(s, "read", try_read(map + MIB), SEGV_DENIED);
	must(s, "write", try_write(map + MIB, 1), SEGV_DENIED);
	must(s, "back", err(mprotect(map, SIZE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(mprotect_none_range, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mprotect", err(mprotect(map + RANGE, RANGE, PROT_NONE)), 0);
	must(s, "denied", try_read(map + RANGE + 7 * PAGE), SEGV_DENIED);
	must(s, "beside", try_write(map + 2 * RANGE, 2 * RANGE / PAGE + 1), 0);
	relinks(s, "links", map, "1?11");
	file_is_whole(s, fd, SIZE);
}

SCENARIO(mprotect_twice, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, PROT_READ, fd);

	must(s, "first", try_write(map, 1), SEGV_DENIED);
	must(s, "rw", err(mprotect(map, SIZE, RW)), 0);
	stamp_all(map, SIZE);
	must(s, "ro", err(mprotect(map, SIZE, PROT_READ)), 0);
	must(s, "second", try_write(map + 5 * MIB, 1), SEGV_DENIED);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(mprotect_read_only_file, "SCM-15")
{
	int fd = stamped_file(SIZE), read_only = reopen(fd, O_RDONLY);
	char *map = map_touched(s, SIZE, PROT_READ, read_only);

	must(s, "write", try_write(map, 1), SEGV_DENIED);
	must(s, "mprotect", err(mprotect(map, SIZE, RW)), -EACCES);
	must(s, "still", try_write(map, 1), SEGV_DENIED);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(execute, "SCM-15")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0), *runs;

	put_code(map + MIB);
	must(s, "not_executable", in_child(call_code, map + MIB),
	     128 + SIGSEGV);
	runs = map_side(s, SIZE, PROT_READ | PROT_EXEC, fd, 0);
	must(s, "executable", call_code(runs + MIB), 42);
	must(s, "execute_only_there", in_child(call_code, map + MIB),
	     128 + SIGSEGV);
	must(s, "write", try_write(runs + MIB, 1), SEGV_DENIED);
	relinks(s, "links_data", map, "1111");
	relinks(s, "links_code", runs, "1111");
	must(s, "mprotect", err(mprotect(map, SIZE, PROT_READ | PROT_EXEC)), 0);
	must(s, "made_executable", call_code(map + MIB), 42);
	must(s, "mprotect_back", err(mprotect(map, SIZE, PROT_READ)), 0);
	must(s, "made_data", in_child(call_code, map + MIB), 128 + SIGSEGV);
	relinks(s, "links", map, "1111");
}

SCENARIO(fixed_over_page, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *over = mmap(map + 3 * MIB, PAGE, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must(s, "mmap", over == map + 3 * MIB, 1);
	must(s, "zero", word(over), 0);
	set_word(over, 5);
	must(s, "beside", word(over + PAGE), (3 * MIB + PAGE) / PAGE + 1);
	relinks(s, "links", map, "1011");
	must(s, "own", word(over), 5);
	file_is_whole(s, fd, SIZE);
}

SCENARIO(fixed_over_range, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *over = mmap(map + 2 * MIB, 4 * MIB, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	must(s, "mmap", over == map + 2 * MIB, 1);
	must(s, "zero", sum_all(over, 4 * MIB), 0);
	stamp_all(over, 4 * MIB);
	relinks(s, "links", map, "1001");
	file_is_whole(s, fd, SIZE);
}

SCENARIO(fixed_over_other_file, "SCM-6,SCM-16")
{
	int fd = stamped_file(SIZE), other = memory_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	char *over =
		mmap(map + RANGE, RANGE, RW, MAP_SHARED | MAP_FIXED, other, 0);

	must(s, "mmap", over == map + RANGE, 1);
	must(s, "zero", sum_all(over, RANGE), 0);
	stamp_all(over, RANGE);
	relinks(s, "links", map, "1011");
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	file_is_whole(s, fd, SIZE);
}

SCENARIO(fixed_over_populated, "SCM-6")
{
	char *place = free_space(SIZE), *map;
	int fd = stamped_file(SIZE);

	map = mmap(place, SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0);
	NEED(map == place);
	stamp_all(map, SIZE);
	map = mmap(place, SIZE, RW, MAP_FIXED | side_flags(s), fd, 0);
	must(s, "mmap", map == place, 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(fixed_over_itself, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *again;

	set_word(map + 5 * MIB, 55);
	again = mmap(map, SIZE, RW, MAP_FIXED | side_flags(s), fd, 0);
	must(s, "mmap", again == map, 1);
	must(s, "kept", word(map + 5 * MIB), 55);
	relinks(s, "links", map, "1111");
}

SCENARIO(fixed_noreplace, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *place = free_space(SIZE),
	     *other;

	other = mmap(map + MIB, PAGE, RW,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	must(s, "refused", other == MAP_FAILED ? errno : 0, EEXIST);
	other = mmap(map, SIZE, RW, MAP_FIXED_NOREPLACE | side_flags(s), fd, 0);
	must(s, "refused_linked", other == MAP_FAILED ? errno : 0, EEXIST);
	other = mmap(place, SIZE, RW, MAP_FIXED_NOREPLACE | side_flags(s), fd,
		     0);
	must(s, "placed", other == place ? 0 : errno, 0);
	must(s, "sum", sum_all(other, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
	relinks(s, "links_placed", other, "1111");
}

TEST_HARNESS_MAIN
