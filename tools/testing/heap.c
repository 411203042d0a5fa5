// SPDX-License-Identifier: GPL-2.0
/* Persistent heaps of libscome on linked mappings, in processes with nothing in common. */
#include <signal.h>
#include <sys/wait.h>

#include "../lib/scome-heap.h"
#include "scenario.h"

#define LIMIT (64 * MIB)
#define PLACE (32 * 1024 * GIB + 99 * GIB)
#define CHILDREN 8
#define CHUNKS 12

struct node {
	struct node *next;
	uint64_t value;
};

/* what processes have in common: root 0 */
struct common {
	struct node *list;
	uint64_t first;
	uint64_t second;
	char *large;
};

static struct scome_heap *heap_at(int fd, uint64_t address)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = LIMIT,
					      .address = address };

	return scome_heap_open_fd(fd, O_CREAT, &options);
}

static struct scome_heap *heap_in(int fd)
{
	struct scome_heap *heap = heap_at(fd, 0);

	NEED(heap);
	return heap;
}

static struct scome_heap_stats stats_of(struct scome_heap *heap)
{
	struct scome_heap_stats stats;

	NEED(!scome_heap_stats(heap, &stats, sizeof(stats)));
	return stats;
}

static struct common *make_common(struct scome_heap *heap)
{
	struct common *common = scome_heap_zalloc(heap, sizeof(*common));

	NEED(common && !scome_heap_set_root(heap, 0, common));
	return common;
}

static char *add_large(struct scome_heap *heap, struct common *common,
		       size_t size)
{
	NEED(!scome_heap_begin(heap));
	NEED(!scome_heap_add(heap, &common->large, sizeof(common->large)));
	common->large = scome_heap_alloc(heap, size);
	NEED(common->large);
	NEED(!scome_heap_commit(heap));
	return common->large;
}

static bool add_node(struct scome_heap *heap, struct common *common,
		     uint64_t value)
{
	struct node *node;

	if (scome_heap_begin(heap))
		return false;
	node = scome_heap_alloc(heap, sizeof(*node));
	if (!node || scome_heap_add(heap, &common->list, sizeof(node)))
		return false;
	node->next = common->list;
	node->value = value;
	common->list = node;
	return !scome_heap_commit(heap);
}

static uint64_t list_sum(const struct common *common, unsigned int *count)
{
	uint64_t sum = 0;

	*count = 0;
	for (struct node *node = common->list; node; node = node->next) {
		sum += node->value;
		++*count;
	}
	return sum;
}

static bool in_order(struct scome_heap *heap)
{
	return !scome_heap_check(heap, NULL, NULL);
}

SCENARIO_LINKED(whole_chunks, "SCM-3,SCM-11")
{
	struct scome_heap *heap = heap_in(memory_file(0));
	struct scome_heap_stats stats = stats_of(heap);
	char *base = (char *)stats.address, *data, *object;
	int64_t tables;

	/* what lies before the objects has the size of whole chunks, too */
	data = base + stats.reserved - stats.limit;
	must(s, "linked", stats.linked, 1);
	must(s, "aligned", stats.address % GIB, 0);
	object = scome_heap_alloc(heap, CHUNKS * RANGE);
	must(s, "first", object == data, 1);
	tables = scome_counter("tables");
	for (size_t at = 0; at < CHUNKS * RANGE; at += PAGE)
		set_word(object + at, at);
	must(s, "tables", scome_counter("tables") - tables, CHUNKS);
	links(s, "links", object, "111111111111");
	links(s, "links_header", base, "1");
	/* and the first chunk of descriptions */
	must(s, "shared_kb", smaps_kb(base, "SharedPT"),
	     (CHUNKS + 2) * PAGE / KIB);
	must(s, "own_kb", smaps_kb(base, "PageTables") <= 12, 1);
	must(s, "check", in_order(heap), 1);
	NEED(!scome_heap_close(heap));
}

/* a program that has been executed: heap --unrelated FILE ADDRESS COMMON TABLES NUMBER */
static int unrelated(char **argv)
{
	struct scome_heap *heap = scome_heap_open(argv[0], 0, 0, NULL);
	struct common *common;
	struct scome_heap_stats stats;
	unsigned int count;

	if (!heap)
		return 1;
	stats = stats_of(heap);
	if (stats.address != strtoull(argv[1], NULL, 0) || !stats.linked)
		return 2;
	common = scome_heap_root(heap, 0);
	if ((uintptr_t)common != strtoull(argv[2], NULL, 0))
		return 3;
	/* plain pointers */
	if (list_sum(common, &count) < 1000 || !count)
		return 4;
	for (size_t at = 0; at < CHUNKS * RANGE; at += PAGE)
		if (word(common->large + at) != at)
			return 5;
	if (smaps_kb(common->large, "SharedPT") <
		    (int64_t)(CHUNKS * PAGE / KIB) ||
	    smaps_kb(common->large, "PageTables") > 12)
		return 6;
	if (scome_counter("tables") != strtoll(argv[3], NULL, 0))
		return 7;
	if (!add_node(heap, common, 1UL << strtoul(argv[4], NULL, 0)))
		return 8;
	return scome_heap_close(heap) ? 9 : 0;
}

static pid_t execute(int fd, struct scome_heap *heap, unsigned int number)
{
	char file[64], address[32], common[32], tables[32], self[32];
	char *arguments[] = { "heap", "--unrelated", file, address,
			      common, tables,	     self, NULL };
	pid_t child;

	snprintf(file, sizeof(file), "/proc/%d/fd/%d", getpid(), fd);
	snprintf(address, sizeof(address), "%lu", stats_of(heap).address);
	snprintf(common, sizeof(common), "%lu",
		 (uintptr_t)scome_heap_root(heap, 0));
	snprintf(tables, sizeof(tables), "%ld", scome_counter("tables"));
	snprintf(self, sizeof(self), "%u", number);
	fflush(stdout);
	child = fork();
	NEED(child >= 0);
	if (!child) {
		execv("/proc/self/exe", arguments);
		_exit(100);
	}
	return child;
}

SCENARIO_LINKED(unrelated_processes, "SCM-1,SCM-6,SCM-11")
{
	int fd = memory_file(0), bad = 0;
	struct scome_heap *heap = heap_in(fd);
	struct common *common = make_common(heap);
	int64_t tables;
	pid_t children[CHILDREN];
	unsigned int count;

	add_large(heap, common, CHUNKS * RANGE);
	for (size_t at = 0; at < CHUNKS * RANGE; at += PAGE)
		set_word(common->large + at, at);
	NEED(add_node(heap, common, 1000));
	tables = scome_counter("tables");
	for (unsigned int i = 0; i < CHILDREN; i++)
		children[i] = execute(fd, heap, i + 20);
	for (unsigned int i = 0; i < CHILDREN; i++)
		bad = bad ? bad : wait_status(children[i]);
	must(s, "children", bad, 0);
	must(s, "sum", list_sum(common, &count),
	     1000 + (((1UL << CHILDREN) - 1) << 20));
	must(s, "nodes", count, CHILDREN + 1);
	must(s, "tables", scome_counter("tables"), tables);
	must(s, "objects", stats_of(heap).objects, CHILDREN + 3);
	must(s, "check", in_order(heap), 1);
	NEED(!scome_heap_close(heap));
}

static int grows(void *context)
{
	struct scome_heap *heap = scome_heap_open_fd(*(int *)context, 0, NULL);
	struct common *common;

	/* what it has from its parent lies there already */
	if (heap || errno != EEXIST)
		return 1;
	munmap((void *)PLACE, 1 * GIB);
	heap = scome_heap_open_fd(*(int *)context, 0, NULL);
	if (!heap)
		return 2;
	common = scome_heap_root(heap, 0);
	add_large(heap, common, 4 * RANGE);
	for (size_t at = 0; at < 4 * RANGE; at += PAGE)
		set_word(common->large + at, at + 7);
	return scome_heap_close(heap) ? 3 : 0;
}

SCENARIO_LINKED(growth_is_seen_at_once, "SCM-4,SCM-11")
{
	int fd = memory_file(0);
	struct scome_heap *heap = heap_at(fd, PLACE);
	struct common *common;
	uint64_t wrong = 0;

	NEED(heap);
	common = make_common(heap);
	must(s, "before", stats_of(heap).grown, RANGE);
	must(s, "child", in_child(grows, &fd), 0);
	must(s, "after", stats_of(heap).grown, 5 * RANGE);
	for (size_t at = 0; at < 4 * RANGE; at += PAGE)
		wrong += word(common->large + at) != at + 7;
	must(s, "wrong", wrong, 0);
	/* the object begins in the chunk with the first one */
	relinks(s, "links",
		(char *)(((uintptr_t)common->large + RANGE - 1) & -RANGE),
		"111");
	must(s, "check", in_order(heap), 1);
	NEED(!scome_heap_close(heap));
}

/* two words that are the same between transactions; and objects come and go */
static void works(struct scome_heap *heap, struct common *common)
{
	for (unsigned int i = 1;; i++) {
		void *own;

		if (scome_heap_begin(heap) ||
		    scome_heap_add(heap, &common->first, 2 * sizeof(uint64_t)))
			_exit(1);
		common->first++;
		own = scome_heap_alloc(heap, i * 7919 % 100000);
		common->second++;
		if (i % 3 ? scome_heap_commit(heap) || !own ||
				    scome_heap_free(heap, own) :
			    scome_heap_abort(heap))
			_exit(2);
	}
}

/* until it has done something, and a little longer */
static void wait_for_work(const struct common *common, uint64_t before,
			  unsigned int longer_us)
{
	const volatile uint64_t *count = &common->first;

	for (unsigned int i = 0; *count <= before && i < 10000; i++)
		usleep(1000);
	usleep(longer_us);
}

SCENARIO_LINKED(killed_in_the_middle, "SCM-5,SCM-11")
{
	struct scome_heap *heap = heap_in(memory_file(0));
	struct common *common = make_common(heap);
	unsigned int wrong = 0, killed = 0;
	uint64_t before = 0;

	for (unsigned int i = 0; i < 50; i++) {
		pid_t child = fork();

		NEED(child >= 0);
		if (!child)
			works(heap, common);
		wait_for_work(common, before, i * 331 % 3000);
		kill(child, SIGKILL);
		killed += wait_status(child) == 128 + SIGKILL;
		wrong += !in_order(heap);
		wrong += common->first != common->second;
		wrong += common->first < before;
		before = common->first;
	}
	must(s, "killed", killed, 50);
	must(s, "wrong", wrong, 0);
	must(s, "worked", before > 0, 1);
	must(s, "linked", is_linked(common), 1);
	NEED(!scome_heap_close(heap));
}

static int wants_the_place(void *context)
{
	struct scome_heap *heap;

	/* this process has nothing there */
	munmap((void *)PLACE, 1 * GIB);
	heap = heap_at(*(int *)context, PLACE);
	if (heap)
		return 1;
	return errno == EEXIST ? 0 : 2;
}

SCENARIO_LINKED(a_place_has_one_heap, "SCM-1,SCM-11")
{
	int fd = memory_file(0), other = memory_file(0);
	struct scome_heap *heap = heap_at(fd, PLACE), *second;

	NEED(heap);
	must(s, "another_process", in_child(wants_the_place, &other), 0);
	errno = 0;
	must(s, "this_process", heap_at(other, PLACE) ? 0 : errno, EEXIST);
	must(s, "still_empty", lseek(other, 0, SEEK_END), 0);
	second = heap_in(other);
	must(s, "elsewhere", stats_of(second).address != PLACE, 1);
	must(s, "elsewhere_linked", stats_of(second).linked, 1);
	NEED(!scome_heap_close(second));
	NEED(!scome_heap_close(heap));
	/* nobody has it open: the place is free for another file */
	NEED(!ftruncate(other, 0));
	heap = heap_at(other, PLACE);
	must(s, "free_again", heap != NULL, 1);
	errno = 0;
	must(s, "first_one", heap_at(fd, 0) ? 0 : errno, EEXIST);
	NEED(!scome_heap_close(heap));
	heap = heap_at(fd, 0);
	must(s, "first_one_later", heap != NULL, 1);
	NEED(!scome_heap_close(heap));
}

static int opens_it(void *context)
{
	struct scome_heap *heap = scome_heap_open_fd(*(int *)context, 0, NULL);
	struct common *common;

	if (!heap)
		return 1;
	common = scome_heap_root(heap, 0);
	if (stats_of(heap).address != PLACE || !stats_of(heap).linked)
		return 2;
	if (!common || common->first != 42 || common->list->value != 43)
		return 3;
	if (!in_order(heap) || !add_node(heap, common, 44))
		return 4;
	return is_linked(common) ? 0 : 5;
}

SCENARIO_LINKED(opened_after_all_have_closed, "SCM-5,SCM-8,SCM-11")
{
	int fd = memory_file(0);
	struct scome_heap *heap = heap_at(fd, PLACE);
	struct common *common;

	NEED(heap);
	common = make_common(heap);
	common->first = 42;
	NEED(add_node(heap, common, 43));
	NEED(!scome_heap_close(heap));
	must(s, "kept", in_child(opens_it, &fd), 0);
	/* without the tables that the system keeps for the next one */
	NEED(!write_text("/sys/kernel/mm/scome/retire_kept", "1"));
	NEED((heap = scome_heap_open_fd(fd, 0, NULL)));
	must(s, "second_value",
	     ((struct common *)scome_heap_root(heap, 0))->list->value, 44);
	must(s, "linked", stats_of(heap).linked, 1);
	NEED(!scome_heap_close(heap));
}

/* on a disk: an ordinary mapping at the same address; it survives what memory does not */
SCENARIO_LINKED(on_a_disk, "SCM-11")
{
	struct scome_heap *heap;
	struct common *common;
	unsigned int count;
	const char *path = EXT4_DIR "/heap";
	uint64_t address;

	unlink(path);
	heap = scome_heap_open(path, O_CREAT | O_EXCL, 0600, NULL);
	NEED(heap);
	address = stats_of(heap).address;
	must(s, "linked", stats_of(heap).linked, 1);
	common = make_common(heap);
	for (unsigned int i = 1; i <= 100; i++)
		NEED(add_node(heap, common, i));
	must(s, "sync", scome_heap_sync(heap), 0);
	NEED(!scome_heap_close(heap));
	/* nothing of it in memory any more */
	NEED(!write_text("/proc/sys/vm/drop_caches", "3"));
	heap = scome_heap_open(path, 0, 0, NULL);
	must(s, "opened", heap != NULL, 1);
	NEED(heap);
	must(s, "address", stats_of(heap).address == address, 1);
	common = scome_heap_root(heap, 0);
	must(s, "sum", list_sum(common, &count), 5050);
	must(s, "check", in_order(heap), 1);
	NEED(!scome_heap_close(heap));
	NEED(!unlink(path));
}

/* memory that is free goes back, while others have the heap open and linked */
SCENARIO_LINKED(memory_is_given_back, "SCM-4,SCM-11")
{
	int fd = memory_file(0);
	struct scome_heap *heap = heap_in(fd);
	struct stat before, after;
	char *object = scome_heap_alloc(heap, 8 * RANGE), *again;

	NEED(object);
	memset(object, 1, 8 * RANGE);
	links(s, "links", object, "11111111");
	NEED(!fstat(fd, &before));
	NEED(!scome_heap_free(heap, object));
	must(s, "trim", scome_heap_trim(heap), 0);
	NEED(!fstat(fd, &after));
	must(s, "given_back", (before.st_blocks - after.st_blocks) * 512,
	     8 * RANGE);
	must(s, "returned", stats_of(heap).returned, 8 * RANGE);
	again = scome_heap_zalloc(heap, 8 * RANGE);
	must(s, "same", again == object, 1);
	must(s, "zero", word(again + 3 * MIB), 0);
	relinks(s, "links_again", again, "11111111");
	must(s, "check", in_order(heap), 1);
	NEED(!scome_heap_close(heap));
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "--unrelated"))
		return unrelated(argv + 2);
	return test_harness_run(argc, argv);
}
