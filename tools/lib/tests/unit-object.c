// SPDX-License-Identifier: GPL-2.0
/* Objects of every size, memory of the file, roots, and what a heap says about itself. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* --- sizes */

void test_sizes_of_objects(void **state)
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

void test_slabs_are_well_used(void **state)
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

void test_lists_of_runs_are_by_length(void **state)
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

/* --- objects */

void test_objects_of_every_size(void **state)
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

void test_zeros(void **state)
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

void test_alignments(void **state)
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

void test_sizes_that_are_too_large(void **state)
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

void test_up_to_the_limit(void **state)
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

/* memory of small objects is good for large ones again, but for one slab a size */
void test_small_objects_give_their_pages_back(void **state)
{
	struct scome_heap *heap = new_heap();
	static void *objects[SMALL_LIMIT / 112];
	unsigned int count = 0;

	(void)state;
	while ((objects[count] = scome_heap_alloc(heap, 112)))
		count++;
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(count, SMALL_LIMIT / HEAP_PAGE * 36);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(scome_heap_free(heap, objects[i]), 0);
	in_order(heap);
	assert_non_null(scome_heap_alloc(heap, SMALL_LIMIT - HEAP_PAGE));
	/* and the slab that stays is the next one to be used */
	assert_non_null(scome_heap_alloc(heap, 112));
	in_order(heap);
	scome_heap_close(heap);
}

void test_what_is_no_object(void **state)
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

void test_it_grows_in_place(void **state)
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

void test_trim(void **state)
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

void test_a_full_file_system(void **state)
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

void test_roots(void **state)
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

void test_walk_and_stats(void **state)
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
void test_the_check_sees_damage(void **state)
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
