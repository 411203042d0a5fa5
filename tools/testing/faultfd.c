// SPDX-License-Identifier: GPL-2.0
/* userfaultfd: a VMA that is registered leaves, and behaves as any other. */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "scenario.h"

#define SIZE (8 * MIB)

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif

struct handler {
	pthread_t thread;
	int fd;
	char *alias;
	uint64_t mode;
	volatile unsigned int faults;
};

static int open_userfaultfd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	NEED(fd >= 0 && !ioctl(fd, UFFDIO_API, &api));
	return fd;
}

static int64_t register_range(int fd, void *start, size_t size, uint64_t mode)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)start, .len = size },
		.mode = mode,
	};

	return err(ioctl(fd, UFFDIO_REGISTER, &range));
}

static int64_t unregister_range(int fd, void *start, size_t size)
{
	struct uffdio_range range = { .start = (uintptr_t)start, .len = size };

	return err(ioctl(fd, UFFDIO_UNREGISTER, &range));
}

/* answers one fault after the other until it is cancelled */
static void *handle(void *context)
{
	static char page[PAGE] __attribute__((aligned(4096)));
	struct handler *handler = context;
	struct uffd_msg message;

	for (;;) {
		struct pollfd wait = { .fd = handler->fd, .events = POLLIN };
		uint64_t address;

		poll(&wait, 1, -1);
		if (read(handler->fd, &message, sizeof(message)) !=
		    sizeof(message))
			continue;
		address = message.arg.pagefault.address & -PAGE;
		handler->faults++;
		if (handler->mode == UFFDIO_REGISTER_MODE_MISSING) {
			struct uffdio_copy copy = {
				.dst = address,
				.src = (uintptr_t)page,
				.len = PAGE,
			};

			set_word(page, 7000 + handler->faults);
			ioctl(handler->fd, UFFDIO_COPY, &copy);
		} else if (handler->mode == UFFDIO_REGISTER_MODE_MINOR) {
			struct uffdio_continue go_on = {
				.range = { .start = address, .len = PAGE },
			};

			ioctl(handler->fd, UFFDIO_CONTINUE, &go_on);
		} else {
			struct uffdio_writeprotect allow = {
				.range = { .start = address, .len = PAGE },
			};

			ioctl(handler->fd, UFFDIO_WRITEPROTECT, &allow);
		}
	}
	return NULL;
}

static void start(struct handler *handler)
{
	NEED(!pthread_create(&handler->thread, NULL, handle, handler));
}

static void stop(struct handler *handler)
{
	pthread_cancel(handler->thread);
	pthread_join(handler->thread, NULL);
	close(handler->fd);
}

SCENARIO(missing, "SCM-6,SCM-16")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0),
	     *other = map_side(s, SIZE, RW, fd, 0);

	set_word(map, 1);
	relinks(s, "links_before", other, "1111");
	/* the holes that the other mapping has just read are zero pages now */
	NEED(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE,
			SIZE - PAGE));
	handler.fd = open_userfaultfd(0);
	must(s, "register", register_range(handler.fd, map, SIZE, handler.mode),
	     0);
	start(&handler);
	must(s, "present", word(map), 1);
	must(s, "first", word(map + MIB), 7001);
	must(s, "second", word(map + 5 * MIB), 7002);
	must(s, "again", word(map + MIB), 7001);
	must(s, "faults", handler.faults, 2);
	must(s, "other_sees", word(other + MIB), 7001);
	links(s, "links", map, "0000");
	/* the other mapping is not registered */
	must(s, "other_hole", word(other + 3 * MIB), 0);
	must(s, "other_faults", handler.faults, 2);
	must(s, "unregister", unregister_range(handler.fd, map, SIZE), 0);
	stop(&handler);
	must(s, "unregistered", try_write(map + 7 * MIB, 5), 0);
	must(s, "coherent", word(other + 7 * MIB), 5);
}

SCENARIO(missing_part, "SCM-6")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	handler.fd = open_userfaultfd(0);
	must(s, "register",
	     register_range(handler.fd, map + 2 * MIB, 2 * MIB, handler.mode),
	     0);
	start(&handler);
	must(s, "inside", word(map + 3 * MIB), 7001);
	must(s, "outside", word(map + 5 * MIB), 0);
	must(s, "faults", handler.faults, 1);
	sum_all(map, 2 * MIB);
	sum_all(map + 4 * MIB, 4 * MIB);
	links(s, "links", map, "1011");
	stop(&handler);
}

SCENARIO(minor, "SCM-6")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	handler.fd = open_userfaultfd(UFFD_FEATURE_MINOR_SHMEM);
	must(s, "register", register_range(handler.fd, map, SIZE, handler.mode),
	     0);
	start(&handler);
	must(s, "first", word(map + MIB), MIB / PAGE + 1);
	must(s, "second", word(map + 5 * MIB), 5 * MIB / PAGE + 1);
	must(s, "faults", handler.faults, 2);
	links(s, "links", map, "0000");
	stop(&handler);
}

SCENARIO(minor_of_linked, "SCM-6")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_MINOR };
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0);

	sum_all(map, SIZE);
	links(s, "links_before", map, "1111");
	handler.fd = open_userfaultfd(UFFD_FEATURE_MINOR_SHMEM);
	must(s, "register", register_range(handler.fd, map, SIZE, handler.mode),
	     0);
	must(s, "drop", err(madvise(map, SIZE, MADV_DONTNEED)), 0);
	start(&handler);
	must(s, "first", word(map + MIB), MIB / PAGE + 1);
	must(s, "faults", handler.faults, 1);
	links(s, "links", map, "0000");
	stop(&handler);
}

SCENARIO(write_protect, "SCM-6,SCM-15,SCM-16")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_WP };
	int fd = stamped_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0),
	     *other = map_side(s, SIZE, RW, fd, 0);
	struct uffdio_writeprotect protect = {
		.range = { .start = (uintptr_t)map, .len = SIZE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	stamp_all(map, SIZE);
	stamp_all(other, SIZE);
	links(s, "links_before", map, "1111");
	handler.fd = open_userfaultfd(UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	must(s, "register", register_range(handler.fd, map, SIZE, handler.mode),
	     0);
	sum_all(map, SIZE);
	must(s, "protect",
	     err(ioctl(handler.fd, UFFDIO_WRITEPROTECT, &protect)), 0);
	start(&handler);
	must(s, "read", word(map + MIB), MIB / PAGE + 1);
	must(s, "read_faults", handler.faults, 0);
	set_word(map + MIB, 5);
	must(s, "write_faults", handler.faults, 1);
	set_word(map + MIB, 6);
	must(s, "once", handler.faults, 1);
	/* nobody else is protected by it */
	set_word(other + 3 * MIB, 9);
	must(s, "other_faults", handler.faults, 1);
	must(s, "other_data", word(map + 3 * MIB), 9);
	links(s, "links", map, "0000");
	relinks(s, "links_other", other, "1111");
	stop(&handler);
}

SCENARIO(map_registered_place, "SCM-6")
{
	struct handler handler = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = memory_file(SIZE);
	char *map = map_side(s, SIZE, RW, fd, 0), *copy;
	static char page[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy fill;

	/* a copy to a place that is there already, and to one that is not registered */
	handler.fd = open_userfaultfd(0);
	must(s, "register",
	     register_range(handler.fd, map, 4 * MIB, handler.mode), 0);
	fill = (struct uffdio_copy){ .dst = (uintptr_t)map + MIB,
				     .src = (uintptr_t)page,
				     .len = PAGE };
	set_word(page, 5);
	must(s, "copy", err(ioctl(handler.fd, UFFDIO_COPY, &fill)), 0);
	must(s, "data", word(map + MIB), 5);
	must(s, "exists", err(ioctl(handler.fd, UFFDIO_COPY, &fill)), -EEXIST);
	fill.dst = (uintptr_t)map + 5 * MIB;
	must(s, "elsewhere", err(ioctl(handler.fd, UFFDIO_COPY, &fill)),
	     -ENOENT);
	copy = map_ordinary(SIZE, PROT_READ, fd, 0);
	must(s, "file", word(copy + MIB), 5);
	close(handler.fd);
	must(s, "after_close", word(map + 3 * MIB), 0);
}

TEST_HARNESS_MAIN
