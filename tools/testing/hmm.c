// SPDX-License-Identifier: GPL-2.0
/*
 * A device that has the process's addresses: the kernel's own test of HMM, which
 * keeps a page table of what it has seen and reads and writes by that.
 */
#include <sys/ioctl.h>

#include "scenario.h"
/* of the kernel's source, like the harness */
#include <../../../lib/test_hmm_uapi.h>

#define DEVICE "/dev/hmm_dmirror0"
#define SIZE (4 * MIB)
#define PAGES (SIZE / PAGE)
#define AT 300

struct device {
	int fd;
	uint64_t *buffer;
};

/* of the page it is asked for */
struct seen {
	int64_t result;
	uint64_t value;
	/* how often it had to ask for pages */
	uint64_t faults;
};

static struct device device_open(void)
{
	struct device device = { .fd = open(DEVICE, O_RDWR | O_CLOEXEC) };

	NEED(device.fd >= 0);
	device.buffer =
		mmap(NULL, SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(device.buffer != MAP_FAILED);
	return device;
}

static struct seen command(struct device *device, unsigned long request,
			   const void *at, uint64_t pages)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)at,
		.ptr = (uintptr_t)device->buffer,
		.npages = pages,
	};
	struct seen seen;

	seen.result = err(ioctl(device->fd, request, &cmd));
	seen.value = device->buffer[0];
	seen.faults = cmd.faults;
	return seen;
}

static struct seen device_read(struct device *device, const void *at)
{
	memset(device->buffer, 0, PAGE);
	return command(device, HMM_DMIRROR_READ, at, 1);
}

static struct seen device_write(struct device *device, void *at, uint64_t value)
{
	memset(device->buffer, 0, PAGE);
	device->buffer[0] = value;
	return command(device, HMM_DMIRROR_WRITE, at, 1);
}

static uint64_t device_sum(struct device *device, const char *map, size_t size)
{
	uint64_t sum = 0;

	if (command(device, HMM_DMIRROR_READ, map, size / PAGE).result)
		return 0;
	for (size_t at = 0; at < size; at += PAGE)
		sum += device->buffer[at / sizeof(uint64_t)];
	return sum;
}

/* what the entry of a page allows, as far as a device can tell */
static int64_t device_may(struct device *device, const void *at)
{
	unsigned char may = 0;
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)at,
		.ptr = (uintptr_t)&may,
		.npages = 1,
	};

	if (ioctl(device->fd, HMM_DMIRROR_SNAPSHOT, &cmd))
		return -errno;
	return may;
}

/* the device reads what is there, and remembers the page: it asks once */
static void device_knows(struct side *s, struct device *device,
			 const char *name, const void *at, uint64_t value,
			 bool asks)
{
	struct seen seen = device_read(device, at);
	char full[64];

	snprintf(full, sizeof(full), "%s_value", name);
	must(s, full, seen.value, value);
	snprintf(full, sizeof(full), "%s_asks", name);
	must(s, full, seen.faults > 0, asks);
}

SCENARIO(reads_and_writes, "SCM-20")
{
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0),
	     *other = map_side(s, SIZE, RW, fd, 0);
	struct device device = device_open();

	must(s, "sum", device_sum(&device, map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", device_write(&device, map + AT * PAGE, 77).result, 0);
	must(s, "seen", word(map + AT * PAGE), 77);
	must(s, "seen_there", word(other + AT * PAGE), 77);
	set_word(other + AT * PAGE, 78);
	device_knows(s, &device, "again", map + AT * PAGE, 78, false);
	relinks(s, "links", map, "11");
}

SCENARIO(hears_of_the_file, "SCM-20,SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *at = map + AT * PAGE;
	struct device device = device_open();
	uint64_t value = 5;

	device_knows(s, &device, "first", at, AT + 1, true);
	device_knows(s, &device, "second", at, AT + 1, false);
	must(s, "punch", punch_hole(fd, AT * PAGE, PAGE), 0);
	device_knows(s, &device, "punched", at, 0, true);
	NEED(pwrite(fd, &value, 8, AT * PAGE) == 8);
	device_knows(s, &device, "written", at, 5, false);
	must(s, "truncate", err(ftruncate(fd, RANGE)), 0);
	must(s, "past", device_read(&device, map + RANGE).result, -EFAULT);
	must(s, "grow", err(ftruncate(fd, SIZE)), 0);
	device_knows(s, &device, "grown", map + RANGE, 0, true);
	relinks(s, "links", map, "11");
}

SCENARIO(hears_of_pages, "SCM-20,SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *at = map + AT * PAGE;
	struct device device = device_open();

	device_knows(s, &device, "first", at, AT + 1, true);
	must(s, "pageout", err(madvise(map, SIZE, MADV_PAGEOUT)), 0);
	device_knows(s, &device, "reclaimed", at, AT + 1, true);
	must(s, "offline", err(madvise(at, PAGE, MADV_SOFT_OFFLINE)), 0);
	device_knows(s, &device, "moved", at, AT + 1, true);
	must(s, "sum", device_sum(&device, map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "11");
}

SCENARIO(hears_of_the_mapping, "SCM-20,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd), *at = map + AT * PAGE;
	struct device device = device_open();

	device_knows(s, &device, "first", at, AT + 1, true);
	must(s, "write", device_write(&device, at, AT + 1).result, 0);
	must(s, "protect", err(mprotect(map, SIZE, PROT_READ)), 0);
	must(s, "denied", device_write(&device, at, 6).result, -EPERM);
	must(s, "unchanged", word(at), AT + 1);
	must(s, "part", err(mprotect(at, PAGE, RW)), 0);
	must(s, "allowed", device_write(&device, at, 7).result, 0);
	must(s, "beside", device_write(&device, at + PAGE, 8).result, -EPERM);
	must(s, "seen", word(at), 7);
	must(s, "over",
	     mmap(at, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == at,
	     1);
	device_knows(s, &device, "over", at, 0, true);
	must(s, "unmap", err(munmap(map, SIZE)), 0);
	must(s, "gone", device_read(&device, at).result, -EFAULT);
}

/* others write through the entry that this process reads */
SCENARIO(read_only, "SCM-20,SCM-15")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd),
	     *two = map_side(s, SIZE, PROT_READ, fd, 0);
	struct device device = device_open();

	set_word(map + AT * PAGE, 9);
	must(s, "value", word(two + AT * PAGE), 9);
	must(s, "may", device_may(&device, map + AT * PAGE),
	     HMM_DMIRROR_PROT_WRITE);
	must(s, "may_there", device_may(&device, two + AT * PAGE),
	     HMM_DMIRROR_PROT_READ);
	must(s, "denied", device_write(&device, two + AT * PAGE, 1).result,
	     -EPERM);
	must(s, "unchanged", word(map + AT * PAGE), 9);
	relinks(s, "links", two, "11");
}

SCENARIO(below_a_parent, "SCM-20,SCM-6")
{
	int fd = stamped_file(SIZE);
	char *map = map_gib(s, GIB, RW, fd, 0), *at = map + AT * PAGE;
	struct device device = device_open();

	must(s, "sum", device_sum(&device, map, SIZE), stamp_sum(0, SIZE));
	must(s, "punch", punch_hole(fd, AT * PAGE, PAGE), 0);
	device_knows(s, &device, "punched", at, 0, true);
	must(s, "protect", err(mprotect(map, GIB, PROT_READ)), 0);
	must(s, "denied", device_write(&device, at, 6).result, -EPERM);
	must(s, "may", device_may(&device, map), HMM_DMIRROR_PROT_READ);
	linked_ranges(s, "links", map, GIB, RANGES);
}

SCENARIO(huge, "SCM-20,SCM-6,SCM-15")
{
	int fd = file_in(mounted("huge=always"), 0, GIB);
	char *map = map_gib(s, GIB, RW, fd, 0), *at = map + AT * PAGE, *small;
	char *two = map_gib(s, GIB, PROT_READ, fd, 0);
	struct device device = device_open();

	stamp_all(map, SIZE);
	must(s, "first", word(two), 1);
	must(s, "may", device_may(&device, map),
	     HMM_DMIRROR_PROT_WRITE | HMM_DMIRROR_PROT_PMD);
	must(s, "may_there", device_may(&device, two),
	     HMM_DMIRROR_PROT_READ | HMM_DMIRROR_PROT_PMD);
	must(s, "denied", device_write(&device, two, 1).result, -EPERM);
	device_knows(s, &device, "known", at, AT + 1, true);
	/* whoever links less than a GiB takes the huge entry apart */
	small = map_side(s, RANGE, RW, fd, 0);
	must(s, "small", word(small + AT * PAGE), AT + 1);
	must(s, "punch", punch_hole(fd, AT * PAGE, PAGE), 0);
	device_knows(s, &device, "punched", at, 0, true);
	must(s, "sum", device_sum(&device, map, SIZE),
	     stamp_sum(0, SIZE) - AT - 1);
	linked_ranges(s, "links", map, GIB, RANGES);
}

/* a device gets no file's page for itself, and takes no unit's huge entry apart */
SCENARIO(exclusive, "SCM-20,SCM-6")
{
	int fd = file_in(mounted("huge=always"), 0, GIB);
	char *map = map_gib(s, GIB, RW, fd, 0), *two;
	struct device device = device_open();

	stamp_all(map, SIZE);
	two = map_gib(s, GIB, RW, fd, 0);
	must(s, "sum", sum_all(two, SIZE), stamp_sum(0, SIZE));
	must(s, "exclusive",
	     command(&device, HMM_DMIRROR_EXCLUSIVE, map, PAGES).result,
	     -EBUSY);
	must(s, "sum_after", sum_all(map, SIZE), stamp_sum(0, SIZE));
	set_word(map + AT * PAGE, 4);
	must(s, "coherent", word(two + AT * PAGE), 4);
	must(s, "punch", punch_hole(fd, 0, SIZE), 0);
	must(s, "empty", sum_all(two, SIZE), 0);
	linked_ranges(s, "links", two, GIB, RANGES);
}

/* pages of a link do not go to a device: others use the entries */
SCENARIO_LINKED(not_migrated, "SCM-20")
{
	int fd = stamped_file(SIZE);
	char *map = map_touched(s, SIZE, RW, fd);
	struct device device = device_open();
	char *own = mmap(NULL, RANGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(own != MAP_FAILED);
	stamp_all(own, 4 * PAGE);
	must(s, "own_memory",
	     command(&device, HMM_DMIRROR_MIGRATE_TO_DEV, own, 4).result, 0);
	must(s, "own_sum", sum_all(own, 4 * PAGE), stamp_sum(0, 4 * PAGE));
	must(s, "migrate",
	     command(&device, HMM_DMIRROR_MIGRATE_TO_DEV, map, PAGES).result,
	     -EINVAL);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "11");
}

TEST_HARNESS_MAIN
