// SPDX-License-Identifier: GPL-2.0
/*
 * Permissions of a part of a range: the process gets a leaf table that is the
 * system's, and whoever wants the same permissions finds it.
 */
#include <sys/prctl.h>
#include <sys/uio.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define ALL "1111"
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)
/* a page in the middle of the second range */
#define AT (3 * MIB)

#ifndef __NR_mseal
#define __NR_mseal 462
#endif

static bool views_are(const struct side *s, int64_t wanted)
{
	return !s->linked || scome_counter("views") == wanted;
}

static bool tables_are(const struct side *s, int64_t wanted)
{
	return !s->linked || scome_counter("tables") == wanted;
}

static char *protected_page(struct side *s, int fd, int prot)
{
	char *map = map_touched(s, SIZE, RW, fd);

	NEED(!mprotect(map + AT, PAGE, prot));
	sum_all(map, AT);
	sum_all(map + AT + PAGE, SIZE - AT - PAGE);
	return map;
}

SCENARIO(one_page, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "none", views_are(s, 0), 1);
	must(s, "mprotect", err(mprotect(map + AT, PAGE, PROT_READ)), 0);
	must(s, "view", views_are(s, 1), 1);
	must(s, "write", try_write(map + AT, 99), SEGV_DENIED);
	must(s, "read", word(map + AT), AT / PAGE + 1);
	must(s, "before", try_write(map + AT - PAGE, AT / PAGE), 0);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	must(s, "still", try_write(map + AT, 99), SEGV_DENIED);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, ALL);
	must(s, "tables", tables_are(s, 5), 1);
	must(s, "back", err(mprotect(map + AT, PAGE, RW)), 0);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "write_back", try_write(map + AT, AT / PAGE + 1), 0);
	must(s, "sum_back", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links_back", map, ALL);
	must(s, "tables_back", tables_are(s, 4), 1);
}

/* every mapping of an address is as the table of permissions says */
SCENARIO(many_runs, "SCM-15")
{
	static const int prots[] = { PROT_READ, RW, PROT_NONE };
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	unsigned int right = 0;

	for (unsigned int i = 0; i < 30; i++)
		NEED(!mprotect(map + RANGE + i * 8 * PAGE, 8 * PAGE,
			       prots[i % 3]));
	for (unsigned int i = 0; i < 240; i++) {
		char *page = map + RANGE + i * PAGE;
		int prot = prots[i / 8 % 3];

		right += try_read(page) == (prot ? 0 : SEGV_DENIED) &&
			 try_write(page, (RANGE + i * PAGE) / PAGE + 1) ==
				 (prot == RW ? 0 : SEGV_DENIED);
	}
	must(s, "right", right, 240);
	must(s, "view", views_are(s, 1), 1);
	must(s, "mprotect", err(mprotect(map, SIZE, RW)), 0);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, ALL);
}

/* a view has a bound: then the range is ordinary and nobody sees a difference */
SCENARIO(too_many_runs, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	unsigned int right = 0;

	for (unsigned int i = 0; i < 100; i += 2)
		NEED(!mprotect(map + RANGE + i * PAGE, PAGE, PROT_READ));
	for (unsigned int i = 0; i < 100; i++)
		right += try_write(map + RANGE + i * PAGE,
				   (RANGE + i * PAGE) / PAGE + 1) ==
			 (i & 1 ? 0 : SEGV_DENIED);
	must(s, "right", right, 100);
	must(s, "no_view", views_are(s, 0), 1);
	relinks(s, "links", map, "1011");
	must(s, "mprotect", err(mprotect(map, SIZE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links_back", map, ALL);
}

/* who changes a part all the time has a table of its own before long */
SCENARIO(changed_all_the_time, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);
	unsigned int right = 0;

	for (unsigned int i = 0; i < 300; i++) {
		NEED(!mprotect(map + AT + 8 * PAGE, PAGE,
			       i & 1 ? PROT_NONE : PROT_READ));
		right += try_read(map + AT + 8 * PAGE) ==
				 (i & 1 ? SEGV_DENIED : 0) &&
			 try_write(map + AT, 1) == SEGV_DENIED &&
			 !try_write(map + AT + PAGE, AT / PAGE + 2);
	}
	must(s, "right", right, 300);
	relinks(s, "links", map, "1011");
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "back", err(mprotect(map, SIZE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links_back", map, ALL);
}

SCENARIO(both_ends_of_a_range, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mprotect",
	     err(mprotect(map + RANGE - PAGE, 2 * RANGE, PROT_READ)), 0);
	must(s, "views", views_are(s, 2), 1);
	must(s, "before", try_write(map + RANGE - 2 * PAGE, RANGE / PAGE - 1),
	     0);
	must(s, "first", try_write(map + RANGE - PAGE, 1), SEGV_DENIED);
	must(s, "middle", try_write(map + RANGE, 1), SEGV_DENIED);
	must(s, "last", try_write(map + 3 * RANGE - 2 * PAGE, 1), SEGV_DENIED);
	must(s, "after", try_write(map + 3 * RANGE - PAGE, 3 * RANGE / PAGE),
	     0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, ALL);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "no_view", views_are(s, 0), 1);
}

/* a write of the kernel on behalf of the process */
SCENARIO(kernel_obeys, "SCM-15")
{
	int fd = stamped_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = protected_page(s, fd, PROT_READ);
	uint64_t value = 4711;
	struct iovec mine = { &value, 8 }, there = { map + AT, 8 };

	must(s, "direct", err(pread(disk, map + AT, PAGE, 0)), -EFAULT);
	must(s, "read", err(pread(fd, map + AT, 8, 0)), -EFAULT);
	must(s, "vm_writev",
	     err(process_vm_writev(getpid(), &mine, 1, &there, 1, 0)), -EFAULT);
	must(s, "vm_readv",
	     err(process_vm_readv(getpid(), &mine, 1, &there, 1, 0)), 8);
	must(s, "value", value, AT / PAGE + 1);
	must(s, "beside", err(pread(disk, map + AT + PAGE, PAGE, 0)), PAGE);
	must(s, "beside_value", word(map + AT + PAGE), 5001);
	must(s, "unchanged", word(map + AT), AT / PAGE + 1);
	links(s, "links", map, ALL);
}

static int64_t read_forced(const char *address)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint64_t value = 0;

	NEED(fd >= 0);
	if (pread(fd, &value, 8, (off_t)(uintptr_t)address) != 8)
		value = -errno;
	close(fd);
	return value;
}

/* what a debugger sees of memory that may not be accessed */
SCENARIO(no_access, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mprotect", err(mprotect(map + AT, PAGE, PROT_NONE)), 0);
	must(s, "forced_first", read_forced(map + AT), AT / PAGE + 1);
	must(s, "read", try_read(map + AT), SEGV_DENIED);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "forced", read_forced(map + AT), AT / PAGE + 1);
	must(s, "beside", try_read(map + AT + PAGE), 0);
	must(s, "read_again", try_read(map + AT), SEGV_DENIED);
	relinks(s, "links", map, ALL);
	must(s, "back", err(mprotect(map + AT, PAGE, RW)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(code_in_data, "SCM-15")
{
	int fd = memory_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	put_code(map + AT);
	put_code(map + AT + PAGE);
	must(s, "mprotect",
	     err(mprotect(map + AT, PAGE, PROT_READ | PROT_EXEC)), 0);
	must(s, "runs", call_code(map + AT), 42);
	must(s, "beside", in_child(call_code, map + AT + PAGE), 128 + SIGSEGV);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "write_beside", try_write(map + AT + PAGE, 1), 0);
	relinks(s, "links", map, ALL);
}

struct party {
	struct side *s;
	int fd;
	int prot;
	size_t at;
	int64_t views;
	/* somebody has used that view before: it has all pages */
	bool warm;
};

/* 0 when its own restriction holds and there are so many views now */
static int restricts(void *context)
{
	struct party *party = context;
	char *map = map_side(party->s, SIZE, RW, party->fd, 0);
	char *page = map + party->at;
	int64_t faults;

	NEED(!mprotect(page, PAGE, party->prot));
	faults = minor_faults();
	if (sum_all(map, SIZE) != stamp_sum(0, SIZE))
		return 1;
	/* a fault for each table at most */
	if (party->s->linked && party->warm && minor_faults() - faults > 4 + 2)
		return 2;
	if (try_write(page, 1) != SEGV_DENIED ||
	    try_write(page + PAGE, (party->at + PAGE) / PAGE + 1))
		return 3;
	return views_are(party->s, party->views) ? 0 : 4;
}

SCENARIO(found_again, "SCM-15,SCM-17")
{
	struct party party = { .s = s,
			       .fd = stamped_file(SIZE),
			       .prot = PROT_READ,
			       .at = AT,
			       .views = 1,
			       .warm = true };
	char *map = protected_page(s, party.fd, PROT_READ);

	must(s, "same", in_child(restricts, &party), 0);
	must(s, "one_left", views_are(s, 1), 1);
	party.warm = false;
	party.at = AT + 4 * PAGE;
	party.views = 2;
	must(s, "other_page", in_child(restricts, &party), 0);
	must(s, "one_again", views_are(s, 1), 1);
	party.at = RANGE + PAGE;
	party.views = 2;
	must(s, "other_place", in_child(restricts, &party), 0);
	party.at = RANGE * 3 - PAGE * 2;
	party.prot = PROT_READ | PROT_EXEC;
	must(s, "other_range", in_child(restricts, &party), 0);
	must(s, "still", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "none", views_are(s, 0), 1);
	party.at = AT;
	party.views = 1;
	party.prot = PROT_READ;
	must(s, "from_nothing", in_child(restricts, &party), 0);
	must(s, "nothing", views_are(s, 0), 1);
}

/* one process may see the range twice, restricted in two ways or in the same */
SCENARIO(two_mappings, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ),
	     *two = map_side(s, SIZE, RW, fd, 0);

	NEED(!mprotect(two + AT, PAGE, PROT_READ));
	must(s, "sum_two", sum_all(two, SIZE), stamp_sum(0, SIZE));
	must(s, "one_view", views_are(s, 1), 1);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "write_two", try_write(two + AT, 1), SEGV_DENIED);
	NEED(!mprotect(two + AT + PAGE, PAGE, PROT_READ));
	must(s, "two_views", views_are(s, 2), 1);
	set_word(map + AT + PAGE, 4711);
	must(s, "seen", word(two + AT + PAGE), 4711);
	must(s, "write_two_more", try_write(two + AT + PAGE, 1), SEGV_DENIED);
	must(s, "munmap", err(munmap(two, SIZE)), 0);
	must(s, "one_left", views_are(s, 1), 1);
	set_word(map + AT + PAGE, AT / PAGE + 2);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, ALL);
}

/* what happens to the pages is seen through the view and around it */
SCENARIO(coherent, "SCM-5,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ),
	     *other = map_side(s, SIZE, RW, fd, 0);

	set_word(other + AT, 4711);
	must(s, "written", word(map + AT), 4711);
	set_word(map + AT + PAGE, 4712);
	must(s, "written_back", word(other + AT + PAGE), 4712);
	must(s, "punch", punch_hole(fd, AT, 2 * PAGE), 0);
	must(s, "hole", word(map + AT), 0);
	must(s, "hole_beside", word(map + AT + PAGE), 0);
	set_word(other + AT, 4713);
	must(s, "new_page", word(map + AT), 4713);
	must(s, "truncate", err(ftruncate(fd, AT)), 0);
	must(s, "gone", try_read(map + AT), RAISED(SIGBUS, BUS_ADRERR));
	must(s, "gone_beside", try_read(map + AT + PAGE),
	     RAISED(SIGBUS, BUS_ADRERR));
	must(s, "left", word(map + AT - PAGE), AT / PAGE);
	must(s, "grow", err(ftruncate(fd, SIZE)), 0);
	must(s, "new", word(map + AT), 0);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "write_beside", try_write(map + AT + PAGE, 5), 0);
	must(s, "seen", word(other + AT + PAGE), 5);
	links(s, "links", map, ALL);
}

SCENARIO(swapped, "SCM-2,SCM-15")
{
	const char *cgroup = own_cgroup();
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0), path[128];
	int64_t reclaim;

	stamp_all(map, SIZE);
	NEED(!mprotect(map + AT, PAGE, PROT_READ));
	must(s, "before", sum_all(map, SIZE), stamp_sum(0, SIZE));
	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	reclaim = write_text(path, "6M");
	must(s, "reclaim", reclaim == 0 || reclaim == -EAGAIN, 1);
	snprintf(path, sizeof(path), "%s/memory.swap.current", cgroup);
	must_in_memory(s, "swapped", read_number(path) >= (int64_t)(4 * MIB),
		       1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "write_beside", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	links(s, "links", map, ALL);
}

SCENARIO(migrated, "SCM-5,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "compact", write_text("/proc/sys/vm/compact_memory", "1"), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "offline", err(madvise(map + AT, PAGE, MADV_SOFT_OFFLINE)), 0);
	must(s, "moved", word(map + AT), AT / PAGE + 1);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "beside", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	relinks(s, "links", map, ALL);
}

static void poison(void *page)
{
	madvise(page, PAGE, MADV_HWPOISON);
}

SCENARIO(poisoned, "SCM-5,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	NEED(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	try_call(poison, map + AT);
	must(s, "read", try_read(map + AT) & 0xff, SIGBUS);
	must(s, "beside", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	must(s, "punch", punch_hole(fd, AT, PAGE), 0);
}

/* the child has what the parent has, without a fault for each page */
struct family {
	struct side *s;
	char *map;
	int fd;
};

static int child_is_restricted(void *context)
{
	struct family *family = context;
	char *map = family->map;
	int64_t faults = minor_faults();

	if (sum_all(map, SIZE) != stamp_sum(0, SIZE))
		return 1;
	if (family->s->linked && minor_faults() - faults > 4 + 2)
		return 2;
	if (!links_are(family->s, map, ALL))
		return 3;
	if (try_write(map + AT, 1) != SEGV_DENIED)
		return 4;
	if (!views_are(family->s, 1))
		return 5;
	/* its own business */
	if (mprotect(map + AT, PAGE, RW) || try_write(map + AT, 4711))
		return 6;
	return views_are(family->s, 1) ? 0 : 7;
}

SCENARIO(fork_inherits, "SCM-15,SCM-17")
{
	struct family family = { .s = s, .fd = stamped_file(SIZE) };
	char *map = protected_page(s, family.fd, PROT_READ);

	family.map = map;
	must(s, "child", in_child(child_is_restricted, &family), 0);
	must(s, "seen", word(map + AT), 4711);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "view", views_are(s, 1), 1);
	links(s, "links", map, ALL);
}

static int child_lacks_page(void *context)
{
	struct family *family = context;
	char *map = family->map;

	if (try_read(map + AT + PAGE) || try_read(map + AT - PAGE))
		return 1;
	if (try_read(map + AT) != SEGV_UNMAPPED)
		return 2;
	return views_are(family->s, 1) ? 0 : 3;
}

/* a part that the child does not get must not be behind the table that it gets */
SCENARIO(fork_without_a_part, "SCM-6,SCM-15")
{
	struct family family = { .s = s, .fd = stamped_file(SIZE) };
	char *map = protected_page(s, family.fd, PROT_READ);

	family.map = map;
	must(s, "madvise", err(madvise(map + AT, PAGE, MADV_DONTFORK)), 0);
	must(s, "child", in_child(child_lacks_page, &family), 0);
	must(s, "mine", word(map + AT), AT / PAGE + 1);
	must(s, "again", err(madvise(map + AT, PAGE, MADV_DOFORK)), 0);
	must(s, "inherits", in_child(child_is_restricted, &family), 0);
}

/* the part is a VMA of its own: nothing is split when it goes */
SCENARIO(munmap_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "munmap", err(munmap(map + AT, PAGE)), 0);
	must(s, "gone", try_read(map + AT), SEGV_UNMAPPED);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "before", try_write(map + AT - PAGE, AT / PAGE), 0);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	must(s, "gone_still", try_read(map + AT), SEGV_UNMAPPED);
	relinks(s, "links", map, "1011");
}

SCENARIO(munmap_beside_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "munmap", err(munmap(map + AT + PAGE, 3 * PAGE)), 0);
	must(s, "gone", try_read(map + AT + PAGE), SEGV_UNMAPPED);
	must(s, "part", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "read", word(map + AT), AT / PAGE + 1);
	must(s, "after", try_write(map + AT + 4 * PAGE, AT / PAGE + 5), 0);
	relinks(s, "links", map, "1011");
	must(s, "no_view", views_are(s, 0), 1);
}

SCENARIO(map_over_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ), *over;

	over = mmap(map + AT, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		    -1, 0);
	must(s, "mmap", over == map + AT, 1);
	must(s, "zero", word(over), 0);
	set_word(over, 4711);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	must(s, "own", word(over), 4711);
	relinks(s, "links", map, "1011");
	must(s, "no_view", views_are(s, 0), 1);
}

SCENARIO(move_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ), *moved;

	moved = mremap(map + AT, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       free_space(RANGE));
	must(s, "mremap", moved != MAP_FAILED, 1);
	must(s, "value", word(moved), AT / PAGE + 1);
	must(s, "write", try_write(moved, 1), SEGV_DENIED);
	must(s, "gone", try_read(map + AT), SEGV_UNMAPPED);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	relinks(s, "links", map, "1011");
	must(s, "no_view", views_are(s, 0), 1);
}

/* the mapping moves as a whole: a VMA at a time, so nothing is promised there */
SCENARIO(move_all, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ), *place = free_space(SIZE),
	     *moved;

	moved = mremap(map, AT, AT, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	must(s, "head", moved == place, 1);
	moved = mremap(map + AT, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       place + AT);
	must(s, "part", moved == place + AT, 1);
	moved = mremap(map + AT + PAGE, SIZE - AT - PAGE, SIZE - AT - PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, place + AT + PAGE);
	must(s, "tail", moved == place + AT + PAGE, 1);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "sum", sum_all(place, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(place + AT, 1), SEGV_DENIED);
	relinks(s, "links", place, "1?11");
	must(s, "back", err(mprotect(place, SIZE, RW)), 0);
	relinks(s, "links_back", place, ALL);
}

/* other states of a part that have no place in a table that others use */
SCENARIO(lock_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "mlock", err(mlock(map + AT, PAGE)), 0);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	relinks(s, "links", map, "1011");
	must(s, "munlock", err(munlock(map + AT, PAGE)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(key_for_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE), key = pkey_alloc(0, 0);
	char *map = protected_page(s, fd, PROT_READ);

	NEED(key > 0);
	must(s, "pkey_mprotect",
	     err(pkey_mprotect(map + AT, PAGE, PROT_READ, key)), 0);
	must(s, "no_view", views_are(s, 0), 1);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	/* a signal handler that is left by a jump leaves its own rights behind */
	NEED(!pkey_set(key, 0));
	must(s, "read", try_read(map + AT), 0);
	must(s, "after", try_write(map + AT + PAGE, AT / PAGE + 2), 0);
	relinks(s, "links", map, "1011");
}

/* key 0 is what every page has: the same as mprotect() */
SCENARIO(key_0, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "pkey_mprotect",
	     err(pkey_mprotect(map + AT, PAGE, PROT_READ, 0)), 0);
	must(s, "view", views_are(s, 1), 1);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	relinks(s, "links", map, ALL);
}

SCENARIO(sealed, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "mseal", err(syscall(__NR_mseal, map + AT, PAGE, 0)), 0);
	must(s, "view", views_are(s, 1), 1);
	must(s, "mprotect", err(mprotect(map + AT, PAGE, RW)), -EPERM);
	must(s, "munmap", err(munmap(map + AT, PAGE)), -EPERM);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "others", err(mprotect(map + AT + PAGE, PAGE, PROT_READ)), 0);
	must(s, "write_others", try_write(map + AT + PAGE, 1), SEGV_DENIED);
	must(s, "across", err(mprotect(map, SIZE, RW)), -EPERM);
	must(s, "write_still", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1?11");
}

/* what is said about a part without changing what it may do */
SCENARIO(advice_for_the_part, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "random", err(madvise(map + AT, PAGE, MADV_RANDOM)), 0);
	must(s, "split", err(madvise(map + AT + 8 * PAGE, PAGE, MADV_RANDOM)),
	     0);
	must(s, "view", views_are(s, 1), 1);
	links(s, "links", map, ALL);
	must(s, "write", try_write(map + AT, 1), SEGV_DENIED);
	must(s, "dontneed", err(madvise(map + AT, PAGE, MADV_DONTNEED)), 0);
	must(s, "again", word(map + AT), AT / PAGE + 1);
	must(s, "pageout", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	must(s, "normal", err(madvise(map + AT + 8 * PAGE, PAGE, MADV_NORMAL)),
	     0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "view_still", views_are(s, 1), 1);
	links(s, "links_still", map, ALL);
}

/* the table is told once, however many VMAs lie over it */
SCENARIO_LINKED(smaps_tells_once, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = protected_page(s, fd, PROT_READ);

	must(s, "head", smaps_kb(map, "SharedPT"), 8);
	must(s, "part", smaps_kb(map + AT, "SharedPT"), 0);
	must(s, "tail", smaps_kb(map + AT + PAGE, "SharedPT"), 8);
	must(s, "own_part", smaps_kb(map + AT, "PageTables"), 0);
	must(s, "status", status_kb("VmSharedPT"), 16);
	must(s, "flag", smaps_flag(map + AT, "sp"), 1);
}

/* together the processes want more views than the unit has room for */
static int wants_views(void *context)
{
	struct party *party = context;
	char *map = map_side(party->s, 40 * RANGE, RW, party->fd, 0);
	unsigned int right = 0;

	for (unsigned int i = 0; i < 40; i++) {
		char *page = map + i * RANGE + party->at;

		if (mprotect(page, PAGE, PROT_READ))
			return 1;
		right += try_write(page, 1) == SEGV_DENIED &&
			 !try_write(page + PAGE, 1) &&
			 !try_write(page - PAGE, 1);
	}
	if (right != 40)
		return 2;
	return !party->s->linked || scome_counter("views") < party->views ? 0 :
									    3;
}

SCENARIO(bounded, "SCM-15")
{
	struct party party = { .s = s, .at = AT, .views = 80 };
	char *map;
	int64_t limit = read_number("/proc/sys/vm/max_map_count");
	char text[32];

	party.fd = memory_file(40 * RANGE);
	party.at = 4 * PAGE;
	map = map_side(s, 40 * RANGE, RW, party.fd, 0);
	for (unsigned int i = 0; i < 40; i++)
		NEED(!mprotect(map + i * RANGE + 16 * PAGE, PAGE, PROT_READ));
	must(s, "views", views_are(s, 40), 1);
	/* two mappings have fewer VMAs, eighty views more */
	NEED(!write_text("/proc/sys/vm/max_map_count", "220"));
	must(s, "child", in_child(wants_views, &party), 0);
	must(s, "left", views_are(s, 40), 1);
	snprintf(text, sizeof(text), "%lld", (long long)limit);
	NEED(!write_text("/proc/sys/vm/max_map_count", text));
	must(s, "write", try_write(map + 16 * PAGE, 1), SEGV_DENIED);
}

TEST_HARNESS_MAIN
