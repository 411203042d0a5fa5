// SPDX-License-Identifier: GPL-2.0
/*
 * prime-faults KIND COUNT [FILE]: make exactly COUNT faults of one kind under
 * the process name "prime-KIND", and print what the kernel's other counters
 * say about them: "minor major software", from getrusage() and from perf's
 * page-fault event (-1 where perf is not to be had).
 *
 * Kinds: anon, shmem, hugetlb, linked, file (FILE, private, written to, so that
 * each page is a fault of its own), cold (FILE, read after its pages have left
 * the page cache: major faults), error (behind the end of a memfd: SIGBUS).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_SHARED_PT
#define MAP_SHARED_PT 0x400000
#endif
#define HUGE_SIZE (2UL << 20)

#define EXIT_SKIP 77

static sigjmp_buf back;

static void die(const char *what)
{
	fprintf(stderr, "prime-faults: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_bus_error(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static int open_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

static long read_perf(int fd)
{
	uint64_t n;

	if (fd < 0 || read(fd, &n, sizeof(n)) != sizeof(n))
		return -1;
	return n;
}

struct region {
	volatile char *start;
	size_t step;
	int write;
	int errors;
};

static int memfd_of(size_t size)
{
	int fd = memfd_create("prime-faults", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		die("memfd");
	return fd;
}

static volatile char *map(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED) {
		if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOMEM) {
			fprintf(stderr, "prime-faults: mmap: %s\n",
				strerror(errno));
			exit(EXIT_SKIP);
		}
		die("mmap");
	}
	return p;
}

static int open_file(const char *path, size_t size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die(path);
	if ((size_t)st.st_size < size) {
		fprintf(stderr, "prime-faults: %s is too small\n", path);
		exit(1);
	}
	return fd;
}

static struct region prepare(const char *kind, size_t count, const char *path)
{
	size_t page = sysconf(_SC_PAGESIZE), size = count * page, i;
	struct region r = { .step = page, .write = 1 };
	char byte;
	int fd;

	if (!strcmp(kind, "anon")) {
		r.start = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		/* Without huge pages in the kernel there is nothing to refuse. */
		if (madvise((void *)r.start, size, MADV_NOHUGEPAGE) &&
		    errno != EINVAL)
			die("madvise");
	} else if (!strcmp(kind, "shmem")) {
		r.start = map(size, MAP_SHARED, memfd_of(size));
	} else if (!strcmp(kind, "linked")) {
		size = (size + HUGE_SIZE - 1) & -HUGE_SIZE;
		r.start = map(size, MAP_SHARED_VALIDATE | MAP_SHARED_PT,
			      memfd_of(size));
	} else if (!strcmp(kind, "hugetlb")) {
		r.step = HUGE_SIZE;
		r.start = map(count * HUGE_SIZE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	} else if (!strcmp(kind, "file") && path) {
		fd = open_file(path, size);
		for (i = 0; i < count; i++)
			if (pread(fd, &byte, 1, i * page) != 1)
				die(path);
		r.start = map(size, MAP_PRIVATE, fd);
	} else if (!strcmp(kind, "cold") && path) {
		fd = open_file(path, size);
		r.write = 0;
		r.start = map(size, MAP_PRIVATE, fd);
		if (madvise((void *)r.start, size, MADV_RANDOM) ||
		    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
			die("fadvise");
	} else if (!strcmp(kind, "error")) {
		r.errors = 1;
		r.start = map(size, MAP_SHARED, memfd_of(0));
	} else {
		fprintf(stderr,
			"usage: prime-faults anon|shmem|hugetlb|linked|error COUNT\n"
			"       prime-faults file|cold COUNT FILE\n");
		exit(2);
	}
	return r;
}

/* Of its own, so that siglongjmp() meets no variable in a register. */
static __attribute__((noinline)) void touch(const struct region *r,
					    size_t count)
{
	static size_t i;

	for (i = 0; i < count; i++) {
		if (r->errors && sigsetjmp(back, 1))
			continue;
		if (r->write)
			r->start[i * r->step] = 1;
		else
			(void)r->start[i * r->step];
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_bus_error };
	struct rusage before, after;
	long perf_before, perf_after;
	struct region r;
	char name[16];
	size_t count;
	int perf;

	count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	r = prepare(argc > 2 ? argv[1] : "", count, argc > 3 ? argv[3] : NULL);
	snprintf(name, sizeof(name), "prime-%s", argv[1]);
	if (sigaction(SIGBUS, &action, NULL))
		die("sigaction");
	perf = open_perf();
	/* Once for nothing, so that the code and the stack are there. */
	getrusage(RUSAGE_SELF, &after);
	read_perf(perf);
	touch(&r, 0);
	if (!sigsetjmp(back, 1))
		raise(SIGBUS);
	prctl(PR_SET_NAME, name);

	perf_before = read_perf(perf);
	getrusage(RUSAGE_SELF, &before);
	touch(&r, count);
	getrusage(RUSAGE_SELF, &after);
	perf_after = read_perf(perf);

	prctl(PR_SET_NAME, "prime-done");
	printf("%ld %ld %ld\n", after.ru_minflt - before.ru_minflt,
	       after.ru_majflt - before.ru_majflt,
	       perf < 0 ? -1 : perf_after - perf_before);
	return 0;
}
