// SPDX-License-Identifier: GPL-2.0
/* The changes, and what the state of a heap is worth. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

#define LIMIT (16UL << 20)
#define PLACE (HEAP_WINDOW_START + (777UL << 30))

static void *object(struct scome_heap *heap, unsigned int root, size_t size)
{
	char *object = scome_heap_alloc(heap, size);

	NEED(object);
	if (size <= 16384)
		memset(object, 'a' + root, size);
	if (root < SCOME_HEAP_ROOTS)
		NEED(!scome_heap_set_root(heap, root, object));
	return object;
}

static void free_root(struct scome_heap *heap, unsigned int root)
{
	NEED(!scome_heap_free(heap, scome_heap_root(heap, root)));
}

static void nothing(struct scome_heap *heap)
{
	(void)heap;
}

/* some of everything */
static void some(struct scome_heap *heap)
{
	object(heap, 0, 100);
	object(heap, 1, 100);
	object(heap, 2, 3000);
	object(heap, 3, 40000);
	object(heap, 4, 5000);
	object(heap, 5, 20000);
	object(heap, 6, 100);
}

static void alloc_small(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 100));
}

static void alloc_slab(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 10000));
}

/* the last place of a slab */
static void almost_full(struct scome_heap *heap)
{
	for (unsigned int i = 0; i < 7; i++)
		object(heap, i, 4096);
}

static void alloc_last(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 4096));
}

static void alloc_zeroed(struct scome_heap *heap)
{
	NEED(scome_heap_zalloc(heap, 500));
}

static void alloc_large(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 100000));
}

static void alloc_aligned(struct scome_heap *heap)
{
	NEED(scome_heap_alloc_aligned(heap, 65536, 20000));
}

static void alloc_grows(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 3UL << 20));
}

/* a chunk that was given back */
static void with_a_hole(struct scome_heap *heap)
{
	some(heap);
	object(heap, 7, 5UL << 20);
	free_root(heap, 7);
	NEED(!scome_heap_set_root(heap, 7, NULL));
	NEED(!scome_heap_trim(heap));
}

static void alloc_over_a_hole(struct scome_heap *heap)
{
	NEED(scome_heap_alloc(heap, 4UL << 20));
}

static void without_a_hole(struct scome_heap *heap)
{
	some(heap);
	object(heap, 7, 5UL << 20);
	free_root(heap, 7);
	NEED(!scome_heap_set_root(heap, 7, NULL));
}

static void trim(struct scome_heap *heap)
{
	NEED(!scome_heap_trim(heap));
}

static void free_small(struct scome_heap *heap)
{
	free_root(heap, 1);
}

static void full(struct scome_heap *heap)
{
	almost_full(heap);
	object(heap, 8, 4096);
}

static void free_of_a_full_slab(struct scome_heap *heap)
{
	free_root(heap, 3);
}

/* two slabs of a size, the second with one object, between free pages */
static void almost_empty(struct scome_heap *heap)
{
	object(heap, 10, 20000);
	full(heap);
	free_root(heap, 3);
	NEED(!scome_heap_set_root(heap, 3, NULL));
	object(heap, 3, 4096);
	object(heap, 11, 20000);
	object(heap, 12, 4096);
	object(heap, 13, 20000);
	object(heap, 14, 20000);
	free_root(heap, 0);
	free_root(heap, 11);
	free_root(heap, 13);
}

static void free_a_slab(struct scome_heap *heap)
{
	free_root(heap, 12);
}

static void between_free(struct scome_heap *heap)
{
	some(heap);
	for (unsigned int i = 7; i < 12; i++)
		object(heap, i, 20000);
	free_root(heap, 8);
	free_root(heap, 10);
}

static void free_large(struct scome_heap *heap)
{
	free_root(heap, 9);
}

static void set_root(struct scome_heap *heap)
{
	NEED(!scome_heap_set_root(heap, 40, scome_heap_root(heap, 2)));
}

/* the transaction of the tests: everything that a transaction can do */
static void work(struct scome_heap *heap)
{
	char *first, *second, *added;

	NEED(!scome_heap_begin(heap));
	first = scome_heap_root(heap, 0);
	second = scome_heap_root(heap, 2);
	NEED(!scome_heap_add(heap, first + 5, 50));
	heap_crash_point();
	first[5] = 'X';
	heap_crash_point();
	memset(first + 6, 'Y', 49);
	NEED(!scome_heap_add(heap, second, 600));
	for (unsigned int i = 0; i < 600; i += 100) {
		heap_crash_point();
		memset(second + i, 'Z', 100);
	}
	NEED(!scome_heap_free(heap, scome_heap_root(heap, 1)));
	NEED(!scome_heap_free(heap, scome_heap_root(heap, 3)));
	added = scome_heap_alloc(heap, 100);
	NEED(added);
	heap_crash_point();
	memset(added, 'N', 100);
	NEED(!scome_heap_set_root(heap, 1, added));
	added = scome_heap_alloc(heap, 12345);
	NEED(added);
	heap_crash_point();
	memset(added, 'M', 500);
	NEED(!scome_heap_set_root(heap, 3, added));
	NEED(!scome_heap_free(heap, scome_heap_root(heap, 4)));
	NEED(!scome_heap_set_root(heap, 4, NULL));
}

static void commit(struct scome_heap *heap)
{
	work(heap);
	NEED(!scome_heap_commit(heap));
}

/* what was allocated is not what was there: it stays free memory */
static void abort_it(struct scome_heap *heap)
{
	work(heap);
	NEED(!scome_heap_abort(heap));
}

static void abort_growth(struct scome_heap *heap)
{
	NEED(!scome_heap_begin(heap));
	NEED(scome_heap_alloc(heap, 3UL << 20));
	NEED(scome_heap_alloc(heap, 3UL << 20));
	NEED(!scome_heap_abort(heap));
}

/* more log than there is memory for at first */
static void much(struct scome_heap *heap)
{
	object(heap, 0, 3UL << 20);
}

static void commit_much(struct scome_heap *heap)
{
	char *all;

	NEED(!scome_heap_begin(heap));
	all = scome_heap_root(heap, 0);
	NEED(!scome_heap_add(heap, all, 3UL << 20));
	for (unsigned int i = 0; i < 8; i++) {
		heap_crash_point();
		memset(all + 4096 * i, 'b', 4096);
	}
	NEED(!scome_heap_commit(heap));
}

/* a process died in a transaction; the next one finds that */
static void died(struct scome_heap *heap)
{
	int status;
	pid_t child;

	some(heap);
	child = model_fork();
	if (!child) {
		work(heap);
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && !status);
}

/* the same, and what it took back last was where the data ends */
static void died_growing(struct scome_heap *heap)
{
	int status;
	pid_t child = model_fork();

	if (!child) {
		NEED(!scome_heap_begin(heap));
		NEED(scome_heap_alloc(heap, 100));
		NEED(scome_heap_alloc(heap, 3UL << 20));
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && !status);
}

static void recover(struct scome_heap *heap)
{
	scome_heap_root(heap, 0);
}

const struct change changes[] = {
	{ "allocate a small object", some, alloc_small, PLAIN },
	{ "allocate the first object", nothing, alloc_small, PLAIN },
	{ "allocate an object in a new slab", some, alloc_slab, PLAIN },
	{ "allocate the last object of a slab", almost_full, alloc_last,
	  PLAIN },
	{ "allocate a zeroed object", some, alloc_zeroed, PLAIN },
	{ "allocate whole pages", some, alloc_large, PLAIN },
	{ "allocate aligned", some, alloc_aligned, PLAIN },
	{ "grow", some, alloc_grows, PLAIN },
	{ "allocate over a hole", with_a_hole, alloc_over_a_hole, PLAIN },
	{ "trim", without_a_hole, trim, PLAIN },
	{ "free a small object", some, free_small, PLAIN },
	{ "free an object of a full slab", full, free_of_a_full_slab, PLAIN },
	{ "free the last object of a slab", almost_empty, free_a_slab, PLAIN },
	{ "free between free pages", between_free, free_large, PLAIN },
	{ "set a root", some, set_root, PLAIN },
	{ "commit", some, commit, PLAIN },
	{ "abort", some, abort_it, PLAIN },
	{ "abort growth", some, abort_growth, PLAIN },
	{ "commit with a log that grows", much, commit_much, COPIES_MUCH },
	{ "recover", died, recover, RECOVERS },
	{ "recover from growth", died_growing, recover, RECOVERS },
};

const unsigned int change_count = sizeof(changes) / sizeof(*changes);

struct scome_heap *model_open(int fd)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = LIMIT,
					      .address = PLACE };

	return scome_heap_open_fd(fd, O_CREAT, &options);
}

struct scome_heap *model_prepare(const struct change *change, int *fd)
{
	struct scome_heap *heap;

	*fd = memfd_create("heap", MFD_CLOEXEC);
	NEED(*fd >= 0);
	heap = model_open(*fd);
	NEED(heap);
	change->prepare(heap);
	return heap;
}

static void mix(uint64_t *digest, uint64_t value)
{
	*digest = (*digest ^ value) * 0x9e3779b97f4a7c15;
	*digest ^= *digest >> 29;
}

static int mix_object(void *context, void *start, size_t size)
{
	const uint64_t *words = start;

	mix(context, (uint64_t)start);
	mix(context, size);
	if (size > 65536)
		size = 65536;
	for (size_t i = 0; i < size / 8; i++)
		mix(context, words[i]);
	return 0;
}

uint64_t model_digest(struct scome_heap *heap)
{
	uint64_t digest = 1;

	NEED(!scome_heap_walk(heap, mix_object, &digest));
	for (unsigned int i = 0; i < SCOME_HEAP_ROOTS; i++)
		mix(&digest, (uint64_t)scome_heap_root(heap, i));
	return digest;
}

static void say(void *context, const char *sentence)
{
	(void)context;
	printf("# %s\n", sentence);
}

bool model_in_order(struct scome_heap *heap)
{
	int result = scome_heap_check(heap, say, NULL);

	if (result)
		printf("# check: %s\n", strerror(errno));
	return !result;
}

void model_learn(const struct change *change, uint64_t *before, uint64_t *after)
{
	struct scome_heap *heap;
	int fd;

	heap = model_prepare(change, &fd);
	*before = model_digest(heap);
	NEED(!scome_heap_close(heap));
	close(fd);
	heap = model_prepare(change, &fd);
	change->run(heap);
	*after = model_digest(heap);
	NEED(model_in_order(heap));
	NEED(!scome_heap_close(heap));
	close(fd);
}

int model_fork(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	NEED(child >= 0);
	/* it does not outlive this process */
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static unsigned int told, failed;

void tell(bool good, const char *format, ...)
{
	va_list arguments;

	told++;
	failed += !good;
	printf("%s %u - ", good ? "ok" : "not ok", told);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
}

int tell_end(void)
{
	printf("1..%u\n", told);
	return failed ? 1 : 0;
}
