// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that allocate, free and change objects of one heap at random, some of
 * which are killed at random; and a model that knows what each has achieved.
 *
 *	heap-fuzz SEED SECONDS [FILE]
 *
 * Each worker has a table in the heap, with a slot for each of its objects. A
 * transaction puts other objects into slots, and adds one to the table's count.
 * Before it begins the worker writes into the model, which is memory beside the
 * heap, what will be in the slots; when it has been committed, that it has. So
 * whoever was killed has the old slots and count, or the new ones, by what the
 * count says. Every object is in one slot, and is full of bytes that depend on
 * the slot and the count.
 *
 * Other workers allocate and free without a transaction. They are not killed:
 * an object that nobody has written down yet is lost with its process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <scome-heap.h>

#define WORKERS 6
#define PLAIN_WORKERS 2
#define SLOTS 200
#define CHANGES 8

#define NEED(condition)                                                 \
	do {                                                            \
		if (!(condition)) {                                     \
			printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, \
			       #condition, strerror(errno));            \
			fflush(stdout);                                 \
			_exit(1);                                       \
		}                                                       \
	} while (0)

struct table {
	uint64_t count;
	char *slots[SLOTS];
};

/* of a slot: size of its object, 0 for none, and the count it was made at */
struct content {
	uint32_t size;
	uint64_t count;
};

struct model {
	struct content slots[SLOTS];
	/* what the transaction with this count does */
	uint64_t next;
	unsigned int changes;
	struct {
		unsigned int slot;
		struct content content;
	} change[CHANGES];
	uint64_t operations;
	uint64_t aborted;
};

struct shared {
	atomic_bool stop;
	struct model workers[WORKERS];
};

struct opening {
	atomic_uint ready;
	atomic_bool go;
};

static uint64_t random_state;

static uint64_t any(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

static size_t any_size(void)
{
	switch (any(20)) {
	case 0:
		return 1 + any(300000);
	case 1:
	case 2:
		return 1 + any(20000);
	}
	return 1 + any(500);
}

static char filling(unsigned int worker, unsigned int slot, uint64_t count)
{
	return worker * 31 + slot * 7 + count * 13;
}

static void fill(char *object, size_t size, char with)
{
	memset(object, with, size);
}

static bool is_filled(const char *object, size_t size, char with)
{
	return object[0] == with && !memcmp(object, object + 1, size - 1);
}

/* what is in the table, and in its objects */
static bool holds(struct scome_heap *heap, const struct table *table,
		  const struct model *model, unsigned int worker)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct content *content = model->slots + i;
		const char *object = table->slots[i];

		if (!object != !content->size) {
			printf("# worker %u: slot %u is %p\n", worker, i,
			       object);
			return false;
		}
		if (object &&
		    (scome_heap_usable_size(heap, object) < content->size ||
		     !is_filled(object, content->size,
				filling(worker, i, content->count)))) {
			printf("# worker %u: slot %u is not what it was\n",
			       worker, i);
			return false;
		}
	}
	return true;
}

/* what the dead one's last transaction has come to */
static void settle(const struct table *table, struct model *model)
{
	if (table->count == model->next)
		for (unsigned int i = 0; i < model->changes; i++)
			model->slots[model->change[i].slot] =
				model->change[i].content;
	model->changes = 0;
	model->next = table->count + 1;
}

static void plan(struct model *model, uint64_t count)
{
	unsigned int changes = 1 + any(CHANGES), first = any(SLOTS);

	model->changes = 0;
	atomic_signal_fence(memory_order_seq_cst);
	model->next = count;
	for (unsigned int i = 0; i < changes; i++) {
		model->change[i].slot = (first + i * 17) % SLOTS;
		model->change[i].content.size = any(3) ? any_size() : 0;
		model->change[i].content.count = count;
	}
	atomic_signal_fence(memory_order_seq_cst);
	model->changes = changes;
}

/* one transaction; false when there was no memory and it was aborted */
static bool change(struct scome_heap *heap, struct table *table,
		   struct model *model, unsigned int worker)
{
	NEED(!scome_heap_begin(heap));
	NEED(!scome_heap_add(heap, &table->count, 8));
	for (unsigned int i = 0; i < model->changes; i++) {
		unsigned int slot = model->change[i].slot;
		struct content content = model->change[i].content;
		char **place = table->slots + slot, *object = NULL;

		NEED(!scome_heap_add(heap, place, sizeof(*place)));
		if (*place && any(4) == 0) {
			/* the old one's bytes are gone, unless it is undone */
			size_t size = model->slots[slot].size;

			size = size > 5000 ? 5000 : size;
			NEED(!scome_heap_add(heap, *place, size));
			memset(*place, 0, size);
		}
		NEED(!scome_heap_free(heap, *place));
		if (content.size) {
			object = scome_heap_alloc(heap, content.size);
			if (!object) {
				NEED(errno == ENOMEM);
				NEED(!scome_heap_abort(heap));
				return false;
			}
			fill(object, content.size,
			     filling(worker, slot, content.count));
		}
		*place = object;
	}
	table->count = model->next;
	if (any(8) == 0) {
		NEED(!scome_heap_abort(heap));
		return false;
	}
	NEED(!scome_heap_commit(heap));
	return true;
}

static void work(struct shared *shared, const char *path, unsigned int worker)
{
	struct model *model = shared->workers + worker;
	struct scome_heap *heap = scome_heap_open(path, 0, 0, NULL);
	struct table *table;

	NEED(heap);
	table = scome_heap_root(heap, worker);
	NEED(table);
	settle(table, model);
	NEED(holds(heap, table, model, worker));
	while (!atomic_load(&shared->stop)) {
		plan(model, table->count + 1);
		if (change(heap, table, model, worker)) {
			settle(table, model);
		} else {
			model->changes = 0;
			model->aborted++;
		}
		model->operations++;
		if (model->operations % 128 == 0)
			NEED(holds(heap, table, model, worker));
	}
	NEED(!scome_heap_close(heap));
}

static void work_plainly(struct shared *shared, const char *path,
			 unsigned int worker)
{
	struct scome_heap *heap = scome_heap_open(path, 0, 0, NULL);
	static char *objects[SLOTS];
	static size_t sizes[SLOTS];
	unsigned int rounds = 0;

	NEED(heap);
	while (!atomic_load(&shared->stop)) {
		unsigned int i = any(SLOTS);

		if (objects[i]) {
			NEED(is_filled(objects[i], sizes[i],
				       filling(worker, i, 0)));
			NEED(!scome_heap_free(heap, objects[i]));
			objects[i] = NULL;
		} else {
			sizes[i] = any_size();
			objects[i] = any(4) ? scome_heap_alloc(heap, sizes[i]) :
					      scome_heap_alloc_aligned(
						      heap, 1UL << any(15),
						      sizes[i]);
			NEED(objects[i] || errno == ENOMEM);
			if (objects[i])
				fill(objects[i], sizes[i],
				     filling(worker, i, 0));
		}
		if (rounds++ % 1000 == 0)
			NEED(!scome_heap_trim(heap));
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		NEED(!scome_heap_free(heap, objects[i]));
	NEED(!scome_heap_close(heap));
}

/* a child that does not outlive this process */
static pid_t make_child(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	NEED(child >= 0);
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static pid_t start(struct shared *shared, const char *path, unsigned int worker)
{
	uint64_t seed = any(UINT64_MAX >> 11) + 1;
	pid_t child = make_child();

	if (child)
		return child;
	random_state = seed;
	if (worker < WORKERS)
		work(shared, path, worker);
	else
		work_plainly(shared, path, worker);
	fflush(stdout);
	_exit(0);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void say(void *context, const char *sentence)
{
	(void)context;
	printf("# %s\n", sentence);
}

static unsigned int told, failed;

static void tell(bool good, const char *name)
{
	told++;
	failed += !good;
	printf("%s %u - %s\n", good ? "ok" : "not ok", told, name);
}

/* the workers run, and die, and are replaced, until the time is over */
static unsigned int run(struct shared *shared, const char *path, double seconds,
			unsigned int *broken)
{
	pid_t children[WORKERS + PLAIN_WORKERS];
	double end = now() + seconds;
	unsigned int killed = 0;
	int status;

	for (unsigned int i = 0; i < WORKERS + PLAIN_WORKERS; i++)
		children[i] = start(shared, path, i);
	while (now() < end) {
		unsigned int which = any(WORKERS);

		usleep(any(3000));
		kill(children[which], SIGKILL);
		NEED(waitpid(children[which], &status, 0) == children[which]);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else
			++*broken;
		children[which] = start(shared, path, which);
	}
	atomic_store(&shared->stop, true);
	for (unsigned int i = 0; i < WORKERS + PLAIN_WORKERS; i++) {
		NEED(waitpid(children[i], &status, 0) == children[i]);
		*broken += status != 0;
	}
	return killed;
}

static void look(struct shared *shared, const char *path)
{
	struct scome_heap *heap = scome_heap_open(path, 0, 0, NULL);
	struct scome_heap_stats stats;
	uint64_t objects = WORKERS, operations = 0, aborted = 0;
	bool good = true;

	NEED(heap);
	tell(!scome_heap_check(heap, say, NULL), "the heap is in order");
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct model *model = shared->workers + i;
		struct table *table = scome_heap_root(heap, i);

		settle(table, model);
		good = holds(heap, table, model, i) && good;
		for (unsigned int j = 0; j < SLOTS; j++)
			objects += table->slots[j] != NULL;
		operations += model->operations;
		aborted += model->aborted;
	}
	tell(good, "every object is what its worker made it");
	NEED(!scome_heap_stats(heap, &stats, sizeof(stats)));
	printf("# %lu transactions, %lu of them aborted; %lu objects, %lu taken back after a death\n",
	       operations, aborted, stats.objects, stats.recoveries);
	tell(stats.objects == objects, "no object is lost, and none is left");
	tell(operations > 100 && stats.recoveries > 0,
	     "there was something to see");
	NEED(!scome_heap_close(heap));
}

/* in one transaction: the root is a number, which is added to */
static void count_up(struct scome_heap *heap, bool dies)
{
	uint64_t *number;

	NEED(!scome_heap_begin(heap));
	number = scome_heap_root(heap, 0);
	if (!number) {
		number = scome_heap_zalloc(heap, sizeof(*number));
		NEED(number && !scome_heap_set_root(heap, 0, number));
	}
	NEED(!scome_heap_add(heap, number, sizeof(*number)));
	++*number;
	if (dies)
		_exit(0);
	NEED(!scome_heap_commit(heap));
}

static void open_when_all_are_there(struct opening *opening, const char *path,
				    bool dies)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = 4UL << 20 };
	struct scome_heap *heap;

	atomic_fetch_add(&opening->ready, 1);
	while (!atomic_load(&opening->go))
		;
	heap = scome_heap_open(path, O_CREAT, 0600, &options);
	NEED(heap);
	count_up(heap, dies);
	NEED(!scome_heap_close(heap));
	_exit(0);
}

/* many open a heap at once, which nobody has made yet, or which somebody left */
static void open_at_once(const char *path)
{
	struct opening *opening = mmap(NULL, sizeof(*opening),
				       PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int bad = 0, wrong = 0;

	NEED(opening != MAP_FAILED);
	for (unsigned int round = 0; round < 150; round++) {
		struct scome_heap *heap;
		int status;

		atomic_store(&opening->ready, 0);
		atomic_store(&opening->go, false);
		for (unsigned int i = 0; i < WORKERS; i++) {
			if (!make_child())
				open_when_all_are_there(opening, path, !i);
		}
		while (atomic_load(&opening->ready) < WORKERS)
			usleep(100);
		atomic_store(&opening->go, true);
		for (unsigned int i = 0; i < WORKERS; i++) {
			NEED(wait(&status) > 0);
			bad += status != 0;
		}
		heap = scome_heap_open(path, 0, 0, NULL);
		NEED(heap);
		wrong += scome_heap_check(heap, say, NULL) != 0;
		wrong += *(uint64_t *)scome_heap_root(heap, 0) !=
			 (uint64_t)(round % 3 + 1) * (WORKERS - 1);
		NEED(!scome_heap_close(heap));
		if (round % 3 == 2)
			unlink(path);
	}
	unlink(path);
	tell(!bad && !wrong, "a heap is opened by many at once");
}

static void make_tables(const char *path)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = 48UL << 20 };
	struct scome_heap *heap =
		scome_heap_open(path, O_CREAT | O_EXCL, 0600, &options);

	NEED(heap);
	for (unsigned int i = 0; i < WORKERS; i++)
		NEED(!scome_heap_set_root(
			heap, i,
			scome_heap_zalloc(heap, sizeof(struct table))));
	NEED(!scome_heap_close(heap));
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 5;
	struct shared *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int killed, broken = 0;
	char path[256];

	NEED(shared != MAP_FAILED);
	if (!seed)
		seed = time(NULL) * 1000003UL + getpid();
	random_state = seed;
	snprintf(path, sizeof(path), "%s/heap-fuzz.%d",
		 argc > 3 ? argv[3] : "/dev/shm", getpid());
	printf("# seed %lu\n", seed);
	open_at_once(path);
	make_tables(path);
	killed = run(shared, path, seconds, &broken);
	printf("# %u processes killed\n", killed);
	tell(!broken, "no process found anything wrong");
	look(shared, path);
	unlink(path);
	printf("1..%u\n", told);
	return failed ? 1 : 0;
}
