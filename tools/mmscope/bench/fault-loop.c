// SPDX-License-Identifier: GPL-2.0
/*
 * fault-loop ROUNDS PAGES: the time of the cheapest fault there is, a write to
 * a page of a memfd that is in memory and not in the page table. Prints the
 * nanoseconds of one fault, the mean of each round on a line of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	size_t page = sysconf(_SC_PAGESIZE), pages, i;
	long round, rounds;
	volatile char *p;
	double start;
	int fd;

	rounds = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
	pages = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (rounds < 1 || pages < 1) {
		fprintf(stderr, "usage: fault-loop ROUNDS PAGES\n");
		return 2;
	}
	fd = memfd_create("fault-loop", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, pages * page)) {
		perror("fault-loop: memfd");
		return 1;
	}
	p = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("fault-loop: mmap");
		return 1;
	}
	for (i = 0; i < pages; i++)
		p[i * page] = 1;
	for (round = 0; round < rounds; round++) {
		/* For shared memory this empties the page table only. */
		if (madvise((void *)p, pages * page, MADV_DONTNEED)) {
			perror("fault-loop: madvise");
			return 1;
		}
		start = now_ns();
		for (i = 0; i < pages; i++)
			p[i * page] = 1;
		printf("%.1f\n", (now_ns() - start) / pages);
	}
	return 0;
}
