// SPDX-License-Identifier: GPL-2.0
/* A heap is made and opened: what is accepted, what is refused, and with which error. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* --- opening */

void test_a_new_heap(void **state)
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

void test_opened_again_it_is_the_same(void **state)
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

void test_by_path(void **state)
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

void test_what_is_no_heap(void **state)
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

void test_options_that_cannot_be(void **state)
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

void test_an_address_of_choice(void **state)
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

void test_something_lies_there(void **state)
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

void test_a_header_with_a_wrong_bit(void **state)
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

void test_a_header_that_somebody_made_up(void **state)
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

void test_a_state_that_is_nonsense(void **state)
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
void test_a_log_that_is_nonsense(void **state)
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

/* one that is good, and takes back where the data end to where they cannot */
void test_a_log_that_leads_astray(void **state)
{
	static const uint64_t ends[] = {
		1, 511, 1024, 1UL << 24, 1UL << 40, UINT64_MAX - 511
	};
	uint64_t used = 24;

	(void)state;
	for (unsigned int i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		int fd = memory_file();
		struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
		uint64_t entry[3] = { ends[i],
				      HEAP_STATE +
					      offsetof(struct heap_state, end),
				      8 };

		assert_non_null(scome_heap_alloc(heap, 8));
		scome_heap_close(heap);
		assert_int_equal(pwrite(fd, entry, used, HEAP_LOG), used);
		assert_int_equal(pwrite(fd, &used, 8,
					HEAP_STATE + offsetof(struct heap_state,
							      log_used)),
				 8);
		fails_with(EBADMSG, scome_heap_open_fd(fd, 0, NULL));
		close(fd);
	}
}

void test_a_file_that_was_cut(void **state)
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
	assert_int_equal(ftruncate(fd, 40), 0);
	fails_with(EINVAL, scome_heap_open_fd(fd, 0, NULL));
	close(fd);
}

static uint64_t any_word(uint64_t *seed, uint64_t now)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	switch (*seed >> 60) {
	case 0 ... 3:
		return now ^ 1UL << (*seed >> 40 & 63);
	case 4 ... 7:
		return now + (*seed >> 40 & 7) - 3;
	case 8 ... 11:
		return *seed >> 40 & 1023;
	case 12 ... 13:
		return *seed >> 50 << 16 | (*seed >> 40 & 7);
	}
	return *seed;
}

/* one that was in use, and has something to be taken back */
static int left_behind(void)
{
	int fd = memory_file(), status;
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	void *objects[60];
	pid_t child;

	for (unsigned int i = 0; i < 60; i++)
		objects[i] = scome_heap_alloc(heap, i * i * i % 30000);
	for (unsigned int i = 0; i < 60; i += 3)
		assert_int_equal(scome_heap_free(heap, objects[i]), 0);
	assert_int_equal(scome_heap_set_root(heap, 0, objects[1]), 0);
	child = fork();
	if (!child)
		_exit(scome_heap_begin(heap) ||
		      !scome_heap_alloc(heap, 3 * MIB) ||
		      scome_heap_add(heap, objects[1], 1) ||
		      !scome_heap_alloc(heap, 100));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	scome_heap_close(heap);
	return fd;
}

/* words at random: it is refused, or it is a heap that can be used */
void test_damage_at_random(void **state)
{
	static const struct {
		off_t start;
		size_t size;
	} parts[] = { { 0, HEAP_LOG },
		      { HEAP_LOG, 2048 },
		      { HEAP_META, 98304 } };
	static char good[3][98304], bad[98304];
	unsigned int opened = 0, refused = 0;
	uint64_t seed = 20261121;
	int fd = left_behind();

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pread(fd, good[i], parts[i].size,
				       parts[i].start),
				 parts[i].size);
	for (unsigned int round = 0; round < 4000; round++) {
		struct scome_heap *heap;
		unsigned int words = 1 + round % 3;

		for (unsigned int i = 0; i < 3; i++) {
			uint64_t *word;

			memcpy(bad, good[i], parts[i].size);
			/* one part at a time, or all of them */
			for (unsigned int j = 0;
			     j < words && (round % 4 == i || round % 4 == 3);
			     j++) {
				seed = seed * 6364136223846793005 + 1;
				/* most of the state is in the first 3 KiB */
				word = (uint64_t *)bad +
				       (seed >> 33) %
					       (parts[i].size / 8 >>
						(i != 1) * (seed >> 30 & 7));
				if (!i && (char *)word < bad + HEAP_STATE)
					word += HEAP_STATE / 8;
				*word = any_word(&seed, *word);
			}
			assert_int_equal(pwrite(fd, bad, parts[i].size,
						parts[i].start),
					 parts[i].size);
		}
		heap = scome_heap_open_fd(fd, 0, NULL);
		if (!heap) {
			assert_true(errno == EBADMSG || errno == EUCLEAN);
			refused++;
			continue;
		}
		opened++;
		assert_non_null(scome_heap_alloc(heap, 100));
		assert_non_null(scome_heap_alloc(heap, 100000));
		in_order(heap);
		scome_heap_close(heap);
	}
	assert_true(opened > 100 && refused > 100);
	close(fd);
}

/* a process that died while it made one */
void test_making_is_taken_up_again(void **state)
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

/* what the system was doing when it stopped means nothing now */
void test_a_lock_of_another_boot(void **state)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);
	uint64_t junk[16];

	(void)state;
	scome_heap_close(heap);
	for (unsigned int i = 0; i < 3; i++) {
		memset(junk, i == 0 ? 0xff : i == 1 ? 0x41 : 1, sizeof(junk));
		assert_int_equal(pwrite(fd, junk, sizeof(junk), HEAP_STATE),
				 sizeof(junk));
		heap = scome_heap_open_fd(fd, 0, NULL);
		assert_non_null(heap);
		assert_non_null(scome_heap_alloc(heap, 100));
		in_order(heap);
		scome_heap_close(heap);
	}
	close(fd);
}

void test_a_sealed_file(void **state)
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

/* in a process of its own each: 0 good, else where it went wrong, 77 not permitted */
static int in_child(int (*run)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int without_addresses(void)
{
	struct rlimit limit = { .rlim_cur = GIB, .rlim_max = GIB };
	int fd = memfd_create("heap", MFD_CLOEXEC);
	struct stat status;

	if (fd < 0 || setrlimit(RLIMIT_AS, &limit))
		return 1;
	if (scome_heap_open_fd(fd, O_CREAT, NULL) || errno != ENOMEM)
		return 2;
	/* as empty as it was */
	return fstat(fd, &status) || status.st_size ? 3 : 0;
}

static int without_permission(void)
{
	int fd = memfd_create("heap", MFD_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || fchmod(fd, 0400) || setresuid(65534, 65534, 65534))
		return 77;
	/* /proc/self is root's as long as this cannot be dumped */
	prctl(PR_SET_DUMPABLE, 1);
	if (scome_heap_open(path, 0, 0, NULL) || errno != EACCES)
		return 1;
	return scome_heap_open_fd(fd, 0, NULL) || errno != EACCES ? 2 : 0;
}

static int without_fallocate(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("heap-unit", "/mnt", "ramfs", 0, NULL))
		return 77;
	if (scome_heap_open("/mnt/heap", O_CREAT, 0600, NULL) ||
	    errno != EOPNOTSUPP)
		return 1;
	return 0;
}

static void good_or_skipped(int status)
{
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

void test_no_addresses(void **state)
{
	(void)state;
	good_or_skipped(in_child(without_addresses));
}

void test_no_permission(void **state)
{
	(void)state;
	good_or_skipped(in_child(without_permission));
}

void test_no_fallocate(void **state)
{
	(void)state;
	good_or_skipped(in_child(without_fallocate));
}
