// SPDX-License-Identifier: GPL-2.0
/* Where mappings lie: common addresses, and what keeps off them. */
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define TIB (1024 * GIB)

struct window {
	uintptr_t start;
	uintptr_t end;
};

static struct window window(const char *name)
{
	struct window w = { 0, 0 };
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/scome/%s", name);
	file = fopen(path, "re");
	NEED(file && fscanf(file, "%lx-%lx", &w.start, &w.end) == 2);
	fclose(file);
	return w;
}

static bool in(struct window w, const void *address, size_t size)
{
	uintptr_t start = (uintptr_t)address;

	return start < w.end && start + size > w.start;
}

static bool in_arena(const void *address, size_t size)
{
	return in(window("arena"), address, size) ||
	       in(window("arena_fixed"), address, size);
}

static char *map_linked(void *hint, size_t size, int flags, int fd,
			off_t offset)
{
	char *map = mmap(hint, size, RW, MAP_PT | flags, fd, offset);

	return map == MAP_FAILED ? NULL : map;
}

struct party {
	int fd;
	size_t size;
	off_t offset;
	char *wanted;
};

/* a process that has nothing from this one but the file */
static int finds_it_there(void *context)
{
	struct party *party = context;
	char *map;

	/* what it inherited lies there already */
	munmap(party->wanted, party->size);
	map = map_linked(NULL, party->size, 0, party->fd, party->offset);
	if (map != party->wanted)
		return 1;
	if (sum_all(map, party->size) !=
	    stamp_sum(party->offset, party->offset + party->size))
		return 2;
	return is_linked((char *)(((uintptr_t)map + RANGE - 1) & -RANGE)) ? 0 :
									    3;
}

SCENARIO_LINKED(same_address, "SCM-1,SCM-2")
{
	struct party party = { .fd = stamped_file(SIZE), .size = SIZE };
	char *map = map_linked(NULL, SIZE, 0, party.fd, 0);

	must(s, "mapped", map != NULL, 1);
	must(s, "in_arena", in(window("arena"), map, SIZE), 1);
	party.wanted = map;
	must(s, "other", in_child(finds_it_there, &party), 0);
	must(s, "again", in_child(finds_it_there, &party), 0);
	/* a part lies where it lies in the whole */
	party.offset = 2 * MIB;
	party.size = 4 * MIB;
	party.wanted = map + 2 * MIB;
	must(s, "part", in_child(finds_it_there, &party), 0);
	party.offset = MIB;
	party.wanted = map + MIB;
	must(s, "odd_part", in_child(finds_it_there, &party), 0);
}

SCENARIO_LINKED(every_file_its_own, "SCM-1,SCM-16")
{
	char *maps[16];
	unsigned int overlaps = 0;
	int64_t bytes = scome_counter("arena_bytes");

	for (unsigned int i = 0; i < 16; i++) {
		maps[i] = map_linked(NULL, SIZE, 0, memory_file(SIZE), 0);
		NEED(maps[i]);
		NEED(in_arena(maps[i], SIZE));
		for (unsigned int j = 0; j < i; j++)
			overlaps += maps[i] < maps[j] + SIZE &&
				    maps[j] < maps[i] + SIZE;
	}
	must(s, "overlaps", overlaps, 0);
	must(s, "bytes", scome_counter("arena_bytes") - bytes, 16 * SIZE);
	for (unsigned int i = 0; i < 16; i++)
		NEED(!munmap(maps[i], SIZE));
	must(s, "given_back", scome_counter("arena_bytes"), bytes);
}

SCENARIO_LINKED(private_addresses, "SCM-10")
{
	int fd = stamped_file(SIZE);
	char *common = map_linked(NULL, SIZE, 0, fd, 0), *hint, *fixed, *second;

	NEED(common);
	hint = map_linked(free_space(SIZE), SIZE, 0, fd, 0);
	NEED(hint);
	must(s, "hint", in_arena(hint, SIZE), 0);
	fixed = free_space(SIZE);
	must(s, "fixed", map_linked(fixed, SIZE, MAP_FIXED, fd, 0) == fixed, 1);
	second = map_linked(NULL, SIZE, 0, fd, 0);
	NEED(second);
	must(s, "second", in_arena(second, SIZE), 0);
	must(s, "sum", sum_all(second, SIZE), stamp_sum(0, SIZE));
	sum_all(hint, SIZE);
	sum_all(fixed, SIZE);
	sum_all(common, SIZE);
	set_word(common + MIB, 4711);
	must(s, "seen",
	     word(hint + MIB) == 4711 && word(fixed + MIB) == 4711 &&
		     word(second + MIB) == 4711,
	     1);
	must(s, "tables", scome_counter("tables"), SIZE / RANGE);
	links(s, "links", common, "1111");
	links(s, "links_hint", hint, "1111");
	links(s, "links_fixed", fixed, "1111");
	links(s, "links_second", second, "1111");
}

/* of somebody else's place */
SCENARIO_LINKED(hint_into_the_arena, "SCM-1,SCM-10")
{
	struct window w = window("arena");
	int fd = stamped_file(SIZE);
	char *far = (char *)w.start + 3 * GIB;
	char *map = map_linked(far, SIZE, 0, fd, 0), *other;

	NEED(map);
	must(s, "linked", map == far, 0);
	other = mmap(far, SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(other != MAP_FAILED);
	must(s, "ordinary", in_arena(other, SIZE), 0);
	other = mmap((char *)w.start - PAGE, SIZE, RW,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(other != MAP_FAILED);
	must(s, "reaches_in", in_arena(other, SIZE), 0);
	other = mmap(far, SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		     0);
	must(s, "forced", other == far, 1);
	NEED(!munmap(far, SIZE));
}

static void *reserve(size_t size)
{
	return mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* all that there is to be had, in pieces that become smaller */
static int takes_everything(void *context)
{
	(void)context;
	for (size_t size = 8 * TIB; size >= 64 * GIB; size /= 2) {
		unsigned int i;

		for (i = 0; i < 64; i++) {
			char *map = reserve(size);

			if (map == MAP_FAILED)
				break;
			if (in_arena(map, size))
				return 1;
		}
		if (i == 64)
			return 2;
	}
	return 0;
}

static int takes_everything_bottom_up(void *context)
{
	char *arguments[] = { "arena", "--takes-everything", NULL };

	(void)context;
	/* the layout is chosen at exec */
	personality(ADDR_COMPAT_LAYOUT);
	execv("/proc/self/exe", arguments);
	return 3;
}

SCENARIO_LINKED(ordinary_mappings_keep_off, "SCM-1")
{
	/* somebody has to use it */
	NEED(map_linked(NULL, SIZE, 0, memory_file(SIZE), 0));
	must(s, "top_down", in_child(takes_everything, NULL), 0);
	must(s, "bottom_up", in_child(takes_everything_bottom_up, NULL), 0);
}

/* who has lost the common address to somebody else gets another one */
SCENARIO_LINKED(occupied, "SCM-1,SCM-10")
{
	int fd = stamped_file(SIZE);
	char *map = map_linked(NULL, SIZE, 0, fd, 0), *second, *page;
	struct party party = { .fd = fd, .size = SIZE };

	NEED(map);
	NEED(!munmap(map + 2 * MIB, SIZE - 2 * MIB));
	page = mmap(map + SIZE - PAGE, PAGE, RW,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	NEED(page == map + SIZE - PAGE);
	second = map_linked(NULL, SIZE, 0, fd, 0);
	NEED(second);
	must(s, "private", in_arena(second, SIZE), 0);
	must(s, "sum", sum_all(second, SIZE), stamp_sum(0, SIZE));
	links(s, "links", second, "1111");
	party.wanted = map;
	must(s, "others", in_child(finds_it_there, &party), 0);
}

/* a file that becomes larger: everybody sees it, and it grows where it lies */
SCENARIO_LINKED(growth, "SCM-3,SCM-4")
{
	struct party party = { .fd = stamped_file(SIZE), .size = 2 * SIZE };
	char *map = map_linked(NULL, SIZE, 0, party.fd, 0), *bigger;
	int64_t bytes = scome_counter("arena_bytes");

	NEED(map);
	NEED(sum_all(map, SIZE));
	must(s, "grow", err(ftruncate(party.fd, 2 * SIZE)), 0);
	stamp_file(party.fd, 2 * SIZE);
	party.wanted = map;
	must(s, "same_address", in_child(finds_it_there, &party), 0);
	must(s, "bytes", scome_counter("arena_bytes") - bytes, SIZE);
	bigger = mremap(map, SIZE, 2 * SIZE, 0);
	must(s, "in_place", bigger == map, 1);
	must(s, "sum", sum_all(map, 2 * SIZE), stamp_sum(0, 2 * SIZE));
	links(s, "links", map, "11111111");
	/* no other file has got what it grew into */
	must(s, "neighbour",
	     map_linked(NULL, SIZE, 0, memory_file(SIZE), 0) >= map + 2 * SIZE,
	     1);
}

/* the file grows under mappings that are longer than it was */
SCENARIO_LINKED(growth_under_a_mapping, "SCM-4")
{
	int fd = stamped_file(2 * MIB);
	char *map = map_linked(NULL, SIZE, 0, fd, 0),
	     *other = map_linked(NULL, SIZE, 0, fd, 0);

	NEED(map && other);
	must(s, "before", try_read(map + 4 * MIB), RAISED(SIGBUS, BUS_ADRERR));
	must(s, "grow", err(fallocate(fd, 0, 0, SIZE)), 0);
	set_word(map + 4 * MIB, 4711);
	must(s, "other", word(other + 4 * MIB), 4711);
	sum_all(map, SIZE);
	sum_all(other, SIZE);
	links(s, "links", map, "1111");
	links(s, "links_other", other, "1111");
}

/* with a neighbour in the way there is another place, for all who want that much */
SCENARIO_LINKED(growth_beside_a_neighbour, "SCM-4")
{
	struct party party = { .fd = stamped_file(SIZE), .size = 2 * SIZE };
	char *map = map_linked(NULL, SIZE, 0, party.fd, 0),
	     *neighbour = map_linked(NULL, SIZE, 0, memory_file(SIZE), 0), *all;

	NEED(map && neighbour);
	if (neighbour != map + SIZE) {
		skip(s, "in_place", "the neighbour lies elsewhere");
		skip(s, "elsewhere", "the neighbour lies elsewhere");
		skip(s, "same_address", "the neighbour lies elsewhere");
		skip(s, "old_address", "the neighbour lies elsewhere");
		return;
	}
	NEED(!munmap(neighbour, MIB));
	NEED(!ftruncate(party.fd, 2 * SIZE));
	stamp_file(party.fd, 2 * SIZE);
	must(s, "in_place",
	     mremap(map, SIZE, SIZE + MIB, 0) == MAP_FAILED ? errno : 0,
	     ENOMEM);
	all = map_linked(NULL, 2 * SIZE, 0, party.fd, 0);
	NEED(all);
	must(s, "elsewhere", in_arena(all, 2 * SIZE) && all != map, 1);
	party.wanted = all;
	must(s, "same_address", in_child(finds_it_there, &party), 0);
	party.size = SIZE;
	party.wanted = map;
	must(s, "old_address", in_child(finds_it_there, &party), 0);
}

/* GiB of the file are GiB of the arena */
SCENARIO_LINKED(parents_are_aligned, "SCM-1,SCM-6")
{
	int fd = memory_file(3 * GIB);
	char *small = map_linked(NULL, SIZE, 0, memory_file(SIZE), 0),
	     *map = map_linked(NULL, GIB, 0, fd, GIB);

	NEED(small && map);
	must(s, "aligned", (uintptr_t)map % GIB, 0);
	must(s, "in_arena", in_arena(map, GIB), 1);
	must(s, "whole_file", map_linked(NULL, 3 * GIB, 0, fd, 0) == map - GIB,
	     0);
	NEED(!munmap(map, GIB));
	must(s, "whole_file_there",
	     map_linked(NULL, 3 * GIB, 0, fd, 0) == map - GIB, 1);
}

/* more than the window has */
SCENARIO_LINKED(exhausted, "SCM-1,SCM-10")
{
	int fds[] = { memory_file(9 * TIB), memory_file(9 * TIB) };
	char *maps[2], *small;

	for (unsigned int i = 0; i < 2; i++) {
		maps[i] = map_linked(NULL, 9 * TIB, MAP_NORESERVE, fds[i], 0);
		NEED(maps[i]);
	}
	must(s, "first", in_arena(maps[0], 9 * TIB), 1);
	must(s, "second", in_arena(maps[1], 9 * TIB), 0);
	set_word(maps[1] + 8 * TIB, 4711);
	must(s, "linked", is_linked(maps[1] + 8 * TIB), 1);
	small = map_linked(NULL, SIZE, 0, memory_file(SIZE), 0);
	NEED(small);
	must(s, "small", in_arena(small, SIZE), 1);
}

/* who says where, in the window for that, is alone there or hears of it */
SCENARIO_LINKED(fixed_window, "SCM-1,SCM-11")
{
	struct window w = window("arena_fixed");
	int fd = stamped_file(SIZE), other = stamped_file(SIZE);
	char *place = (char *)w.start + 5 * GIB, *map;
	int64_t bytes = scome_counter("arena_bytes");

	must(s, "base", w.start, 32 * TIB);
	map = map_linked(place, SIZE, MAP_FIXED_NOREPLACE, fd, 0);
	must(s, "mapped", map == place, 1);
	must(s, "bytes", scome_counter("arena_bytes") - bytes, SIZE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	NEED(!munmap(map + 4 * MIB, 4 * MIB));
	errno = 0;
	must(s, "conflict",
	     map_linked(place + 4 * MIB, 4 * MIB, MAP_FIXED, other, 0) ? 0 :
									 errno,
	     EEXIST);
	must(s, "conflict_hint",
	     map_linked(place + 6 * MIB, 4 * MIB, 0, other, 0) ? 0 : errno,
	     EEXIST);
	must(s, "conflict_itself",
	     map_linked(place + 4 * MIB, 4 * MIB, MAP_FIXED, fd, 0) ? 0 : errno,
	     EEXIST);
	must(s, "again",
	     map_linked(place + 4 * MIB, 4 * MIB, MAP_FIXED_NOREPLACE, fd,
			4 * MIB) == place + 4 * MIB,
	     1);
	must(s, "more",
	     map_linked(place + SIZE, SIZE, MAP_FIXED_NOREPLACE, fd, SIZE) ==
		     place + SIZE,
	     1);
	must(s, "bytes_more", scome_counter("arena_bytes") - bytes, 2 * SIZE);
	must(s, "free_hint",
	     map_linked(place + 64 * MIB, SIZE, 0, other, 0) ==
		     place + 64 * MIB,
	     1);
	must(s, "ordinary",
	     mmap(place + 128 * MIB, SIZE, RW, MAP_SHARED | MAP_FIXED, fd, 0) ==
		     place + 128 * MIB,
	     1);
	NEED(!munmap(place, 3 * SIZE));
	must(s, "free_again",
	     map_linked(place, SIZE, MAP_FIXED_NOREPLACE, other, 0) == place,
	     1);
	must(s, "window_end",
	     map_linked((char *)w.end - 4 * MIB, SIZE, MAP_FIXED_NOREPLACE,
			other, 0) ?
		     0 :
		     errno,
	     ENOMEM);
}

/* a place that was claimed in pieces is as good as one that was claimed at once */
SCENARIO_LINKED(fixed_in_pieces, "SCM-1,SCM-11")
{
	char *place = (char *)window("arena_fixed").start + 7 * GIB;
	int fd = stamped_file(16 * MIB);
	struct {
		size_t from;
		size_t size;
	} pieces[] = { { 2 * MIB, 2 * MIB },  { 10 * MIB, 2 * MIB },
		       { 0, 2 * MIB },	      { 0, 12 * MIB },
		       { 10 * MIB, 2 * MIB }, { 4 * MIB, 8 * MIB },
		       { 0, 16 * MIB } };
	char *keeps =
		map_linked(place + 12 * MIB, 4 * MIB, MAP_FIXED, fd, 12 * MIB);
	unsigned int good = 0;

	NEED(keeps);
	for (unsigned int i = 0; i < 7; i++) {
		char *at = place + pieces[i].from;

		good += map_linked(at, pieces[i].size, MAP_FIXED, fd,
				   pieces[i].from) == at;
	}
	must(s, "pieces", good, 7);
	must(s, "sum", sum_all(place, 16 * MIB), stamp_sum(0, 16 * MIB));
	links(s, "links", place, "11111111");
	/* who comes next finds it as it was, again and again */
	good = 0;
	for (unsigned int i = 0; i < 20; i++) {
		NEED(!munmap(place, 16 * MIB));
		good += map_linked(place, 16 * MIB, MAP_FIXED_NOREPLACE, fd,
				   0) == place;
	}
	must(s, "again", good, 20);
}

static int shmat_child(void *context)
{
	struct party *party = context;

	shmdt(party->wanted);
	return shmat(party->fd, NULL, 0) == party->wanted ? 0 : 1;
}

SCENARIO_LINKED(system_v, "SCM-1,SCM-2")
{
	struct party party = { .fd = shmget(IPC_PRIVATE, SIZE,
					    IPC_CREAT | 0600) };

	NEED(party.fd >= 0);
	NEED(!scome_set(SCOME_ON, RANGE));
	party.wanted = shmat(party.fd, NULL, 0);
	NEED(party.wanted != (char *)-1);
	must(s, "in_arena", in_arena(party.wanted, SIZE), 1);
	must(s, "same_address", in_child(shmat_child, &party), 0);
	NEED(!shmctl(party.fd, IPC_RMID, NULL));
}

/* who is refused leaves nothing behind */
SCENARIO_LINKED(refused, "SCM-1,SCM-8")
{
	int fd = memory_file(SIZE), reader = reopen(fd, O_RDONLY);
	int64_t bytes = scome_counter("arena_bytes");
	char *low;

	must(s, "write", map_linked(NULL, SIZE, 0, reader, 0) ? 0 : errno,
	     EACCES);
	must(s, "odd", map_linked(NULL, RANGE, 0, fd, PAGE) ? 0 : errno,
	     EOPNOTSUPP);
	low = map_linked(NULL, SIZE, MAP_32BIT, fd, 0);
	NEED(low);
	must(s, "low", (uintptr_t)low < 4 * GIB, 1);
	NEED(!munmap(low, SIZE));
	NEED(!write_text("/sys/kernel/mm/scome/retire_kept", "1"));
	must(s, "bytes", scome_counter("arena_bytes") - bytes, 0);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--takes-everything"))
		return takes_everything(NULL);
	return test_harness_run(argc, argv);
}
