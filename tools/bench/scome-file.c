// SPDX-License-Identifier: GPL-2.0
/* Small text files of the kernel, and the files that are mapped. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scome.h"

void fail(const char *format, ...)
{
	va_list arguments;

	fputs("bench-scome: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* a whole file; the length, or -1 */
ssize_t slurp(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (used < size - 1 &&
	       (got = read(fd, buffer + used, size - 1 - used)) > 0)
		used += got;
	close(fd);
	buffer[used] = '\0';
	return used;
}

/* 0, or the error of write(2) */
int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		error = errno;
	close(fd);
	return error;
}

/* the kB value of a line of a /proc file, in bytes; 0 when there is no such line */
int64_t kb_line(const char *path, const char *name)
{
	static char text[16384];
	const char *line;

	if (slurp(path, text, sizeof(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	line = strstr(text, name);
	if (!line)
		return 0;
	return strtoll(line + strlen(name), NULL, 10) * 1024;
}

/* page tables of the system; what processors have counted for themselves is added up first */
int64_t pagetable_bytes(void)
{
	if (write_text("/proc/sys/vm/stat_refresh", "1"))
		fail("/proc/sys/vm/stat_refresh: %s", strerror(errno));
	return kb_line("/proc/meminfo", "PageTables:");
}

int memory_file(enum side side, size_t size)
{
	int fd =
		memfd_create("bench-scome",
			     MFD_CLOEXEC | (side == HUGETLB ? MFD_HUGETLB : 0));

	if (fd < 0 || ftruncate(fd, size))
		fail("memfd: %s", strerror(errno));
	return fd;
}

/*
 * A page each step bytes. Written and not through a mapping: entries that are dirty
 * on one side and clean on the other take an emulator different times.
 */
void fill(int fd, size_t size, size_t step)
{
	static uint64_t page[PAGE_BYTES / sizeof(uint64_t)];

	for (size_t at = 0; at < size; at += step) {
		page[0] = at;
		if (pwrite(fd, page, sizeof(page), at) != (ssize_t)sizeof(page))
			fail("the file cannot be filled: %s", strerror(errno));
	}
}
