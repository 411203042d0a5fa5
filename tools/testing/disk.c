// SPDX-License-Identifier: GPL-2.0
/*
 * Files on a disk: what a file system learns of writes through a mapping, and what
 * the mapping learns of the file system. Each scenario runs on ext4 and on f2fs.
 */
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define ALL "1111"
#define BUS_PAST_END RAISED(SIGBUS, BUS_ADRERR)

/* A body with the name of the directory, and two scenarios that call it. */
#define ON_DISKS(scenario, ids)                                      \
	static void scenario(struct side *s, const char *directory); \
	SCENARIO(scenario##_ext4, ids)                               \
	{                                                            \
		scenario(s, EXT4_DIR);                               \
	}                                                            \
	SCENARIO(scenario##_f2fs, ids)                               \
	{                                                            \
		scenario(s, F2FS_DIR);                               \
	}                                                            \
	static void scenario(struct side *s, const char *directory)

static int nameless(const char *directory, size_t size)
{
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	NEED(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

static int stamped_on(const char *directory, size_t size)
{
	int fd = nameless(directory, size);

	stamp_file(fd, size);
	return fd;
}

/* what the disk has there; what the page cache has is written first, if it is dirty */
static uint64_t on_disk(int fd, off_t at)
{
	static char buffer[PAGE] __attribute__((aligned(4096)));
	int direct = reopen(fd, O_RDONLY | O_DIRECT | O_CLOEXEC);

	NEED(pread(direct, buffer, PAGE, at & -PAGE) == (ssize_t)PAGE);
	close(direct);
	return word(buffer + at % PAGE);
}

static int64_t changed_at(int fd)
{
	struct stat status;

	NEED(!fstat(fd, &status));
	return status.st_mtim.tv_sec;
}

static void change_long_ago(int fd)
{
	struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	NEED(!futimens(fd, times));
	NEED(changed_at(fd) == 1000);
}

ON_DISKS(linked, "SCM-2,SCM-3")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *two = map_side(s, SIZE, PROT_READ, fd, 0);

	must(s, "sum", sum_all(two, SIZE), stamp_sum(0, SIZE));
	set_word(map + 3 * MIB, 5);
	must(s, "two", word(two + 3 * MIB), 5);
	must(s, "read_only", try_write(two, 1), RAISED(SIGSEGV, SEGV_ACCERR));
	relinks(s, "links", two, ALL);
}

ON_DISKS(file_sees_writes, "SCM-2")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	uint64_t value = 0;

	set_word(map + 3 * MIB, 77);
	must(s, "pread", pread(fd, &value, 8, 3 * MIB), 8);
	must(s, "read", value, 77);
	value = 78;
	must(s, "pwrite", pwrite(fd, &value, 8, 3 * MIB), 8);
	must(s, "written", word(map + 3 * MIB), 78);
	relinks(s, "links", map, ALL);
}

/* reading on behalf of nobody's access ends where the file does */
ON_DISKS(populate_past_end, "SCM-6")
{
	int fd = stamped_on(directory, SIZE - 3 * MIB);
	unsigned char resident[SIZE / PAGE];
	unsigned int pages = 0;
	char *map;

	NEED(!ftruncate(fd, SIZE - 3 * MIB + 1) && !fsync(fd));
	NEED(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	map = map_side_flags(s, SIZE, PROT_READ, MAP_POPULATE, fd, 0);
	NEED(!mincore(map, SIZE, resident));
	for (size_t i = 0; i < SIZE / PAGE; i++)
		pages += resident[i] & 1;
	must(s, "resident", pages, (SIZE - 3 * MIB) / PAGE + 1);
	must(s, "behind", try_read(map + SIZE - 2 * MIB), BUS_PAST_END);
	must(s, "populate",
	     err(madvise(map + SIZE - 2 * MIB, MIB, MADV_POPULATE_READ)),
	     -EFAULT);
	must(s, "sum", sum_all(map, SIZE - 3 * MIB),
	     stamp_sum(0, SIZE - 3 * MIB));
}

/* every write after a write-back must be noticed again, whoever makes it */
ON_DISKS(write_back, "SCM-2,SCM-5")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *two = map_side(s, SIZE, RW, fd, 0);
	unsigned int good = 0;

	for (uint64_t i = 1; i <= 20; i++) {
		set_word((i & 1 ? map : two) + MIB, 1000 + i);
		NEED(!fsync(fd));
		good += on_disk(fd, MIB) == 1000 + i;
		set_word(map + 3 * MIB, 2000 + i);
		NEED(!msync(two, SIZE, MS_SYNC));
		good += on_disk(fd, 3 * MIB) == 2000 + i;
		set_word(two + 3 * MIB, 3000 + i);
		good += on_disk(fd, 3 * MIB) == 3000 + i;
	}
	must(s, "on_disk", good, 60);
	relinks(s, "links", map, ALL);
}

struct writer {
	int fd;
	struct side *side;
	volatile uint64_t *shared;
};

static int dirty_and_exit(void *context)
{
	struct writer *writer = context;
	char *map = map_side(writer->side, SIZE, RW, writer->fd, 0);

	for (size_t at = 0; at < SIZE; at += PAGE)
		set_word(map + at, at + 5);
	return writer->side->linked && !is_linked(map);
}

ON_DISKS(write_back_after_exit, "SCM-2,SCM-5,SCM-8")
{
	struct writer writer = { .fd = stamped_on(directory, SIZE), .side = s };
	unsigned int good = 0;

	must(s, "child", in_child(dirty_and_exit, &writer), 0);
	for (size_t at = 0; at < SIZE; at += PAGE)
		good += on_disk(writer.fd, at) == at + 5;
	must(s, "on_disk", good, SIZE / PAGE);
}

/*
 * A process with a CPU of its own writes and writes to one page, the other one makes
 * the page clean: a translation that still lets the first one write would lose that.
 */
ON_DISKS(write_back_below_a_writer, "SCM-2,SCM-5")
{
	int fd = stamped_on(directory, SIZE), lost = 0;
	volatile uint64_t *window =
		mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *map = map_touched(s, SIZE, RW, fd);
	pid_t pid;

	NEED(window != MAP_FAILED);
	pin(0);
	pid = fork();
	NEED(pid >= 0);
	if (!pid) {
		volatile uint64_t *at;
		char *mine;

		pin(1);
		mine = map_side(s, SIZE, RW, fd, 0);
		at = (volatile uint64_t *)(mine + 3 * MIB);
		*at = 1;
		window[1] = s->linked == is_linked(mine + 2 * MIB);
		while (!window[0]) {
			window[2]++;
			*at = window[2];
		}
		_exit(0);
	}
	while (window[2] < 1000)
		sched_yield();
	for (int i = 0; i < 30; i++) {
		uint64_t before;

		NEED(!fsync(fd));
		before = window[2];
		while (window[2] < before + 1000)
			sched_yield();
		/* what was written before now is in the page: is the page dirty? */
		lost += on_disk(fd, 3 * MIB) < before;
	}
	must(s, "as_its_side", window[1], 1);
	window[0] = 1;
	must(s, "child", wait_status(pid), 0);
	must(s, "lost", lost, 0);
	must(s, "last", on_disk(fd, 3 * MIB) == window[2], 1);
	must(s, "seen", word(map + 3 * MIB) == window[2], 1);
	relinks(s, "links", map, ALL);
}

ON_DISKS(change_time, "SCM-2,SCM-5")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	NEED(!fsync(fd));
	change_long_ago(fd);
	sum_all(map, SIZE);
	must(s, "after_read", changed_at(fd), 1000);
	set_word(map, 1);
	must(s, "after_write", changed_at(fd) > 1000, 1);
	NEED(!fsync(fd));
	change_long_ago(fd);
	set_word(map, 2);
	must(s, "after_next_write", changed_at(fd) > 1000, 1);
	relinks(s, "links", map, ALL);
}

/* the first one who maps the file may not write, because of how it is mounted there */
ON_DISKS(change_time_read_only_mount, "SCM-2,SCM-15")
{
	char place[64], path[96];
	int fd = file_in(directory, O_TRUNC, SIZE), other;
	char *map, *reader;

	snprintf(place, sizeof(place), "/tmp/bind-%d", getpid());
	NEED(!mkdir(place, 0755));
	NEED(!mount(directory, place, NULL, MS_BIND, NULL));
	NEED(!mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	snprintf(path, sizeof(path), "%s/file", place);
	other = open(path, O_RDONLY | O_CLOEXEC);
	NEED(other >= 0);
	reader = map_side(s, SIZE, PROT_READ, other, 0);
	sum_all(reader, SIZE);
	map = map_side(s, SIZE, RW, fd, 0);
	sum_all(map, SIZE);
	change_long_ago(fd);
	set_word(map + MIB, 6);
	must(s, "after_write", changed_at(fd) > 1000, 1);
	must(s, "reader", word(reader + MIB), 6);
	relinks(s, "links", map, ALL);
	munmap(map, SIZE);
	munmap(reader, SIZE);
	close(other);
	must(s, "umount", err(umount(place)), 0);
	rmdir(place);
	snprintf(path, sizeof(path), "%s/file", directory);
	unlink(path);
}

ON_DISKS(unmounted, "SCM-5,SCM-8")
{
	char place[64], path[96];
	char *map;
	int fd;

	close(file_in(directory, O_TRUNC, SIZE));
	snprintf(place, sizeof(place), "/tmp/bind-%d", getpid());
	NEED(!mkdir(place, 0755));
	NEED(!mount(directory, place, NULL, MS_BIND, NULL));
	snprintf(path, sizeof(path), "%s/file", place);
	fd = open(path, O_RDWR | O_CLOEXEC);
	NEED(fd >= 0);
	map = map_side(s, SIZE, RW, fd, 0);
	stamp_all(map, SIZE);
	links(s, "links", map, ALL);
	close(fd);
	must(s, "busy", err(umount(place)), -EBUSY);
	munmap(map, SIZE);
	must(s, "right_after", err(umount(place)), 0);
	rmdir(place);
	snprintf(path, sizeof(path), "%s/file", directory);
	must(s, "unlink", err(unlink(path)), 0);
}

ON_DISKS(truncated, "SCM-2")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "ftruncate", ftruncate(fd, 3 * MIB), 0);
	must(s, "inside", sum_all(map, 3 * MIB), stamp_sum(0, 3 * MIB));
	must(s, "read", try_read(map + 3 * MIB), BUS_PAST_END);
	must(s, "write", try_write(map + 7 * MIB, 1), BUS_PAST_END);
	must(s, "again", ftruncate(fd, SIZE), 0);
	must(s, "zero", sum_all(map + 3 * MIB, 5 * MIB), 0);
	stamp_all(map, SIZE);
	relinks(s, "links", map, ALL);
}

/* the rest of the file moves, and so does what is mapped */
ON_DISKS(collapse_and_insert, "SCM-2")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	set_word(map + 3 * MIB, 5);
	must(s, "collapse",
	     err(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, MIB, MIB)), 0);
	must(s, "moved", word(map + 2 * MIB), 5);
	must(s, "past", try_read(map + 7 * MIB), BUS_PAST_END);
	must(s, "insert", err(fallocate(fd, FALLOC_FL_INSERT_RANGE, MIB, MIB)),
	     0);
	must(s, "moved_back", word(map + 3 * MIB), 5);
	must(s, "inserted", sum_all(map + MIB, MIB), 0);
	must(s, "punch", punch_hole(fd, 3 * MIB, PAGE), 0);
	must(s, "punched", word(map + 3 * MIB), 0);
	relinks(s, "links", map, ALL);
}

ON_DISKS(direct_write, "SCM-2")
{
	static char buffer[PAGE] __attribute__((aligned(4096)));
	int fd = stamped_on(directory, SIZE);
	int direct = reopen(fd, O_RDWR | O_DIRECT | O_CLOEXEC);
	char *map = map_touched(s, SIZE, RW, fd);

	set_word(map + MIB, 3);
	set_word(buffer, 4);
	must(s, "pwrite", pwrite(direct, buffer, PAGE, MIB), PAGE);
	must(s, "seen", word(map + MIB), 4);
	set_word(map + MIB, 5);
	must(s, "on_disk", on_disk(fd, MIB), 5);
	/* from a linked mapping to the disk, and from the disk into it */
	must(s, "from", pwrite(direct, map + 2 * MIB, MIB, 5 * MIB), MIB);
	must(s, "arrived", word(map + 5 * MIB), 2 * MIB / PAGE + 1);
	must(s, "into", pread(direct, map + 2 * MIB, MIB, 7 * MIB), MIB);
	must(s, "came", word(map + 2 * MIB), 7 * MIB / PAGE + 1);
	relinks(s, "links", map, ALL);
}

/* the disk is full when a page of a hole is written to */
ON_DISKS(full, "SCM-3")
{
	struct statvfs status;
	int fd, filler, raised = 0;
	size_t pages = 0;
	char *map;

	NEED(!statvfs(directory, &status));
	filler = nameless(directory, 0);
	fd = nameless(directory, SIZE);
	/* all but a few pages, in pieces that shrink as room does */
	for (size_t piece = 16 * MIB, at = 0; piece >= PAGE;) {
		if (fallocate(filler, 0, at, piece))
			piece /= 2;
		else
			at += piece;
	}
	map = map_side(s, SIZE, RW, fd, 0);
	for (size_t at = 0; at < SIZE && !raised; at += PAGE, pages++) {
		raised = try_write(map + at, 1);
		if (!raised && at % (64 * PAGE) == 0 && fsync(fd))
			break;
	}
	must(s, "raised", raised, BUS_PAST_END);
	close(filler);
	must(s, "room_again", try_write(map + SIZE - PAGE, 1), 0);
	must(s, "fsync", err(fsync(fd)), 0);
	links(s, "links", map, "???1");
}

/* pages that are read again from the disk, and whose faults those are */
ON_DISKS(evicted, "SCM-2,SCM-5")
{
	const char *cgroup = own_cgroup();
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd), path[128];
	struct rusage before, after;

	set_word(map + 5 * MIB, 9);
	NEED(!fsync(fd));
	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	write_text(path, "64M");
	NEED(!getrusage(RUSAGE_SELF, &before));
	must(s, "value", word(map + 5 * MIB), 9);
	set_word(map + 5 * MIB, 5 * MIB / PAGE + 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	NEED(!getrusage(RUSAGE_SELF, &after));
	must(s, "major_faults", after.ru_majflt > before.ru_majflt, 1);
	must(s, "fsync", err(fsync(fd)), 0);
	must(s, "on_disk", on_disk(fd, 5 * MIB), 5 * MIB / PAGE + 1);
	relinks(s, "links", map, ALL);
}

/* twice what fits into memory is written through the mapping */
ON_DISKS(under_limit, "SCM-2,SCM-5")
{
	const char *cgroup = own_cgroup();
	size_t size = 16 * MIB;
	int fd = nameless(directory, size);
	char *map = map_side(s, size, RW, fd, 0), path[128];

	snprintf(path, sizeof(path), "%s/memory.max", cgroup);
	must(s, "limit", write_text(path, "8M"), 0);
	/* as fast as a busy host's disk: whoever waits too long for it is killed */
	for (size_t at = 0; at < size; at += PAGE) {
		set_word(map + at, at / PAGE + 1);
		if (at % (2 * MIB) == 0)
			NEED(!fsync(fd));
	}
	must(s, "sum", sum_all(map, size), stamp_sum(0, size));
	must(s, "fsync", err(fsync(fd)), 0);
	must(s, "again", sum_all(map, size), stamp_sum(0, size));
	relinks(s, "links", map, "11111111");
}

static int write_one(void *context)
{
	struct writer *writer = context;
	char *map = map_side(writer->side, SIZE, RW, writer->fd, 0);

	sum_all(map, SIZE);
	writer->shared[0] = 1;
	set_word(map + MIB, 99);
	writer->shared[1] = 1;
	return 0;
}

/* a writer waits for the file system to thaw, and nobody waits for the writer */
ON_DISKS(frozen, "SCM-2,SCM-15")
{
	struct writer writer = { .fd = stamped_on(directory, SIZE), .side = s };
	int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *map = map_touched(s, SIZE, RW, writer.fd), *two;
	pid_t pid;

	writer.shared = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(root >= 0 && writer.shared != MAP_FAILED && !fsync(writer.fd));
	must(s, "freeze", err(ioctl(root, FIFREEZE, 0)), 0);
	pid = fork();
	NEED(pid >= 0);
	if (!pid)
		_exit(write_one(&writer));
	while (!writer.shared[0])
		usleep(1000);
	usleep(50000);
	must(s, "waits", writer.shared[1], 0);
	must(s, "read", sum_all(map, SIZE), stamp_sum(0, SIZE));
	two = map_side(s, SIZE, RW, writer.fd, 0);
	must(s, "map", sum_all(two, SIZE), stamp_sum(0, SIZE));
	must(s, "protect", err(mprotect(two + 3 * MIB, PAGE, PROT_READ)), 0);
	must(s, "protect_same_range", err(mprotect(two + MIB, PAGE, PROT_READ)),
	     0);
	must(s, "read_protected", sum_all(two, SIZE), stamp_sum(0, SIZE));
	/* nothing that is for huge pages, which a disk's file does not have */
	must(s, "advise", err(madvise(two, SIZE, MADV_HUGEPAGE)), 0);
	must(s, "unmap", err(munmap(two, SIZE)), 0);
	must(s, "thaw", err(ioctl(root, FITHAW, 0)), 0);
	must(s, "writer", wait_status(pid), 0);
	must(s, "written", word(map + MIB), 99);
	must(s, "on_disk", on_disk(writer.fd, MIB), 99);
	relinks(s, "links", map, ALL);
}

/* a part of a range with permissions of its own is another mapping to be kept clean */
ON_DISKS(write_back_of_view, "SCM-15,SCM-17")
{
	int fd = stamped_on(directory, SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *two = map_side(s, SIZE, RW, fd, 0);
	unsigned int good = 0;

	must(s, "protect", err(mprotect(map + PAGE, PAGE, PROT_READ)), 0);
	sum_all(map, SIZE);
	links(s, "links", map, ALL);
	for (uint64_t i = 1; i <= 10; i++) {
		set_word((i & 1 ? map : two), 1000 + i);
		NEED(!fsync(fd));
		good += on_disk(fd, 0) == 1000 + i;
		set_word((i & 1 ? two : map), 2000 + i);
		good += on_disk(fd, 0) == 2000 + i;
	}
	must(s, "on_disk", good, 20);
	must(s, "denied", try_write(map + PAGE, 1),
	     RAISED(SIGSEGV, SEGV_ACCERR));
}

ON_DISKS(by_prctl, "SCM-2")
{
	int fd = stamped_on(directory, SIZE);
	char *map;

	if (s->linked)
		NEED(!scome_set(SCOME_ON, MIB));
	map = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	NEED(map != MAP_FAILED);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map, 5);
	must(s, "on_disk", on_disk(fd, 0), 5);
	relinks(s, "links", map, ALL);
}

/* who links a file does not open it: a lease is not broken, and can be had */
ON_DISKS(lease, "SCM-5")
{
	char path[96];
	int fd = file_in(directory, O_TRUNC, SIZE);
	char *map;

	signal(SIGIO, SIG_IGN);
	must(s, "lease", err(fcntl(fd, F_SETLEASE, F_WRLCK)), 0);
	map = map_side(s, SIZE, RW, fd, 0);
	stamp_all(map, SIZE);
	links(s, "links", map, ALL);
	must(s, "kept", fcntl(fd, F_GETLEASE), F_WRLCK);
	must(s, "drop", err(fcntl(fd, F_SETLEASE, F_UNLCK)), 0);
	must(s, "again", err(fcntl(fd, F_SETLEASE, F_WRLCK)), 0);
	snprintf(path, sizeof(path), "%s/file", directory);
	must(s, "unlink", err(unlink(path)), 0);
}

TEST_HARNESS_MAIN
