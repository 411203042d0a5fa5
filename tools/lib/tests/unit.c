// SPDX-License-Identifier: GPL-2.0
/* What the library promises to one process: every call, every error, every limit. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "heap.h"

#define MIB (1UL << 20)
#define GIB (1UL << 30)
#define SMALL_LIMIT (32 * MIB)

/* leaks are not looked for: that needs ptrace, which not every host permits */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:detect_leaks=0";
}

#define fails_with(error, call)                     \
	do {                                        \
		errno = 0;                          \
		assert_false((intptr_t)(call) > 0); \
		assert_int_equal(errno, error);     \
	} while (0)

static int memory_file(void)
{
	int fd = memfd_create("heap", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	return fd;
}

static struct scome_heap *open_limited(int fd, uint64_t limit)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = limit };
	struct scome_heap *heap = scome_heap_open_fd(fd, O_CREAT, &options);

	assert_non_null(heap);
	return heap;
}

static struct scome_heap *new_heap(void)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);

	close(fd);
	return heap;
}

static void report(void *context, const char *sentence)
{
	(void)context;
	print_error("%s\n", sentence);
}

static void in_order(struct scome_heap *heap)
{
	assert_int_equal(scome_heap_check(heap, report, NULL), 0);
}

static struct scome_heap_stats stats_of(struct scome_heap *heap)
{
	struct scome_heap_stats stats;

	assert_int_equal(scome_heap_stats(heap, &stats, sizeof(stats)), 0);
	return stats;
}

/* --- sizes */

static void test_sizes_of_objects(void **state)
{
	(void)state;
	for (size_t size = 1; size <= HEAP_CLASS_MAX; size++) {
		unsigned int class = class_of(16, size);

		assert_in_range(class, 0, HEAP_CLASSES - 1);
		assert_true(heap_classes[class].size >= size);
		if (class)
			assert_true(heap_classes[class - 1].size < size);
		assert_true(heap_classes[class].size - size <
			    (size > 128 ? size / 4 + 1 : 16));
	}
	assert_int_equal(class_of(16, HEAP_CLASS_MAX + 1), HEAP_CLASSES);
	assert_int_equal(class_of(8192, 1), HEAP_CLASSES);
}

static void test_slabs_are_well_used(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < HEAP_CLASSES; i++) {
		uint64_t bytes = heap_classes[i].pages * HEAP_PAGE;
		uint64_t used = class_objects(i) * heap_classes[i].size;

		assert_in_range(heap_classes[i].pages, 1, HEAP_SLAB_PAGES);
		assert_in_range(class_objects(i), 4, 256);
		assert_true((bytes - used) * 16 <= bytes);
		assert_int_equal(heap_classes[i].size % SCOME_HEAP_ALIGN, 0);
	}
}

static void test_lists_of_runs_are_by_length(void **state)
{
	unsigned int before = 0;

	(void)state;
	for (uint64_t pages = 1; pages < 1 << 20; pages++) {
		unsigned int bin = run_bin(pages);

		assert_true(bin == before || bin == before + 1);
		before = bin;
	}
	for (unsigned int i = 20; i < 48; i++)
		assert_in_range(run_bin(1UL << i), before, HEAP_BINS - 1);
}

/* --- opening */

static void test_a_new_heap(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = scome_heap_open_fd(fd, O_CREAT, NULL);
	struct scome_heap_stats stats;
	struct stat status;

	(void)state;
	assert_non_null(heap);
	stats = stats_of(heap);
	assert_int_equal(stats.limit, 16 * GIB);
	assert_int_equal(stats.address % GIB, 0);
	assert_in_range(stats.address, HEAP_WINDOW_START,
			HEAP_WINDOW_END - stats.reserved);
	assert_int_equal(stats.objects, 0);
	assert_int_equal(stats.grown, 0);
	assert_int_equal(stats.linked,
			 access("/sys/kernel/mm/scome/units", F_OK) == 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size % HEAP_CHUNK, 0);
	assert_true(status.st_blocks * 512 <= (blkcnt_t)HEAP_CHUNK);
	in_order(heap);
	assert_int_equal(scome_heap_close(heap), 0);
	close(fd);
}

static void test_opened_again_it_is_the_same(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	char *object = scome_heap_alloc(heap, 100);
	uint64_t address = stats_of(heap).address;

	(void)state;
	strcpy(object, "as it was");
	assert_int_equal(scome_heap_set_root(heap, 7, object), 0);
	assert_int_equal(scome_heap_close(heap), 0);
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	assert_int_equal(stats_of(heap).address, address);
	assert_ptr_equal(scome_heap_root(heap, 7), object);
	assert_string_equal(object, "as it was");
	in_order(heap);
	scome_heap_close(heap);
	close(fd);
}

static void test_by_path(void **state)
{
	char path[64];
	struct scome_heap *heap;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/heap-unit.%d", getpid());
	fails_with(ENOENT, scome_heap_open(path, 0, 0, NULL));
	heap = scome_heap_open(path, O_CREAT | O_EXCL, 0600, NULL);
	assert_non_null(heap);
	assert_non_null(scome_heap_alloc(heap, 5 * MIB));
	assert_int_equal(scome_heap_sync(heap), 0);
	scome_heap_close(heap);
	fails_with(EEXIST, scome_heap_open(path, O_CREAT | O_EXCL, 0600, NULL));
	heap = scome_heap_open(path, O_CREAT, 0600, NULL);
	assert_non_null(heap);
	assert_int_equal(stats_of(heap).objects, 1);
	/* in this process there is something at its address: itself */
	fails_with(EEXIST, scome_heap_open(path, 0, 0, NULL));
	in_order(heap);
	scome_heap_close(heap);
	unlink(path);
}

static void test_what_is_no_heap(void **state)
{
	int fd = memory_file(), null = open("/dev/null", O_RDWR);
	char text[4096];

	(void)state;
	fails_with(EINVAL, scome_heap_open("/tmp/x", O_TRUNC, 0, NULL));
	fails_with(EINVAL, scome_heap_open_fd(fd, O_EXCL, NULL));
	fails_with(EISDIR, scome_heap_open("/tmp", 0, 0, NULL));
	fails_with(EINVAL, scome_heap_open_fd(null, O_CREAT, NULL));
	fails_with(EBADF, scome_heap_open_fd(-1, O_CREAT, NULL));
	/* empty */
	fails_with(EINVAL, scome_heap_open_fd(fd, 0, NULL));
	/* with something else in it: a text, zeros, less than a header */
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 3; i++) {
		size_t size = i == 2 ? 40 : sizeof(text);
		char now[4096];

		if (i == 1)
			memset(text, 0, sizeof(text));
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, size, 0), size);
		fails_with(EINVAL, scome_heap_open_fd(fd, O_CREAT, NULL));
		assert_int_equal(pread(fd, now, sizeof(now), 0), size);
		assert_memory_equal(now, text, size);
	}
	close(null);
	close(fd);
}

static void test_options_that_cannot_be(void **state)
{
	static const struct scome_heap_options bad[] = {
		{ .size = 8 },
		{ .size = sizeof(bad[0]), .limit = UINT64_MAX },
		{ .size = sizeof(bad[0]), .limit = UINT64_MAX - MIB },
		{ .size = sizeof(bad[0]), .limit = 8UL << 40 },
		{ .size = sizeof(bad[0]), .address = HEAP_WINDOW_START + 4096 },
		{ .size = sizeof(bad[0]),
		  .address = HEAP_WINDOW_START - HEAP_CHUNK },
		{ .size = sizeof(bad[0]), .address = HEAP_WINDOW_END },
		{ .size = sizeof(bad[0]), .address = HEAP_WINDOW_END - GIB },
		{ .size = sizeof(bad[0]), .address = -HEAP_CHUNK },
	};
	int fd = memory_file();
	struct stat status;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fails_with(EINVAL, scome_heap_open_fd(fd, O_CREAT, bad + i));
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_size, 0);
	}
	close(fd);
}

static void test_an_address_of_choice(void **state)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = 4 * MIB,
					      .address = HEAP_WINDOW_START +
							 HEAP_CHUNK };
	int fd = memory_file(), other = memory_file();
	struct scome_heap *heap = scome_heap_open_fd(fd, O_CREAT, &options);
	struct stat status;

	(void)state;
	assert_non_null(heap);
	assert_int_equal(stats_of(heap).address, options.address);
	assert_int_equal(stats_of(heap).limit, 4 * MIB);
	/* a neighbour that would reach into it */
	options.address = HEAP_WINDOW_START;
	fails_with(EEXIST, scome_heap_open_fd(other, O_CREAT, &options));
	assert_int_equal(fstat(other, &status), 0);
	assert_int_equal(status.st_size, 0);
	scome_heap_close(heap);
	/* the very end of the window */
	options.address =
		HEAP_WINDOW_END -
		stats_of(heap = open_limited(other, 4 * MIB)).reserved;
	scome_heap_close(heap);
	assert_int_equal(ftruncate(other, 0), 0);
	heap = scome_heap_open_fd(other, O_CREAT, &options);
	assert_non_null(heap);
	scome_heap_close(heap);
	close(other);
	close(fd);
}

static void test_something_lies_there(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	struct scome_heap_stats stats = stats_of(heap);
	void *end = (void *)(stats.address + stats.reserved - 4096), *page;

	(void)state;
	scome_heap_close(heap);
	page = mmap(end, 4096, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(page, end);
	fails_with(EEXIST, scome_heap_open_fd(fd, 0, NULL));
	munmap(page, 4096);
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	scome_heap_close(heap);
	close(fd);
}

/* its header as an array of bytes, with the sum made right again */
static uint64_t sum_of_bytes(const unsigned char *bytes, size_t count)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum;
}

static void test_a_header_with_a_wrong_bit(void **state)
{
	int fd = memory_file();
	unsigned char good[4096], bad[4096], now[4096];
	unsigned int size = sizeof(struct heap_header);
	struct scome_heap *heap;

	(void)state;
	scome_heap_close(open_limited(fd, SMALL_LIMIT));
	assert_int_equal(pread(fd, good, sizeof(good), 0), sizeof(good));
	for (unsigned int bit = 0; bit < 8 * size; bit++) {
		int error = bit < 64 ? EINVAL :
			    bit < 96 ? EPROTONOSUPPORT :
				       EBADMSG;

		memcpy(bad, good, sizeof(bad));
		bad[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(pwrite(fd, bad, sizeof(bad), 0), sizeof(bad));
		fails_with(error, scome_heap_open_fd(fd, O_CREAT, NULL));
		assert_int_equal(pread(fd, now, sizeof(now), 0), sizeof(now));
		assert_memory_equal(now, bad, sizeof(now));
	}
	assert_int_equal(pwrite(fd, good, sizeof(good), 0), sizeof(good));
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	scome_heap_close(heap);
	close(fd);
}

static void test_a_header_that_somebody_made_up(void **state)
{
	int fd = memory_file();
	struct heap_header good, bad;
	uint64_t values[] = { 0,	  1,
			      4096,	  HEAP_CHUNK,
			      1UL << 45,  1UL << 63,
			      UINT64_MAX, UINT64_MAX - 4095 };

	(void)state;
	scome_heap_close(open_limited(fd, SMALL_LIMIT));
	assert_int_equal(pread(fd, &good, sizeof(good), 0), sizeof(good));
	for (unsigned int field = 0; field < 4; field++) {
		for (unsigned int i = 0; i < 8; i++) {
			uint64_t *fields[] = { &bad.base, &bad.reserve,
					       &bad.data, &bad.chunks };

			bad = good;
			if (*fields[field] == values[i])
				continue;
			*fields[field] = values[i];
			/* where a heap may lie, all the same */
			if (!field && values[i] == 1UL << 45)
				continue;
			bad.sum =
				sum_of_bytes((void *)&bad,
					     offsetof(struct heap_header, sum));
			assert_int_equal(pwrite(fd, &bad, sizeof(bad), 0),
					 sizeof(bad));
			fails_with(EBADMSG, scome_heap_open_fd(fd, 0, NULL));
		}
	}
	bad = good;
	bad.lock_size = 48;
	bad.sum = sum_of_bytes((void *)&bad, offsetof(struct heap_header, sum));
	assert_int_equal(pwrite(fd, &bad, sizeof(bad), 0), sizeof(bad));
	fails_with(EPROTONOSUPPORT, scome_heap_open_fd(fd, 0, NULL));
	close(fd);
}

static void test_a_state_that_is_nonsense(void **state)
{
	static const struct {
		size_t offset;
		uint64_t value;
		int error;
	} bad[] = {
		{ offsetof(struct heap_state, end), 1, EBADMSG },
		{ offsetof(struct heap_state, end), 512 * 1000, EBADMSG },
		{ offsetof(struct heap_state, end), UINT64_MAX, EBADMSG },
		{ offsetof(struct heap_state, end), 1UL << 63, EBADMSG },
		/* more than there is in the file */
		{ offsetof(struct heap_state, end), 1024, EBADMSG },
		{ offsetof(struct heap_state, log_backed), 0, EBADMSG },
		{ offsetof(struct heap_state, log_backed), 1, EBADMSG },
		{ offsetof(struct heap_state, log_backed), HEAP_META * 2,
		  EBADMSG },
		/* no entry ends there */
		{ offsetof(struct heap_state, log_used), 4, EBADMSG },
		{ offsetof(struct heap_state, log_used), 8, EBADMSG },
		{ offsetof(struct heap_state, log_used), UINT64_MAX, EBADMSG },
		{ offsetof(struct heap_state, log_used), 1UL << 32, EBADMSG },
		{ offsetof(struct heap_state, objects), 7, EUCLEAN },
		{ offsetof(struct heap_state, used), 7, EUCLEAN },
		{ offsetof(struct heap_state, roots), 7, EUCLEAN },
		{ offsetof(struct heap_state, slabs), 7, EUCLEAN },
		{ offsetof(struct heap_state, slabs[3]), UINT64_MAX, EUCLEAN },
		{ offsetof(struct heap_state, bins), 1, EUCLEAN },
		{ offsetof(struct heap_state, bins[127]), UINT64_MAX, EUCLEAN },
	};
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);

	(void)state;
	assert_non_null(scome_heap_alloc(heap, 100));
	scome_heap_close(heap);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		off_t offset = HEAP_STATE + bad[i].offset;
		uint64_t good;

		assert_int_equal(pread(fd, &good, 8, offset), 8);
		assert_int_equal(pwrite(fd, &bad[i].value, 8, offset), 8);
		fails_with(bad[i].error, scome_heap_open_fd(fd, 0, NULL));
		assert_int_equal(pwrite(fd, &good, 8, offset), 8);
	}
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	scome_heap_close(heap);
	close(fd);
}

/* entries of the log that point where no change of a heap can have been */
static void test_a_log_that_is_nonsense(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	uint64_t data = heap->header.data, none = 0;
	const struct heap_undo bad[] = {
		{ 0, 8 },
		{ HEAP_STATE, 8 },
		{ HEAP_STATE + offsetof(struct heap_state, log_used), 8 },
		{ HEAP_STATE + sizeof(struct heap_state), 8 },
		{ HEAP_LOG, 8 },
		{ HEAP_META + HEAP_CHUNK_PAGES * 64, 8 },
		{ data - 8, 8 },
		{ data + HEAP_CHUNK, 8 },
		{ data + HEAP_CHUNK - 4, 8 },
		{ UINT64_MAX, 8 },
		{ -8, 16 },
		{ data, 0 },
		{ data, 16 },
		{ data, UINT64_MAX },
		{ data, -16 },
	};
	char *object = scome_heap_alloc(heap, 8);
	struct scome_heap *again;

	(void)state;
	memcpy(object, "abcdefg", 8);
	scome_heap_close(heap);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint64_t entry[3] = { 0, bad[i].offset, bad[i].size };
		uint64_t used = sizeof(entry);

		assert_int_equal(pwrite(fd, entry, used, HEAP_LOG), used);
		assert_int_equal(pwrite(fd, &used, 8,
					HEAP_STATE + offsetof(struct heap_state,
							      log_used)),
				 8);
		fails_with(EBADMSG, scome_heap_open_fd(fd, 0, NULL));
	}
	assert_int_equal(
		pwrite(fd, &none, 8,
		       HEAP_STATE + offsetof(struct heap_state, log_used)),
		8);
	again = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(again);
	assert_string_equal(object, "abcdefg");
	scome_heap_close(again);
	close(fd);
}

static void test_a_file_that_was_cut(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	off_t size, cuts[] = { 1, 4096, HEAP_CHUNK, HEAP_CHUNK + 8 };

	(void)state;
	assert_non_null(scome_heap_alloc(heap, 5 * MIB));
	size = heap->header.data + 6 * MIB;
	scome_heap_close(heap);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(ftruncate(fd, size - cuts[i]), 0);
		fails_with(EBADMSG, scome_heap_open_fd(fd, 0, NULL));
	}
	assert_int_equal(ftruncate(fd, HEAP_CHUNK), 0);
	fails_with(EBADMSG, scome_heap_open_fd(fd, 0, NULL));
	assert_int_equal(ftruncate(fd, 64), 0);
	fails_with(EINVAL, scome_heap_open_fd(fd, 0, NULL));
	close(fd);
}

/* a process that died while it made one */
static void test_making_is_taken_up_again(void **state)
{
	int fd = memory_file(), other;
	uint64_t magic = HEAP_MAGIC_NEW;
	struct flock lock = { .l_type = F_RDLCK, .l_len = 1 };
	struct scome_heap *heap;
	char path[64];

	(void)state;
	assert_int_equal(pwrite(fd, &magic, 8, 0), 8);
	assert_int_equal(ftruncate(fd, 20 * MIB), 0);
	assert_int_equal(pwrite(fd, "junk", 4, HEAP_STATE), 4);
	fails_with(EINVAL, scome_heap_open_fd(fd, 0, NULL));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
	fails_with(EBUSY, scome_heap_open_fd(fd, O_CREAT, NULL));
	close(other);
	heap = open_limited(fd, SMALL_LIMIT);
	in_order(heap);
	scome_heap_close(heap);
	close(fd);
}

static void test_a_sealed_file(void **state)
{
	int fd = memory_file(), small = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);

	(void)state;
	assert_int_equal(fcntl(small, F_ADD_SEALS, F_SEAL_GROW), 0);
	fails_with(EPERM, scome_heap_open_fd(small, O_CREAT, NULL));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_non_null(scome_heap_alloc(heap, 1));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	fails_with(EPERM, scome_heap_alloc(heap, 4 * MIB));
	in_order(heap);
	scome_heap_close(heap);
	close(small);
	close(fd);
}

/* --- objects */

static void test_objects_of_every_size(void **state)
{
	struct scome_heap *heap = new_heap();
	unsigned char *objects[600];
	unsigned int count = 0;
	size_t sizes[600], size = 0, sum = 0;

	(void)state;
	while (size < 40000) {
		sizes[count] = size;
		objects[count] = scome_heap_alloc(heap, size);
		assert_non_null(objects[count]);
		assert_int_equal((uintptr_t)objects[count] % 16, 0);
		assert_true(scome_heap_usable_size(heap, objects[count]) >=
			    size);
		sum += scome_heap_usable_size(heap, objects[count]);
		memset(objects[count], count, size);
		size += size / 16 + 1;
		count++;
	}
	assert_int_equal(stats_of(heap).objects, count);
	assert_int_equal(stats_of(heap).used, sum);
	in_order(heap);
	for (unsigned int i = 0; i < count; i++) {
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(objects[i][j], i & 0xff);
		assert_int_equal(scome_heap_free(heap, objects[i]), 0);
		if (i % 16 == 0)
			in_order(heap);
	}
	assert_int_equal(stats_of(heap).objects, 0);
	assert_int_equal(stats_of(heap).used, 0);
	in_order(heap);
	scome_heap_close(heap);
}

static void test_zeros(void **state)
{
	struct scome_heap *heap = new_heap();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		char *object = scome_heap_alloc(heap, 100000);

		memset(object, 0xff, 100000);
		assert_int_equal(scome_heap_free(heap, object), 0);
		object = scome_heap_zalloc(heap, 100000);
		for (size_t j = 0; j < 100000; j++)
			assert_int_equal(object[j], 0);
		assert_int_equal(scome_heap_free(heap, object), 0);
	}
	scome_heap_close(heap);
}

static void test_alignments(void **state)
{
	struct scome_heap *heap = new_heap();
	void *objects[200];
	unsigned int count = 0;

	(void)state;
	for (size_t align = 1; align <= HEAP_CHUNK; align *= 2) {
		size_t sizes[] = { 1, 24, 1000, 5000, 20000, align };

		for (unsigned int i = 0; i < 6; i++) {
			void *object =
				scome_heap_alloc_aligned(heap, align, sizes[i]);

			assert_non_null(object);
			assert_int_equal((uintptr_t)object % align, 0);
			assert_true(scome_heap_usable_size(heap, object) >=
				    sizes[i]);
			objects[count++] = object;
		}
		in_order(heap);
	}
	while (count)
		assert_int_equal(scome_heap_free(heap, objects[--count]), 0);
	in_order(heap);
	fails_with(EINVAL, scome_heap_alloc_aligned(heap, 0, 1));
	fails_with(EINVAL, scome_heap_alloc_aligned(heap, 48, 1));
	fails_with(EINVAL, scome_heap_alloc_aligned(heap, 4 * MIB, 1));
	fails_with(EINVAL, scome_heap_alloc_aligned(heap, SIZE_MAX, 1));
	fails_with(ENOMEM, scome_heap_alloc_aligned(heap, 2 * MIB, SIZE_MAX));
	scome_heap_close(heap);
}

static void test_sizes_that_are_too_large(void **state)
{
	struct scome_heap *heap = new_heap();
	size_t sizes[] = { SMALL_LIMIT + 1, SIZE_MAX,	  SIZE_MAX - 1,
			   SIZE_MAX - 4094, SIZE_MAX / 2, 1UL << 63,
			   (1UL << 63) + 1, 1UL << 47 };
	uint64_t grown = stats_of(heap).grown;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		fails_with(ENOMEM, scome_heap_alloc(heap, sizes[i]));
		fails_with(ENOMEM, scome_heap_zalloc(heap, sizes[i]));
	}
	assert_int_equal(stats_of(heap).grown, grown);
	in_order(heap);
	scome_heap_close(heap);
}

static void test_up_to_the_limit(void **state)
{
	struct scome_heap *heap = new_heap();
	char *objects[SMALL_LIMIT / MIB + 1];
	unsigned int count = 0;
	void *all;

	(void)state;
	while ((objects[count] = scome_heap_alloc(heap, MIB)))
		count++;
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(count, SMALL_LIMIT / MIB);
	assert_int_equal(stats_of(heap).grown, SMALL_LIMIT);
	fails_with(ENOMEM, scome_heap_alloc(heap, 1));
	in_order(heap);
	/* every second one, and then the others between them */
	for (unsigned int i = 0; i < count; i += 2)
		assert_int_equal(scome_heap_free(heap, objects[i]), 0);
	fails_with(ENOMEM, scome_heap_alloc(heap, MIB + 1));
	in_order(heap);
	for (unsigned int i = 1; i < count; i += 2)
		assert_int_equal(scome_heap_free(heap, objects[i]), 0);
	in_order(heap);
	all = scome_heap_alloc(heap, SMALL_LIMIT);
	assert_ptr_equal(all, objects[0]);
	assert_int_equal(scome_heap_free(heap, all), 0);
	scome_heap_close(heap);
}

static void test_what_is_no_object(void **state)
{
	struct scome_heap *heap = new_heap();
	char *small = scome_heap_alloc(heap, 100), stack;
	char *large = scome_heap_alloc(heap, 100000), *spread, *gone;
	char *end = heap->data + heap->state->end * HEAP_PAGE;

	(void)state;
	/* the second page of a slab of several */
	spread = scome_heap_alloc(heap, 4000);
	gone = scome_heap_alloc(heap, 4000);
	assert_int_equal(scome_heap_free(heap, gone), 0);
	void *wrong[] = {
		small + 1,	  small + 16,	small + 112,  small - 16,
		large + 16,	  large + 4096, large - 2048, spread + 8,
		spread + 4000,	  gone,		end - 4096,   end,
		end + HEAP_CHUNK, heap->base,	heap->state,  heap->pages,
		heap->data - 16,  &stack,	(void *)8,    (void *)-16
	};

	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		fails_with(EINVAL, scome_heap_free(heap, wrong[i]));
		fails_with(EINVAL, scome_heap_usable_size(heap, wrong[i]));
		fails_with(EINVAL, scome_heap_set_root(heap, 0, wrong[i]));
	}
	assert_int_equal(scome_heap_free(heap, NULL), 0);
	in_order(heap);
	assert_int_equal(stats_of(heap).objects, 3);
	/* twice */
	assert_int_equal(scome_heap_free(heap, small), 0);
	fails_with(EINVAL, scome_heap_free(heap, small));
	assert_int_equal(scome_heap_free(heap, large), 0);
	fails_with(EINVAL, scome_heap_free(heap, large));
	assert_int_equal(scome_heap_free(heap, spread), 0);
	fails_with(EINVAL, scome_heap_free(heap, spread));
	in_order(heap);
	scome_heap_close(heap);
}

static void test_it_grows_in_place(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	struct stat status;
	char *first = scome_heap_alloc(heap, 1), *object;

	(void)state;
	assert_int_equal(stats_of(heap).grown, HEAP_CHUNK);
	object = scome_heap_alloc(heap, 9 * MIB);
	memset(object, 1, 9 * MIB);
	assert_int_equal(stats_of(heap).grown, 10 * MIB);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, heap->header.data + 10 * MIB);
	assert_ptr_equal(first, heap->data);
	in_order(heap);
	scome_heap_close(heap);
	close(fd);
}

static uint64_t blocks(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_blocks * 512;
}

static void test_trim(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	char *low = scome_heap_alloc(heap, MIB);
	char *large = scome_heap_alloc(heap, 17 * MIB);
	char *high = scome_heap_alloc(heap, MIB), *again;
	uint64_t before = blocks(fd);

	(void)state;
	memset(low, 1, MIB);
	memset(large, 2, 17 * MIB);
	memset(high, 3, MIB);
	assert_int_equal(scome_heap_trim(heap), 0);
	assert_int_equal(stats_of(heap).returned, 0);
	assert_int_equal(scome_heap_free(heap, large), 0);
	assert_int_equal(scome_heap_trim(heap), 0);
	/* 1 MiB in, 17 MiB long: the chunks from 2 to 18 MiB */
	assert_int_equal(stats_of(heap).returned, 16 * MIB);
	assert_int_equal(blocks(fd), before - 16 * MIB);
	in_order(heap);
	assert_int_equal(low[MIB - 1], 1);
	assert_int_equal(high[0], 3);
	/* the same again changes nothing */
	assert_int_equal(scome_heap_trim(heap), 0);
	assert_int_equal(blocks(fd), before - 16 * MIB);
	again = scome_heap_alloc(heap, 4 * MIB);
	assert_ptr_equal(again, large);
	assert_int_equal(stats_of(heap).returned, 12 * MIB);
	assert_int_equal(blocks(fd), before - 12 * MIB);
	memset(again, 4, 4 * MIB);
	in_order(heap);
	scome_heap_close(heap);
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	in_order(heap);
	scome_heap_close(heap);
	close(fd);
}

static int mounted_small(const char *path)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("heap-unit", path, "tmpfs", 0, "size=16m"))
		return -1;
	return 0;
}

/* in a process of its own: 0 good, 1 to 9 where it went wrong, 77 not permitted */
static int on_a_full_file_system(void)
{
	struct scome_heap *heap;
	char *object = NULL, *one;
	struct stat status;
	int fill;

	if (mounted_small("/mnt"))
		return 77;
	heap = scome_heap_open("/mnt/heap", O_CREAT, 0600, NULL);
	if (!heap)
		return 1;
	one = scome_heap_alloc(heap, 8 * MIB);
	if (!one)
		return 2;
	memset(one, 1, 8 * MIB);
	if (scome_heap_alloc(heap, 8 * MIB) || errno != ENOSPC)
		return 3;
	/* what is left, to the last page: every store is backed */
	while ((object = scome_heap_alloc(heap, 64 * 1024)))
		memset(object, 2, 64 * 1024);
	if (errno != ENOSPC || scome_heap_check(heap, NULL, NULL))
		return 4;
	/* a transaction that needs more log than there is room for */
	if (scome_heap_begin(heap) || !scome_heap_add(heap, one, 8 * MIB) ||
	    errno != ENOSPC || scome_heap_add(heap, one, MIB))
		return 5;
	memset(one, 3, MIB);
	if (scome_heap_abort(heap) || one[0] != 1 || one[MIB - 1] != 1)
		return 6;
	/* given back and taken by somebody else: no hole is filled any more */
	if (scome_heap_free(heap, one) || scome_heap_trim(heap))
		return 7;
	fill = open("/mnt/fill", O_CREAT | O_RDWR, 0600);
	for (off_t at = 0; !fallocate(fill, 0, at, 4096);)
		at += 4096;
	if (scome_heap_alloc(heap, 8 * MIB) || errno != ENOSPC ||
	    scome_heap_check(heap, NULL, NULL))
		return 8;
	/* no room for a heap at all */
	if (scome_heap_open("/mnt/other", O_CREAT, 0600, NULL) ||
	    errno != ENOSPC || stat("/mnt/other", &status) || status.st_size)
		return 9;
	return 0;
}

static void test_a_full_file_system(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (!child)
		_exit(on_a_full_file_system());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- roots, figures, walks */

static void test_roots(void **state)
{
	struct scome_heap *heap = new_heap();
	void *object = scome_heap_alloc(heap, 10);

	(void)state;
	for (unsigned int i = 0; i < SCOME_HEAP_ROOTS; i++)
		assert_null(scome_heap_root(heap, i));
	assert_int_equal(scome_heap_set_root(heap, 63, object), 0);
	assert_ptr_equal(scome_heap_root(heap, 63), object);
	assert_null(scome_heap_root(heap, 62));
	assert_int_equal(scome_heap_set_root(heap, 63, NULL), 0);
	assert_null(scome_heap_root(heap, 63));
	fails_with(EINVAL, scome_heap_set_root(heap, 64, object));
	fails_with(EINVAL, scome_heap_root(heap, 64));
	fails_with(EINVAL, scome_heap_root(heap, UINT32_MAX));
	scome_heap_close(heap);
}

struct seen {
	unsigned int objects;
	size_t bytes;
	void *last;
	unsigned int stop_at;
};

static int visit(void *context, void *object, size_t size)
{
	struct seen *seen = context;

	assert_true(object > seen->last);
	seen->last = object;
	seen->objects++;
	seen->bytes += size;
	return seen->objects == seen->stop_at ? 42 : 0;
}

static void test_walk_and_stats(void **state)
{
	struct scome_heap *heap = new_heap();
	struct scome_heap_stats stats;
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(scome_heap_walk(heap, visit, &seen), 0);
	assert_int_equal(seen.objects, 0);
	for (unsigned int i = 0; i < 300; i++)
		assert_non_null(scome_heap_alloc(heap, i * i));
	assert_int_equal(scome_heap_walk(heap, visit, &seen), 0);
	stats = stats_of(heap);
	assert_int_equal(seen.objects, 300);
	assert_int_equal(seen.bytes, stats.used);
	assert_int_equal(stats.objects, 300);
	seen = (struct seen){ .stop_at = 17 };
	assert_int_equal(scome_heap_walk(heap, visit, &seen), 42);
	assert_int_equal(seen.objects, 17);
	fails_with(EINVAL, scome_heap_stats(heap, &stats, 8));
	scome_heap_close(heap);
}

/* what the check says must be seen: whatever word of a description is changed */
static void test_the_check_sees_damage(void **state)
{
	struct scome_heap *heap = new_heap();
	unsigned int seen = 0;

	(void)state;
	for (unsigned int i = 0; i < 40; i++)
		assert_non_null(scome_heap_alloc(heap, 3000 * (i % 20)));
	for (unsigned int i = 0; i < 20; i++) {
		void *object = scome_heap_alloc(heap, 50000);

		assert_non_null(scome_heap_alloc(heap, 40000));
		assert_int_equal(scome_heap_free(heap, object), 0);
	}
	in_order(heap);
	for (uint64_t page = 0; page < heap->state->end; page++) {
		uint64_t *words = (uint64_t *)page_of(heap, page);

		for (unsigned int word = 0; word < 8; word++) {
			/* @hole counts in the first page of a chunk */
			if (word == 7 && page % HEAP_CHUNK_PAGES)
				continue;
			for (unsigned int how = 0; how < 3; how++) {
				uint64_t good = words[word];

				words[word] = how == 0 ? good + 1 :
					      how == 1 ? good ^ 1UL << 40 :
							 ~good;
				errno = 0;
				assert_int_equal(
					scome_heap_check(heap, NULL, NULL), -1);
				assert_int_equal(errno, EUCLEAN);
				words[word] = good;
				seen++;
			}
		}
		/* a free run of many pages is the same everywhere inside */
		if (page % 7 == 3)
			page += 20;
	}
	assert_true(seen > 1000);
	in_order(heap);
	scome_heap_close(heap);
}

/* --- transactions */

static void test_commit(void **state)
{
	struct scome_heap *heap = new_heap();
	int *old = scome_heap_zalloc(heap, 100), *new;

	(void)state;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(scome_heap_add(heap, old, 8), 0);
	old[0] = 1;
	old[1] = 2;
	new = scome_heap_alloc(heap, 50);
	assert_non_null(new);
	assert_int_equal(scome_heap_set_root(heap, 0, new), 0);
	assert_int_equal(scome_heap_free(heap, old), 0);
	assert_int_equal(old[1], 2);
	assert_int_equal(stats_of(heap).objects, 2);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(stats_of(heap).objects, 1);
	assert_ptr_equal(scome_heap_root(heap, 0), new);
	in_order(heap);
	assert_int_equal(stats_of(heap).recoveries, 0);
	scome_heap_close(heap);
}

static void test_abort(void **state)
{
	struct scome_heap *heap = new_heap();
	char *old = scome_heap_alloc(heap, 20000), *other;
	struct scome_heap_stats before, after;
	static char random[20000];

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		random[i] = i * 7;
	memcpy(old, random, 20000);
	assert_int_equal(scome_heap_set_root(heap, 0, old), 0);
	before = stats_of(heap);
	assert_int_equal(scome_heap_begin(heap), 0);
	/* odd places, and over each other */
	assert_int_equal(scome_heap_add(heap, old + 3, 1001), 0);
	memset(old + 3, 0xaa, 1001);
	assert_int_equal(scome_heap_add(heap, old + 900, 7001), 0);
	memset(old + 900, 0xbb, 7001);
	assert_int_equal(scome_heap_add(heap, old + 19999, 1), 0);
	old[19999] = 1;
	assert_int_equal(scome_heap_free(heap, old), 0);
	other = scome_heap_alloc(heap, 20000);
	assert_true(other != old);
	memset(other, 0xcc, 20000);
	assert_int_equal(scome_heap_set_root(heap, 0, other), 0);
	/* more memory than there was */
	assert_non_null(scome_heap_alloc(heap, 7 * MIB));
	assert_int_equal(scome_heap_abort(heap), 0);
	after = stats_of(heap);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_ptr_equal(scome_heap_root(heap, 0), old);
	assert_memory_equal(old, random, 20000);
	in_order(heap);
	scome_heap_close(heap);
}

static void test_errors_of_transactions(void **state)
{
	struct scome_heap *heap = new_heap();
	char *object = scome_heap_alloc(heap, 100), stack[8];
	char *end = heap->data + HEAP_CHUNK;
	struct scome_heap_stats stats;

	(void)state;
	fails_with(EPERM, scome_heap_add(heap, object, 8));
	fails_with(EPERM, scome_heap_commit(heap));
	fails_with(EPERM, scome_heap_abort(heap));
	assert_int_equal(scome_heap_begin(heap), 0);
	fails_with(EDEADLK, scome_heap_begin(heap));
	fails_with(EDEADLK, scome_heap_trim(heap));
	fails_with(EDEADLK, scome_heap_sync(heap));
	fails_with(EBUSY, scome_heap_close(heap));
	fails_with(EINVAL, scome_heap_add(heap, stack, 8));
	fails_with(EINVAL, scome_heap_add(heap, heap->state, 8));
	fails_with(EINVAL, scome_heap_add(heap, heap->data - 1, 8));
	fails_with(EINVAL, scome_heap_add(heap, end - 4, 8));
	fails_with(EINVAL, scome_heap_add(heap, end + 4096, 8));
	fails_with(EINVAL, scome_heap_add(heap, object, SIZE_MAX));
	fails_with(EINVAL, scome_heap_add(heap, object, -(uintptr_t)object));
	fails_with(EINVAL, scome_heap_add(heap, (void *)-8, 16));
	assert_int_equal(scome_heap_add(heap, end, 0), 0);
	assert_int_equal(scome_heap_add(heap, end - 8, 8), 0);
	fails_with(ENOMEM, scome_heap_alloc(heap, SMALL_LIMIT));
	assert_int_equal(scome_heap_free(heap, object), 0);
	fails_with(EINVAL, scome_heap_free(heap, object));
	/* within one's own, these are allowed */
	assert_int_equal(scome_heap_stats(heap, &stats, sizeof(stats)), 0);
	in_order(heap);
	assert_int_equal(scome_heap_abort(heap), 0);
	assert_int_equal(scome_heap_usable_size(heap, object), 112);
	in_order(heap);
	scome_heap_close(heap);
}

static void test_a_transaction_that_is_too_large(void **state)
{
	struct scome_heap *heap = new_heap();
	char *object = scome_heap_alloc(heap, 20 * MIB);
	uint64_t log = HEAP_META - HEAP_LOG;
	unsigned int i;

	(void)state;
	memset(object, 1, 20 * MIB);
	assert_int_equal(scome_heap_begin(heap), 0);
	fails_with(E2BIG, scome_heap_add(heap, object, 20 * MIB));
	fails_with(E2BIG, scome_heap_add(heap, object, log));
	assert_int_equal(scome_heap_add(heap, object, log - 16), 0);
	memset(object, 2, log - 16);
	fails_with(E2BIG, scome_heap_add(heap, object, 1));
	fails_with(E2BIG, scome_heap_alloc(heap, 1));
	fails_with(E2BIG, scome_heap_free(heap, object));
	assert_int_equal(scome_heap_abort(heap), 0);
	for (i = 0; i < 20 * MIB; i += 4096)
		assert_int_equal(object[i], 1);
	in_order(heap);
	/* the log's own memory is given back, too */
	assert_int_equal(heap->state->log_backed, HEAP_META);
	assert_int_equal(scome_heap_trim(heap), 0);
	assert_int_equal(heap->state->log_backed, HEAP_CHUNK);
	scome_heap_close(heap);
}

/* what is promised to frees is there when the commit needs it */
static void test_a_transaction_that_frees_much(void **state)
{
	struct scome_heap *heap = new_heap();
	static void *objects[20000];
	unsigned int freed = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		assert_non_null(objects[i] =
					scome_heap_alloc(heap, 16 + i % 900));
	assert_int_equal(scome_heap_begin(heap), 0);
	/* from both ends, so that slabs become empty late */
	while (freed < 20000) {
		unsigned int i = freed % 2 ? freed / 2 : 19999 - freed / 2;

		if (scome_heap_free(heap, objects[i]))
			break;
		freed++;
	}
	assert_int_equal(errno, E2BIG);
	assert_in_range(freed, (HEAP_META - HEAP_LOG) / HEAP_OP_UNDO - 1,
			19999);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(stats_of(heap).objects, 20000 - freed);
	in_order(heap);
	scome_heap_close(heap);
}

/* no operation changes more words than the log has room for */
static void test_words_of_an_operation(void **state)
{
	struct scome_heap *heap = new_heap();
	void *objects[256] = { NULL };
	uint64_t most = 0, seed = 4711;

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t before;
		unsigned int which;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		which = seed >> 56;
		if (i % 1000 == 0 && i)
			assert_int_equal(scome_heap_commit(heap), 0);
		if (i % 1000 == 0)
			assert_int_equal(scome_heap_begin(heap), 0);
		before = heap->state->log_used;
		if (objects[which]) {
			struct heap_object object;

			assert_true(object_find(heap, objects[which], &object));
			object_give(heap, &object);
			objects[which] = NULL;
		} else {
			size_t size = 1 + (seed >> 20 & 0xffff) % 20000;

			if (seed >> 40 & 1)
				size *= 8;
			objects[which] = scome_heap_alloc_aligned(
				heap, 1UL << (seed >> 50) % 16, size);
		}
		if (heap->state->log_used - before > most)
			most = heap->state->log_used - before;
	}
	assert_int_equal(scome_heap_commit(heap), 0);
	in_order(heap);
	print_message("# at most %lu of %u words\n", most / HEAP_WORD_UNDO,
		      HEAP_OP_WORDS);
	assert_in_range(most, 20 * HEAP_WORD_UNDO, HEAP_OP_UNDO);
	scome_heap_close(heap);
}

/* --- threads and children */

static void *others_transaction(void *context)
{
	struct scome_heap *heap = context;

	/* not this thread's */
	if (!scome_heap_commit(heap) || errno != EPERM)
		return (void *)1;
	if (scome_heap_begin(heap))
		return (void *)2;
	/* it waited: the first one is over */
	if (!scome_heap_root(heap, 1))
		return (void *)3;
	return scome_heap_commit(heap) ? (void *)4 : NULL;
}

static void test_threads_wait(void **state)
{
	struct scome_heap *heap = new_heap();
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(
		pthread_create(&thread, NULL, others_transaction, heap), 0);
	usleep(20000);
	assert_int_equal(
		scome_heap_set_root(heap, 1, scome_heap_alloc(heap, 1)), 0);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	scome_heap_close(heap);
}

static void *ends_in_a_transaction(void *context)
{
	struct scome_heap *heap = context;
	int *object = scome_heap_root(heap, 0);

	if (scome_heap_begin(heap) || scome_heap_add(heap, object, 4))
		return (void *)1;
	*object = 2;
	if (!scome_heap_alloc(heap, 100) || scome_heap_free(heap, object))
		return (void *)2;
	return NULL;
}

static void test_a_thread_that_ends(void **state)
{
	struct scome_heap *heap = new_heap();
	int *object = scome_heap_alloc(heap, 4);

	(void)state;
	*object = 1;
	assert_int_equal(scome_heap_set_root(heap, 0, object), 0);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_t thread;
		void *result;

		assert_int_equal(pthread_create(&thread, NULL,
						ends_in_a_transaction, heap),
				 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_null(result);
	}
	in_order(heap);
	assert_int_equal(*object, 1);
	assert_int_equal(stats_of(heap).objects, 1);
	assert_int_equal(stats_of(heap).recoveries, 4);
	scome_heap_close(heap);
}

static int child_of_a_transaction(struct scome_heap *heap, int *object)
{
	/* the transaction is the parent's */
	if (!scome_heap_add(heap, object, 4) || errno != EPERM)
		return 1;
	if (!scome_heap_commit(heap) || errno != EPERM)
		return 2;
	if (!scome_heap_abort(heap) || errno != EPERM)
		return 3;
	/* until that ends it waits */
	if (scome_heap_begin(heap))
		return 4;
	if (*object != 2 || scome_heap_add(heap, object, 4))
		return 5;
	*object = 3;
	if (scome_heap_commit(heap))
		return 6;
	return scome_heap_close(heap) ? 7 : 0;
}

static void test_a_child(void **state)
{
	struct scome_heap *heap = new_heap();
	int *object = scome_heap_alloc(heap, 4), status;
	pid_t child;

	(void)state;
	*object = 1;
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(scome_heap_add(heap, object, 4), 0);
	child = fork();
	if (!child)
		_exit(child_of_a_transaction(heap, object));
	usleep(20000);
	*object = 2;
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(*object, 3);
	in_order(heap);
	scome_heap_close(heap);
}

/* as long as a child has it open, nobody makes the lock anew */
static void test_a_child_keeps_it_open(void **state)
{
	int fd = memory_file(), pipes[2], status;
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	int *object = scome_heap_alloc(heap, 4);
	pid_t child;
	char byte;

	(void)state;
	*object = 1;
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (!child) {
		if (scome_heap_begin(heap) || scome_heap_add(heap, object, 4))
			_exit(1);
		*object = 2;
		if (write(pipes[1], "x", 1) != 1)
			_exit(2);
		usleep(100000);
		_exit(scome_heap_commit(heap) ? 3 : 0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(scome_heap_close(heap), 0);
	heap = scome_heap_open_fd(fd, 0, NULL);
	assert_non_null(heap);
	/* waits for the child */
	assert_int_equal(scome_heap_begin(heap), 0);
	assert_int_equal(*object, 2);
	assert_int_equal(scome_heap_commit(heap), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scome_heap_close(heap);
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

/* what is nonsense while others have it: nobody gets the lock again */
static void test_a_log_destroyed_under_a_dead_one(void **state)
{
	struct scome_heap *heap = new_heap();
	int status;
	pid_t child = fork();

	(void)state;
	if (!child) {
		if (scome_heap_begin(heap))
			_exit(1);
		heap->state->log_used = 12;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fails_with(ENOTRECOVERABLE, scome_heap_alloc(heap, 1));
	fails_with(ENOTRECOVERABLE, scome_heap_begin(heap));
	fails_with(ENOTRECOVERABLE, scome_heap_check(heap, NULL, NULL));
	assert_int_equal(scome_heap_close(heap), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_of_objects),
		cmocka_unit_test(test_slabs_are_well_used),
		cmocka_unit_test(test_lists_of_runs_are_by_length),
		cmocka_unit_test(test_a_new_heap),
		cmocka_unit_test(test_opened_again_it_is_the_same),
		cmocka_unit_test(test_by_path),
		cmocka_unit_test(test_what_is_no_heap),
		cmocka_unit_test(test_options_that_cannot_be),
		cmocka_unit_test(test_an_address_of_choice),
		cmocka_unit_test(test_something_lies_there),
		cmocka_unit_test(test_a_header_with_a_wrong_bit),
		cmocka_unit_test(test_a_header_that_somebody_made_up),
		cmocka_unit_test(test_a_state_that_is_nonsense),
		cmocka_unit_test(test_a_log_that_is_nonsense),
		cmocka_unit_test(test_a_file_that_was_cut),
		cmocka_unit_test(test_making_is_taken_up_again),
		cmocka_unit_test(test_a_sealed_file),
		cmocka_unit_test(test_objects_of_every_size),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_sizes_that_are_too_large),
		cmocka_unit_test(test_up_to_the_limit),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_it_grows_in_place),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_a_full_file_system),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_walk_and_stats),
		cmocka_unit_test(test_the_check_sees_damage),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_errors_of_transactions),
		cmocka_unit_test(test_a_transaction_that_is_too_large),
		cmocka_unit_test(test_a_transaction_that_frees_much),
		cmocka_unit_test(test_words_of_an_operation),
		cmocka_unit_test(test_threads_wait),
		cmocka_unit_test(test_a_thread_that_ends),
		cmocka_unit_test(test_a_child),
		cmocka_unit_test(test_a_child_keeps_it_open),
		cmocka_unit_test(test_a_log_destroyed_under_a_dead_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
