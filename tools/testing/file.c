// SPDX-License-Identifier: GPL-2.0
/* What happens to the file below a mapping: size, holes, seals, its file system. */
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define BUS_PAST_END RAISED(SIGBUS, BUS_ADRERR)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

SCENARIO(truncate_down, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "ftruncate", ftruncate(fd, 3 * MIB), 0);
	must(s, "inside", sum_all(map, 3 * MIB), stamp_sum(0, 3 * MIB));
	must(s, "read", try_read(map + 3 * MIB), BUS_PAST_END);
	must(s, "write", try_write(map + 7 * MIB, 1), BUS_PAST_END);
	relinks(s, "links", map, "11??");
	must(s, "again", ftruncate(fd, SIZE), 0);
	must(s, "zero", sum_all(map + 3 * MIB, 5 * MIB), 0);
	stamp_all(map, SIZE);
	relinks(s, "links_again", map, "1111");
}

SCENARIO(truncate_to_byte, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	memset(map + 3 * MIB, 'x', PAGE);
	must(s, "ftruncate", ftruncate(fd, 3 * MIB + 100), 0);
	must(s, "kept", map[3 * MIB + 99], 'x');
	must(s, "cleared", map[3 * MIB + 100], 0);
	must(s, "past", try_read(map + 3 * MIB + PAGE), BUS_PAST_END);
	must(s, "write_past_end_of_page", try_write(map + 3 * MIB + 2048, 5),
	     0);
	must(s, "grow", ftruncate(fd, SIZE), 0);
	see(s, "seen_after_grow", word(map + 3 * MIB + 2048));
	relinks(s, "links", map, "1111");
}

SCENARIO(truncate_to_nothing, "SCM-2,SCM-8")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	struct stat status;

	must(s, "ftruncate", ftruncate(fd, 0), 0);
	must(s, "fstat", fstat(fd, &status), 0);
	must(s, "blocks", status.st_blocks, 0);
	must(s, "first", try_read(map), BUS_PAST_END);
	must(s, "last", try_read(map + SIZE - PAGE), BUS_PAST_END);
	must(s, "grow", ftruncate(fd, SIZE), 0);
	must(s, "zero", sum_all(map, SIZE), 0);
	relinks(s, "links", map, "1111");
}

SCENARIO(truncate_all_see_it, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *two = map_side(s, SIZE, PROT_READ, fd, 0);

	sum_all(two, SIZE);
	must(s, "ftruncate", ftruncate(fd, 2 * MIB), 0);
	must(s, "one", try_read(map + 2 * MIB), BUS_PAST_END);
	must(s, "two", try_read(two + 2 * MIB), BUS_PAST_END);
	must(s, "left", sum_all(two, 2 * MIB), stamp_sum(0, 2 * MIB));
	relinks(s, "links", two, "1???");
}

SCENARIO(grow, "SCM-2,SCM-3")
{
	int fd = stamped_file(2 * MIB);
	char *map = map_side(s, SIZE, RW, fd, 0);

	must(s, "sum", sum_all(map, 2 * MIB), stamp_sum(0, 2 * MIB));
	must(s, "before", try_write(map + 2 * MIB, 1), BUS_PAST_END);
	must(s, "ftruncate", ftruncate(fd, SIZE), 0);
	must(s, "after", try_write(map + 2 * MIB, 1), 0);
	stamp_all(map, SIZE);
	must(s, "sum_grown", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(grow_by_write, "SCM-2")
{
	int fd = memory_file(0);
	char *map = map_side(s, SIZE, RW, fd, 0);
	uint64_t value = 99;

	must(s, "pwrite", pwrite(fd, &value, sizeof(value), 5 * MIB),
	     sizeof(value));
	must(s, "there", word(map + 5 * MIB), 99);
	must(s, "before", word(map + MIB), 0);
	must(s, "past", try_read(map + 5 * MIB + PAGE), BUS_PAST_END);
	relinks(s, "links", map, "111?");
}

SCENARIO(punch_page, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	struct stat status;

	must(s, "punch", punch_hole(fd, 3 * MIB, PAGE), 0);
	must(s, "zero", word(map + 3 * MIB), 0);
	must(s, "before", word(map + 3 * MIB - PAGE), 3 * MIB / PAGE);
	must(s, "after", word(map + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	must(s, "fstat", fstat(fd, &status), 0);
	must(s, "size", status.st_size, SIZE);
	set_word(map + 3 * MIB, 5);
	must(s, "write", word(map + 3 * MIB), 5);
	relinks(s, "links", map, "1111");
}

SCENARIO(punch_bytes, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	memset(map + 3 * MIB, 'y', 2 * PAGE);
	must(s, "punch", punch_hole(fd, 3 * MIB + 100, PAGE), 0);
	must(s, "kept", map[3 * MIB + 99], 'y');
	must(s, "cleared", map[3 * MIB + 100], 0);
	must(s, "cleared_last", map[3 * MIB + PAGE + 99], 0);
	must(s, "kept_after", map[3 * MIB + PAGE + 100], 'y');
	relinks(s, "links", map, "1111");
}

SCENARIO(punch_range, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, PROT_READ, fd, 0);

	sum_all(other, SIZE);
	must(s, "punch", punch_hole(fd, RANGE, RANGE), 0);
	must(s, "zero", sum_all(map + RANGE, RANGE), 0);
	must(s, "zero_other", sum_all(other + RANGE, RANGE), 0);
	must(s, "left", sum_all(other + 2 * RANGE, 2 * RANGE),
	     stamp_sum(2 * RANGE, SIZE));
	stamp_all(map, SIZE);
	must(s, "again", sum_all(other, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
	relinks(s, "links_other", other, "1111");
}

SCENARIO(punch_everything, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	struct stat status;

	must(s, "punch", punch_hole(fd, 0, SIZE), 0);
	must(s, "fstat", fstat(fd, &status), 0);
	must(s, "blocks", status.st_blocks, 0);
	must(s, "zero", sum_all(map, SIZE), 0);
	relinks(s, "links", map, "1111");
}

SCENARIO(fallocate_fills, "SCM-2")
{
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);
	struct stat status;

	must(s, "fallocate", err(fallocate(fd, 0, RANGE, RANGE)), 0);
	must(s, "fstat", fstat(fd, &status), 0);
	must(s, "blocks", status.st_blocks, RANGE / 512);
	must(s, "zero", sum_all(map, SIZE), 0);
	stamp_all(map, SIZE);
	relinks(s, "links", map, "1111");
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(kernel_past_end, "SCM-2")
{
	int fd = stamped_file(SIZE), other = memory_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "ftruncate", ftruncate(fd, 4 * MIB), 0);
	must(s, "write_from", err(pwrite(other, map + 5 * MIB, 100, 0)),
	     -EFAULT);
	must(s, "read_into", err(pread(other, map + 5 * MIB, 100, 0)), -EFAULT);
	must(s, "write_up_to_end", pwrite(other, map + 4 * MIB - 100, 100, 0),
	     100);
	relinks(s, "links", map, "11??");
}

SCENARIO_IN_MEMORY(seal_write, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	stamp_all(map, SIZE);
	must(s, "while_mapped", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)),
	     -EBUSY);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	/* at once: nothing is taken down behind the caller's back */
	must(s, "right_after", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), 0);
	map = mmap(NULL, SIZE, RW, side_flags(s), fd, 0);
	must(s, "writable", map == MAP_FAILED ? errno : 0, EPERM);
	map = map_side(s, SIZE, PROT_READ, fd, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "mprotect", err(mprotect(map, SIZE, RW)), -EACCES);
	must(s, "write", try_write(map, 1), SEGV_DENIED);
	relinks(s, "links", map, "1111");
}

SCENARIO_IN_MEMORY(seal_write_with_reader, "SCM-15")
{
	int fd = stamped_file(SIZE), read_only = reopen(fd, O_RDONLY);
	char *map = map_touched(s, SIZE, PROT_READ, read_only);

	/* a mapping that can never be written does not stand in the way */
	must(s, "seal", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), 0);
	must(s, "pwrite", err(pwrite(fd, "x", 1, 0)), -EPERM);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(map, 1), SEGV_DENIED);
	relinks(s, "links", map, "1111");
}

SCENARIO(seal_write_reader_of_writable, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, PROT_READ, fd);

	see(s, "seal", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
	see(s, "mprotect", err(mprotect(map, SIZE, RW)));
	relinks(s, "links", map, "1111");
}

SCENARIO_IN_MEMORY(seal_future_write, "SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *reader;

	must(s, "seal", err(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)), 0);
	must(s, "old_mapping", try_write(map + MIB, 5), 0);
	reader = mmap(NULL, SIZE, RW, side_flags(s), fd, 0);
	must(s, "new_mapping", reader == MAP_FAILED ? errno : 0, EPERM);
	reader = map_side(s, SIZE, PROT_READ, fd, 0);
	must(s, "reader", word(reader + MIB), 5);
	must(s, "reader_write", try_write(reader + MIB, 6), SEGV_DENIED);
	must(s, "reader_mprotect", err(mprotect(reader, SIZE, RW)), -EACCES);
	must(s, "pwrite", err(pwrite(fd, "x", 1, 0)), -EPERM);
	relinks(s, "links", map, "1111");
	relinks(s, "links_reader", reader, "1111");
}

SCENARIO_IN_MEMORY(seal_size, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);

	must(s, "shrink", err(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)), 0);
	must(s, "grow", err(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)), 0);
	must(s, "truncate_down", err(ftruncate(fd, MIB)), -EPERM);
	must(s, "truncate_up", err(ftruncate(fd, 2 * SIZE)), -EPERM);
	must(s, "write", try_write(map + MIB, 5), 0);
	must(s, "punch", punch_hole(fd, 0, RANGE), 0);
	must(s, "zero", sum_all(map, RANGE), 0);
	relinks(s, "links", map, "1111");
}

SCENARIO(tmpfs_umount, "SCM-5,SCM-8")
{
	char *directory = mounted("size=64m");
	int fd = file_in(directory, 0, SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	stamp_all(map, SIZE);
	links(s, "links", map, "1111");
	must(s, "close", close(fd), 0);
	must(s, "busy", err(umount(directory)), -EBUSY);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "right_after", err(umount(directory)), 0);
	rmdir(directory);
}

static int touch_and_exit(void *context)
{
	struct side *s = context;
	char path[96], *map;
	int fd;

	snprintf(path, sizeof(path), "/tmp/mount-%d/file", getppid());
	fd = open(path, O_RDWR | O_CLOEXEC);
	NEED(fd >= 0);
	map = map_side(s, SIZE, RW, fd, 0);
	stamp_all(map, SIZE);
	return s->linked && !is_linked(map);
}

SCENARIO(tmpfs_umount_after_exit, "SCM-5,SCM-8")
{
	char *directory = mounted("size=64m");

	close(file_in(directory, 0, SIZE));
	must(s, "child", in_child(touch_and_exit, s), 0);
	must(s, "right_after", err(umount(directory)), 0);
	rmdir(directory);
}

SCENARIO(tmpfs_survives_exit, "SCM-5")
{
	char *directory = mounted("size=64m"), *map;
	int fd = file_in(directory, 0, SIZE);

	must(s, "child", in_child(touch_and_exit, s), 0);
	map = map_side(s, SIZE, RW, fd, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	must(s, "lazy", err(umount2(directory, MNT_DETACH)), 0);
	must(s, "sum_detached", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + MIB, 5);
	must(s, "write_detached", word(map + MIB), 5);
	rmdir(directory);
}

SCENARIO(tmpfs_remount_read_only, "SCM-8,SCM-15")
{
	char *directory = mounted("size=64m");
	int fd = file_in(directory, 0, SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	stamp_all(map, SIZE);
	must(s, "close", close(fd), 0);
	must(s, "busy",
	     err(mount("none", directory, "tmpfs", MS_REMOUNT | MS_RDONLY,
		       NULL)),
	     -EBUSY);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "right_after",
	     err(mount("none", directory, "tmpfs", MS_REMOUNT | MS_RDONLY,
		       NULL)),
	     0);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
}

SCENARIO(tmpfs_read_only_mount, "SCM-15")
{
	char *directory = mounted("size=64m"), path[96], *map;
	int fd = file_in(directory, 0, SIZE);

	NEED(pwrite(fd, "abc", 3, MIB) == 3);
	close(fd);
	NEED(!mount("none", directory, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL));
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	NEED(fd >= 0);
	map = map_side(s, SIZE, PROT_READ, fd, 0);
	must(s, "data", map[MIB], 'a');
	must(s, "write", try_write(map, 1), SEGV_DENIED);
	relinks(s, "links", map, "1111");
	munmap(map, SIZE);
	close(fd);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
}

SCENARIO(tmpfs_full, "SCM-3")
{
	char *directory = mounted("size=4m");
	int fd = file_in(directory, 0, SIZE), raised = 0;
	char *map = map_side(s, SIZE, RW, fd, 0);
	size_t pages = 0;

	for (size_t at = 0; at < SIZE && !raised; at += PAGE, pages++)
		raised = try_write(map + at, 1);
	must(s, "raised", raised, BUS_PAST_END);
	must(s, "pages", pages, 4 * MIB / PAGE + 1);
	must(s, "punch", punch_hole(fd, 0, MIB), 0);
	must(s, "room_again", try_write(map + 5 * MIB, 1), 0);
	relinks(s, "links", map, "11??");
	munmap(map, SIZE);
	close(fd);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
}

SCENARIO(tmpfs_unlinked, "SCM-5,SCM-8")
{
	char *directory = mounted("size=64m"), path[96];
	int fd = file_in(directory, 0, SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);
	struct statfs status;

	stamp_all(map, SIZE);
	snprintf(path, sizeof(path), "%s/file", directory);
	must(s, "unlink", err(unlink(path)), 0);
	must(s, "close", close(fd), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "statfs", statfs(directory, &status), 0);
	must(s, "all_free", status.f_blocks == status.f_bfree, 1);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
}

SCENARIO(tmpfs_nameless, "SCM-2")
{
	char *directory = mounted("size=64m"), *map;
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	NEED(fd >= 0 && !ftruncate(fd, SIZE));
	map = map_side(s, SIZE, RW, fd, 0);
	stamp_all(map, SIZE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
	close(fd);
	must(s, "munmap", err(munmap(map, SIZE)), 0);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
}

TEST_HARNESS_MAIN
