// SPDX-License-Identifier: GPL-2.0
/* Every advice of madvise, msync, mincore, mlock. */
#include "scenario.h"

#define SIZE (8 * MIB)

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#define MADV_UNKNOWN 77

/*
 * The whole mapping, then a page in the middle of the second range. Advice that
 * is kept in the VMA splits it there, and ends the links of that range.
 */
static void advise(struct side *s, int advice, int64_t result,
		   const char *whole, const char *page)
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	uint64_t sum = 0, value;

	must(s, "whole", err(madvise(map, SIZE, advice)), result);
	see(s, "sum_whole", sum_all(map, SIZE));
	relinks(s, "links_whole", map, whole);
	stamp_all(map, SIZE);
	must(s, "page", err(madvise(map + 3 * MIB, PAGE, advice)), result);
	see(s, "sum_page", sum_all(map, SIZE));
	relinks(s, "links_page", map, page);
	set_word(map + 3 * MIB, 4711);
	must(s, "write",
	     pread(fd, &value, sizeof(value), 3 * MIB) == sizeof(value) ?
		     value :
		     0,
	     4711);
	for (size_t at = 0; at < SIZE; at += PAGE)
		if (pread(fd, &value, sizeof(value), at) == sizeof(value))
			sum += value;
	see(s, "file", sum);
}

#define ADVICE(name, advice, result, whole, page)       \
	SCENARIO(madv_##name, "SCM-6")                  \
	{                                               \
		advise(s, advice, result, whole, page); \
	}

ADVICE(normal, MADV_NORMAL, 0, "1111", "1111")
ADVICE(random, MADV_RANDOM, 0, "1111", "1?11")
ADVICE(sequential, MADV_SEQUENTIAL, 0, "1111", "1?11")
ADVICE(willneed, MADV_WILLNEED, 0, "1111", "1111")
ADVICE(dontneed, MADV_DONTNEED, 0, "1111", "1111")
ADVICE(free, MADV_FREE, -EINVAL, "1111", "1111")
ADVICE(remove, MADV_REMOVE, 0, "1111", "1111")
ADVICE(dontfork, MADV_DONTFORK, 0, "1111", "1?11")
ADVICE(dofork, MADV_DOFORK, 0, "1111", "1111")
ADVICE(mergeable, MADV_MERGEABLE, 0, "1111", "1?11")
ADVICE(unmergeable, MADV_UNMERGEABLE, 0, "1111", "1111")
ADVICE(hugepage, MADV_HUGEPAGE, 0, "1111", "1?11")
ADVICE(nohugepage, MADV_NOHUGEPAGE, 0, "1111", "1?11")
ADVICE(dontdump, MADV_DONTDUMP, 0, "1111", "1?11")
ADVICE(dodump, MADV_DODUMP, 0, "1111", "1111")
ADVICE(wipeonfork, MADV_WIPEONFORK, -EINVAL, "1111", "1111")
ADVICE(keeponfork, MADV_KEEPONFORK, 0, "1111", "1111")
ADVICE(cold, MADV_COLD, 0, "1111", "1111")
ADVICE(pageout, MADV_PAGEOUT, 0, "1111", "1111")
ADVICE(populate_read, MADV_POPULATE_READ, 0, "1111", "1111")
ADVICE(populate_write, MADV_POPULATE_WRITE, 0, "1111", "1111")
ADVICE(unknown, MADV_UNKNOWN, -EINVAL, "1111", "1111")

SCENARIO(madv_dontneed_keeps_others, "SCM-5,SCM-16")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	set_word(map + MIB, 10);
	must(s, "madvise", err(madvise(map, SIZE, MADV_DONTNEED)), 0);
	links(s, "links_other", other, "1111");
	must(s, "other", word(other + MIB), 10);
	must(s, "data", word(map + MIB), 10);
}

SCENARIO(madv_remove_reaches_all, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	must(s, "madvise", err(madvise(map + RANGE, RANGE, MADV_REMOVE)), 0);
	must(s, "here", sum_all(map + RANGE, RANGE), 0);
	must(s, "there", sum_all(other + RANGE, RANGE), 0);
	must(s, "left", sum_all(other, RANGE), stamp_sum(0, RANGE));
	relinks(s, "links", map, "1111");
	relinks(s, "links_other", other, "1111");
}

SCENARIO(madv_populate_write_read_only, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, PROT_READ, fd);

	must(s, "write", err(madvise(map, SIZE, MADV_POPULATE_WRITE)), -EINVAL);
	must(s, "read", err(madvise(map, SIZE, MADV_POPULATE_READ)), 0);
	relinks(s, "links", map, "1111");
}

SCENARIO(madv_populate_past_end, "SCM-3")
{
	int fd = stamped_file(4 * MIB);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "madvise", err(madvise(map, SIZE, MADV_POPULATE_READ)),
	     -EFAULT);
	must(s, "sum", sum_all(map, 4 * MIB), stamp_sum(0, 4 * MIB));
	links(s, "links", map, "11??");
}

SCENARIO(madv_soft_offline, "SCM-5")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	/* the page moves to another frame, its contents stay */
	must(s, "madvise", err(madvise(map + 3 * MIB, PAGE, MADV_SOFT_OFFLINE)),
	     0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + 3 * MIB, 12);
	must(s, "coherent", word(other + 3 * MIB), 12);
	relinks(s, "links", map, "1111");
}

static void poison(void *page)
{
	madvise(page, PAGE, MADV_HWPOISON);
}

SCENARIO(madv_hwpoison, "SCM-5")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	/* the process that does it is told at once */
	must(s, "told", try_call(poison, map + 3 * MIB) & 0xff, SIGBUS);
	must(s, "here", try_read(map + 3 * MIB) & 0xff, SIGBUS);
	must(s, "there", try_read(other + 3 * MIB) & 0xff, SIGBUS);
	must(s, "beside", word(other + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	/* a hole where the lost page was makes the place good again */
	must(s, "punch",
	     err(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   3 * MIB, PAGE)),
	     0);
	see(s, "after_punch", try_read(map + 3 * MIB));
}

SCENARIO(msync_all_flags, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	stamp_all(map, SIZE);
	must(s, "sync", err(msync(map, SIZE, MS_SYNC)), 0);
	must(s, "async", err(msync(map, SIZE, MS_ASYNC)), 0);
	must(s, "invalidate", err(msync(map, SIZE, MS_SYNC | MS_INVALIDATE)),
	     0);
	must(s, "both", err(msync(map, SIZE, MS_SYNC | MS_ASYNC)), -EINVAL);
	must(s, "unaligned", err(msync(map + 1, SIZE, MS_SYNC)), -EINVAL);
	NEED(!munmap(map + RANGE, PAGE));
	must(s, "hole", err(msync(map, SIZE, MS_SYNC)), -ENOMEM);
	relinks(s, "links", map, "1011");
}

static unsigned int resident_pages(char *map, size_t size)
{
	unsigned char resident[SIZE / PAGE];
	unsigned int pages = 0;

	NEED(!mincore(map, size, resident));
	for (size_t i = 0; i < size / PAGE; i++)
		pages += resident[i] & 1;
	return pages;
}

SCENARIO(mincore_counts, "SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "empty", resident_pages(map, SIZE), 0);
	for (size_t at = 0; at < SIZE; at += 4 * PAGE)
		set_word(map + at, 1);
	must_in_memory(s, "some", resident_pages(map, SIZE), SIZE / PAGE / 4);
	must(s, "remove", err(madvise(map, RANGE, MADV_REMOVE)), 0);
	must_in_memory(s, "less", resident_pages(map, SIZE),
		       (SIZE - RANGE) / PAGE / 4);
	/* nothing of this process maps them, the file has them still */
	must(s, "dontneed", err(madvise(map, SIZE, MADV_DONTNEED)), 0);
	must_in_memory(s, "same", resident_pages(map, SIZE),
		       (SIZE - RANGE) / PAGE / 4);
	relinks(s, "links", map, "1111");
}

/* a locked VMA leaves; the others of the mapping stay as the split made them */
SCENARIO(mlock_page, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mlock", err(mlock(map + 3 * MIB, PAGE)), 0);
	must(s, "locked_kb", status_kb("VmLck"), 4);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1011");
	must(s, "munlock", err(munlock(map, SIZE)), 0);
	must(s, "unlocked_kb", status_kb("VmLck"), 0);
	set_word(map + 3 * MIB, 3);
	must(s, "write", word(map + 3 * MIB), 3);
	relinks(s, "links_after", map, "1?11");
}

SCENARIO(mlock_whole, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, RW, fd, 0);

	sum_all(other, SIZE);
	must(s, "mlock", err(mlock(map, SIZE)), 0);
	must(s, "locked_kb", status_kb("VmLck"), SIZE / KIB);
	relinks(s, "links", map, "0000");
	links(s, "links_other", other, "1111");
	set_word(map + MIB, 17);
	must(s, "coherent", word(other + MIB), 17);
	must(s, "pageout", err(madvise(map, SIZE, MADV_PAGEOUT)), -EINVAL);
	must(s, "resident", resident_pages(map, SIZE), SIZE / PAGE);
	must(s, "munlock", err(munlock(map, SIZE)), 0);
	must(s, "unlocked_kb", status_kb("VmLck"), 0);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "other", word(other + MIB), 17);
}

SCENARIO(mlock_read_only, "SCM-6,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, PROT_READ, fd);

	must(s, "mlock", err(mlock(map, RANGE)), 0);
	must(s, "locked_kb", status_kb("VmLck"), RANGE / KIB);
	must(s, "write", try_write(map, 1), RAISED(SIGSEGV, SEGV_ACCERR));
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "0111");
}

SCENARIO(mlock_on_fault, "SCM-6")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "mlock2",
	     err(syscall(SYS_mlock2, map, SIZE, 1 /* MLOCK_ONFAULT */)), 0);
	must(s, "none", resident_pages(map, SIZE), 0);
	set_word(map + MIB, 1);
	must_in_memory(s, "one", resident_pages(map, SIZE), 1);
	relinks(s, "links", map, "0000");
}

SCENARIO(mlockall_current, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "mlockall", err(mlockall(MCL_CURRENT)), 0);
	must(s, "locked", smaps_kb(map, "Locked") > 0, 1);
	relinks(s, "links", map, "0000");
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "munlockall", err(munlockall()), 0);
	must(s, "unlocked", smaps_kb(map, "Locked"), 0);
	must(s, "write", try_write(map, 1), 0);
}

/* under prctl, where a mapping that cannot link is an ordinary one */
static char *map_by_prctl(struct side *s, int flags, int fd)
{
	char *map;

	if (s->linked)
		NEED(!scome_set(SCOME_ON, RANGE));
	map = mmap(NULL, SIZE, RW, MAP_SHARED | flags, fd, 0);
	NEED(map != MAP_FAILED);
	if (s->linked)
		NEED(!scome_set(SCOME_OFF, 0));
	return map;
}

SCENARIO(mlockall_future, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map;

	must(s, "mlockall", err(mlockall(MCL_FUTURE)), 0);
	map = map_by_prctl(s, 0, fd);
	must(s, "resident", resident_pages(map, SIZE), SIZE / PAGE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "locked", smaps_kb(map, "Locked") > 0, 1);
	links(s, "links", (char *)(((uintptr_t)map + RANGE - 1) & -RANGE),
	      "000");
	must(s, "munlockall", err(munlockall()), 0);
}

SCENARIO(map_locked, "SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_by_prctl(s, MAP_LOCKED, fd);

	must(s, "locked_kb", status_kb("VmLck"), SIZE / KIB);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", (char *)(((uintptr_t)map + RANGE - 1) & -RANGE),
	      "000");
	must(s, "munlock", err(munlock(map, SIZE)), 0);
	must(s, "unlocked_kb", status_kb("VmLck"), 0);
}

TEST_HARNESS_MAIN
