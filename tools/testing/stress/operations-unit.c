// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: files of one worker alone, whose units come and go. Somebody always
 * has the common ones.
 */
#include "stress.h"

#define PAGES (2 * RANGE_PAGES + 100)
#define STEP 61

static const char *path(void)
{
	static const char *const directories[] = { "/run/scome/ext4",
						   "/run/scome/f2fs",
						   "/run/scome/huge" };
	static char text[64];

	snprintf(text, sizeof(text), "%s/stress-%u", directories[me.number % 3],
		 me.number);
	return text;
}

void own_files_remove(void)
{
	for (me.number = 0; me.number < control->workers; me.number++)
		unlink(path());
}

static char *mapped(int fd, int *code)
{
	char *base = mmap(NULL, PAGES * PAGE, RW, way_flags(), fd, 0);

	*code = ALLOW("mmap", base == MAP_FAILED ? -1 : 0, 0, EOPNOTSUPP,
		      ENOMEM);
	return base;
}

static void same(const char *base, size_t page, uint64_t least, uint64_t most)
{
	uint64_t seen = *(const volatile uint64_t *)(base + page * PAGE);

	if (seen < least || seen > most)
		fail(CONTENTS,
		     "own file, page %zu at %p: %lu, must be %lu to %lu", page,
		     (void *)(base + page * PAGE), seen, least, most);
}

static void all_same(const char *base, uint64_t least, uint64_t most)
{
	for (size_t page = 0; page < PAGES; page += STEP)
		same(base, page, least, most);
}

static void store_all(char *base, uint64_t value)
{
	for (size_t page = 0; page < PAGES; page += STEP)
		*(volatile uint64_t *)(base + page * PAGE) = value;
}

/* a view of it, and a child that sees the same */
static void use(char *base, uint64_t value)
{
	size_t page = random_below(PAGES / STEP) * STEP;
	int status;
	pid_t pid;

	if (one_in(2))
		ALLOW("mprotect",
		      mprotect(base + page * PAGE, 8 * PAGE, PROT_READ), 0);
	if (!one_in(3))
		return;
	critical_enter();
	pid = fork();
	if (!pid) {
		all_same(base, value, value);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	critical_leave();
	if (pid > 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
		fail(PROCESSES, "a child ended with status %#x", status);
}

/* who comes again finds the file, and perhaps its tables */
static int own_file(void)
{
	struct slot *slot = &control->slot[me.number];
	int fd = open(path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), code;
	char *base;

	if (fd < 0)
		return errno;
	ALLOW("ftruncate", ftruncate(fd, PAGES * PAGE), 0);
	base = mapped(fd, &code);
	note("own_file %s at %p", path(), base);
	if (one_in(2)) {
		close(fd);
		fd = -1;
	}
	if (!code) {
		all_same(base, slot->own.last, slot->own.next);
		slot->own.next++;
		store_all(base, slot->own.next);
		slot->own.last = slot->own.next;
		use(base, slot->own.last);
	}
	if (one_in(4)) {
		critical_enter();
		unlink(path());
		slot->own.last = 0;
		slot->own.next = 0;
		critical_leave();
	}
	if (!code)
		ALLOW("munmap", munmap(base, PAGES * PAGE), 0);
	if (fd >= 0)
		close(fd);
	return code;
}

/* memory without a name: nobody can come again */
static int own_memory(void)
{
	int fd = memfd_create("own", MFD_CLOEXEC), code;
	char *base, *second;
	int second_code;

	if (fd < 0)
		return errno;
	ALLOW("ftruncate", ftruncate(fd, PAGES * PAGE), 0);
	base = mapped(fd, &code);
	second = mapped(fd, &second_code);
	note("own_memory at %p and %p", base, second);
	close(fd);
	if (!code) {
		store_all(base, 5);
		if (!second_code)
			all_same(second, 5, 5);
		use(base, 5);
		ALLOW("munmap", munmap(base, PAGES * PAGE), 0);
	}
	if (!second_code) {
		if (!code)
			all_same(second, 5, 5);
		ALLOW("munmap", munmap(second, PAGES * PAGE), 0);
	}
	return code;
}

const struct operation operations_unit[] = { { "own_file", 8, own_file },
					     { "own_memory", 6, own_memory },
					     {} };
