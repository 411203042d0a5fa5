// SPDX-License-Identifier: GPL-2.0
/* How others reach a mapping: O_DIRECT, pipes, ptrace, /proc/PID/mem, futex, io_uring. */
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "scenario.h"

#define SIZE (8 * MIB)

/*
 * Readable here, and written through another mapping of this process's, so that
 * every leaf entry allows writing and only the entry above it does not.
 */
static char *read_only_over_writable(struct side *s, int fd)
{
	char *writer = map_side(s, SIZE, RW, fd, 0), *map;

	stamp_all(writer, SIZE);
	map = map_side(s, SIZE, PROT_READ, fd, 0);
	sum_all(map, SIZE);
	links(s, "links_before", map, "1111");
	links(s, "links_writer", writer, "1111");
	return map;
}

SCENARIO(direct_read, "SCM-2,SCM-6")
{
	int fd = memory_file(SIZE), disk = direct_file(MIB, 0);
	char *map = map_touched(s, SIZE, RW, fd),
	     *other = map_side(s, SIZE, PROT_READ, fd, 0);

	must(s, "pread", err(pread(disk, map + 3 * MIB, MIB, 0)), MIB);
	must(s, "here", sum_all(map + 3 * MIB, MIB), stamp_sum(0, MIB));
	must(s, "there", sum_all(other + 3 * MIB, MIB), stamp_sum(0, MIB));
	links(s, "links", map, "1111");
}

SCENARIO(direct_read_untouched, "SCM-2,SCM-6")
{
	int fd = memory_file(SIZE), disk = direct_file(MIB, 0);
	char *map = map_side(s, SIZE, RW, fd, 0);

	/* slow GUP has to link and to fill */
	must(s, "pread", err(pread(disk, map + 3 * MIB + MIB / 2, MIB, 0)),
	     MIB);
	must(s, "data", sum_all(map + 3 * MIB + MIB / 2, MIB),
	     stamp_sum(0, MIB));
	links(s, "links", map, "0110");
}

SCENARIO(direct_read_into_read_only, "SCM-15")
{
	int fd = memory_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = read_only_over_writable(s, fd);

	/* the fast walk sees a writable leaf entry and must respect the one above */
	must(s, "pread", err(pread(disk, map + 3 * MIB, MIB, 0)), -EFAULT);
	must(s, "unchanged", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "page", err(pread(disk, map + 5 * MIB, PAGE, 0)), -EFAULT);
	must(s, "still", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
}

SCENARIO(direct_read_after_mprotect, "SCM-15")
{
	int fd = memory_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = map_touched(s, SIZE, RW, fd);

	stamp_all(map, SIZE);
	NEED(!mprotect(map, SIZE, PROT_READ));
	must(s, "untouched", err(pread(disk, map + 3 * MIB, MIB, 0)), -EFAULT);
	sum_all(map, SIZE);
	must(s, "touched", err(pread(disk, map + 3 * MIB, MIB, 0)), -EFAULT);
	must(s, "unchanged", sum_all(map, SIZE), stamp_sum(0, SIZE));
	NEED(!mprotect(map, SIZE, RW));
	must(s, "writable_again", err(pread(disk, map + 3 * MIB, MIB, 0)), MIB);
	must(s, "changed", word(map + 3 * MIB), 5001);
	relinks(s, "links", map, "1111");
}

SCENARIO(direct_write, "SCM-2")
{
	int fd = stamped_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = map_touched(s, SIZE, RW, fd),
	     *buffer = aligned_alloc(PAGE, MIB);

	must(s, "pwrite", err(pwrite(disk, map + 3 * MIB, MIB, 0)), MIB);
	NEED(buffer && pread(disk, buffer, MIB, 0) == (ssize_t)MIB);
	must(s, "data", sum_all(buffer, MIB), stamp_sum(3 * MIB, 4 * MIB));
	links(s, "links", map, "1111");
}

SCENARIO(direct_write_from_read_only, "SCM-15")
{
	int fd = memory_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = read_only_over_writable(s, fd),
	     *buffer = aligned_alloc(PAGE, MIB);

	must(s, "pwrite", err(pwrite(disk, map + 3 * MIB, MIB, 0)), MIB);
	NEED(buffer && pread(disk, buffer, MIB, 0) == (ssize_t)MIB);
	must(s, "data", sum_all(buffer, MIB), stamp_sum(3 * MIB, 4 * MIB));
	links(s, "links", map, "1111");
}

SCENARIO(direct_across_end, "SCM-3")
{
	int fd = stamped_file(5 * MIB), disk = direct_file(MIB, 5000);
	char *map = map_side(s, SIZE, RW, fd, 0);

	/* half of the buffer lies past the end of the file */
	see(s, "pread", err(pread(disk, map + 5 * MIB - MIB / 2, MIB, 0)));
	must(s, "past", err(pread(disk, map + 6 * MIB, PAGE, 0)), -EFAULT);
	must(s, "sum", sum_all(map, 4 * MIB), stamp_sum(0, 4 * MIB));
}

SCENARIO(direct_across_unmapped, "SCM-6")
{
	int fd = stamped_file(SIZE), disk = direct_file(MIB, 5000);
	char *map = map_touched(s, SIZE, RW, fd);

	NEED(!munmap(map + 3 * MIB, PAGE));
	must(s, "at_hole", err(pread(disk, map + 3 * MIB, PAGE, 0)), -EFAULT);
	see(s, "up_to_hole", err(pread(disk, map + 3 * MIB - MIB / 2, MIB, 0)));
	must(s, "beside", err(pread(disk, map + 3 * MIB + PAGE, PAGE, 0)),
	     PAGE);
	must(s, "data", word(map + 3 * MIB + PAGE), 5001);
	relinks(s, "links", map, "1011");
}

SCENARIO(buffered_read_write, "SCM-15")
{
	int fd = memory_file(SIZE), other = stamped_file(SIZE);
	char *map = read_only_over_writable(s, fd),
	     *target = map_side(s, SIZE, RW, fd, 0);

	must(s, "into_read_only", err(pread(other, map + MIB, MIB, 0)),
	     -EFAULT);
	must(s, "unchanged", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "into_writable", err(pread(other, target + MIB, MIB, 0)), MIB);
	must(s, "seen", sum_all(map + MIB, MIB), stamp_sum(0, MIB));
	must(s, "from_read_only", err(pwrite(other, map, MIB, 0)), MIB);
	must(s, "from_itself", err(pwrite(fd, target, MIB, 4 * MIB)), MIB);
	must(s, "copied", word(target + 4 * MIB), 1);
	relinks(s, "links", map, "1111");
}

SCENARIO(vmsplice_out, "SCM-2,SCM-15")
{
	int fd = memory_file(SIZE), ends[2];
	char *map = read_only_over_writable(s, fd), buffer[4 * PAGE];
	struct iovec part = { .iov_base = map + 3 * MIB, .iov_len = 4 * PAGE };

	NEED(!pipe(ends));
	must(s, "vmsplice", err(vmsplice(ends[1], &part, 1, 0)), 4 * PAGE);
	must(s, "read", err(read(ends[0], buffer, sizeof(buffer))), 4 * PAGE);
	must(s, "data", sum_all(buffer, sizeof(buffer)),
	     stamp_sum(3 * MIB, 3 * MIB + 4 * PAGE));
	links(s, "links", map, "1111");
}

SCENARIO(vmsplice_in, "SCM-15")
{
	int fd = memory_file(SIZE), ends[2];
	char *map = read_only_over_writable(s, fd),
	     *target = map_side(s, SIZE, RW, fd, 0);
	struct iovec part = { .iov_base = map + 3 * MIB, .iov_len = 8 };
	uint64_t value = 777;

	NEED(!pipe(ends) && write(ends[1], &value, 8) == 8);
	must(s, "into_read_only", err(vmsplice(ends[0], &part, 1, 0)), -EFAULT);
	part.iov_base = target + 3 * MIB;
	see(s, "into_writable", err(vmsplice(ends[0], &part, 1, 0)));
	see(s, "data", word(map + 3 * MIB));
	links(s, "links", map, "1111");
}

struct helper {
	pid_t pid;
	int stop;
};

/* a process with the same mappings as this one, to be looked into */
static struct helper start_helper(char *touch)
{
	struct helper helper;
	int ready[2], stop[2];
	char byte;

	NEED(!pipe(ready) && !pipe(stop));
	helper.pid = fork();
	NEED(helper.pid >= 0);
	if (!helper.pid) {
		close(stop[1]);
		if (touch)
			sum_all(touch, SIZE);
		if (write(ready[1], "r", 1) != 1 || read(stop[0], &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(stop[0]);
	close(ready[1]);
	NEED(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	helper.stop = stop[1];
	return helper;
}

static int stop_helper(struct helper helper)
{
	close(helper.stop);
	return wait_status(helper.pid);
}

static void cross_process(struct side *s, int prot, char *touch, char *map)
{
	struct helper helper = start_helper(touch);
	uint64_t values[4] = { 11, 22, 33, 44 }, got[4] = { 0 };
	struct iovec local = { .iov_base = got, .iov_len = sizeof(got) };
	struct iovec remote = { .iov_base = map + 3 * MIB,
				.iov_len = sizeof(got) };
	char path[64];
	int memory;

	must(s, "readv",
	     err(process_vm_readv(helper.pid, &local, 1, &remote, 1, 0)),
	     sizeof(got));
	must(s, "readv_data", got[0], 3 * MIB / PAGE + 1);
	local.iov_base = values;
	must(s, "writev",
	     err(process_vm_writev(helper.pid, &local, 1, &remote, 1, 0)),
	     prot & PROT_WRITE ? (int64_t)sizeof(values) : -EFAULT);
	must(s, "writev_data", word(map + 3 * MIB),
	     prot & PROT_WRITE ? 11 : 3 * MIB / PAGE + 1);

	snprintf(path, sizeof(path), "/proc/%d/mem", helper.pid);
	memory = open(path, O_RDWR | O_CLOEXEC);
	NEED(memory >= 0);
	must(s, "mem_read",
	     err(pread(memory, got, sizeof(got), (off_t)(map + 5 * MIB))),
	     sizeof(got));
	must(s, "mem_read_data", got[0], 5 * MIB / PAGE + 1);
	see(s, "mem_write",
	    err(pwrite(memory, values, sizeof(values),
		       (off_t)(map + 5 * MIB))));
	see(s, "mem_write_data", word(map + 5 * MIB));
	close(memory);

	NEED(!ptrace(PTRACE_ATTACH, helper.pid, NULL, NULL));
	NEED(waitpid(helper.pid, NULL, 0) == helper.pid);
	errno = 0;
	must(s, "peek",
	     ptrace(PTRACE_PEEKDATA, helper.pid, map + 7 * MIB, NULL),
	     7 * MIB / PAGE + 1);
	see(s, "poke",
	    err(ptrace(PTRACE_POKEDATA, helper.pid, map + 7 * MIB,
		       (void *)99UL)));
	see(s, "poke_data", word(map + 7 * MIB));
	NEED(!ptrace(PTRACE_DETACH, helper.pid, NULL, NULL));
	must(s, "helper", stop_helper(helper), 0);
	relinks(s, "links", map, "1111");
}

SCENARIO(other_process_writable, "SCM-2")
{
	char *map = map_touched(s, SIZE, RW, stamped_file(SIZE));

	cross_process(s, RW, map, map);
}

SCENARIO(other_process_untouched, "SCM-2")
{
	char *map = map_touched(s, SIZE, RW, stamped_file(SIZE));

	cross_process(s, RW, NULL, map);
}

SCENARIO(other_process_read_only, "SCM-15")
{
	char *map = read_only_over_writable(s, memory_file(SIZE));

	cross_process(s, PROT_READ, map, map);
}

static long futex(void *word_at, int operation, uint32_t value,
		  const struct timespec *limit)
{
	return syscall(SYS_futex, word_at, operation, value, limit, NULL, 0);
}

SCENARIO(futex_at_different_addresses, "SCM-2,SCM-10")
{
	static const struct timespec limit = { .tv_sec = 20 };
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	uint32_t *here = (uint32_t *)(map + 3 * MIB + 64);
	long woken = 0;
	pid_t pid;

	*here = 1;
	pid = fork();
	NEED(pid >= 0);
	if (!pid) {
		char *own = map_side(s, SIZE, RW, fd, 0);
		uint32_t *there = (uint32_t *)(own + 3 * MIB + 64);

		sum_all(own, SIZE);
		_exit(own == map			  ? 1 :
		      futex(there, FUTEX_WAIT, 1, &limit) ? 2 :
							    0);
	}
	/* wakes nobody until the child waits */
	for (unsigned int i = 0; i < 2000 && woken != 1; i++) {
		woken = futex(here, FUTEX_WAKE, 1, NULL);
		usleep(5000);
	}
	must(s, "woken", woken, 1);
	must(s, "child", wait_status(pid), 0);
	must(s, "wrong_value", err(futex(here, FUTEX_WAIT, 7, &limit)),
	     -EAGAIN);
	links(s, "links", map, "1111");
}

SCENARIO(io_uring_fixed_buffer, "SCM-2,SCM-15")
{
	struct io_uring_params parameters = { 0 };
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	struct iovec buffer = { .iov_base = map + 3 * MIB,
				.iov_len = 16 * PAGE };
	int ring = syscall(SYS_io_uring_setup, 4, &parameters);

	NEED(ring >= 0);
	must_in_memory(s, "register",
		       err(syscall(SYS_io_uring_register, ring,
				   IORING_REGISTER_BUFFERS, &buffer, 1)),
		       0);
	must_in_memory(s, "unregister",
		       err(syscall(SYS_io_uring_register, ring,
				   IORING_UNREGISTER_BUFFERS, NULL, 0)),
		       0);
	set_word(map + 3 * MIB, 5);
	must(s, "write", word(map + 3 * MIB), 5);
	NEED(!mprotect(map, SIZE, PROT_READ));
	sum_all(map, SIZE);
	must(s, "read_only",
	     err(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS,
			 &buffer, 1)),
	     -EFAULT);
	relinks(s, "links", map, "1111");
}

TEST_HARNESS_MAIN
