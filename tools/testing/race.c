// SPDX-License-Identifier: GPL-2.0
/*
 * Races, bounded by a count: processes and threads map, touch, split, fork, leave
 * and hand pages to the kernel while others punch, truncate and reclaim. And every
 * allocation of a system call or a fault fails once (/proc/thread-self/fail-nth, on
 * kernels with fault injection): the call fails as one may that finds no memory,
 * nothing has changed, and nothing stays behind.
 *
 * A page of the file holds either nothing or its own number, whoever wrote it
 * and whatever was punched: anything else came from a stale or foreign place.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/uio.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define FOREIGN 0xf04e160000000000UL

struct race {
	struct side *side;
	int fd;
	/* of the file: added to every stamp */
	uint64_t base;
	unsigned int rounds;
	volatile unsigned int *wrong;
	/* threads of one process work on this mapping */
	char *map;
	unsigned int seed;
};

typedef void worker_fn(struct race *race, unsigned int *seed);

static unsigned int chance(unsigned int *seed, unsigned int below)
{
	return rand_r(seed) % below;
}

static size_t any_page(unsigned int *seed)
{
	return chance(seed, SIZE / PAGE) * PAGE;
}

static char *try_map(struct race *race, int prot)
{
	int flags = side_flags(race->side);
	char *hint = race->side->linked ? NULL : free_space(SIZE);
	char *map = mmap(hint, SIZE, prot, flags, race->fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

struct check {
	struct race *race;
	char *map;
	size_t at;
	uint64_t value;
	bool write;
};

static void check_page(void *context)
{
	struct check *check = context;
	char *page = check->map + check->at;
	uint64_t stamp = check->race->base + check->at / PAGE + 1;

	if (check->write)
		set_word(page, stamp);
	check->value = word(page);
	if (check->value && check->value != stamp)
		__atomic_add_fetch(check->race->wrong, 1, __ATOMIC_RELAXED);
}

/* one access to a random page; a signal is all right where others take memory away */
static void touch(struct race *race, char *map, unsigned int *seed, bool write)
{
	struct check check = {
		.race = race, .map = map, .at = any_page(seed), .write = write
	};

	try_call(check_page, &check);
}

static void map_touch_unmap(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW);

	if (!map)
		return;
	for (unsigned int i = 0; i < 50; i++)
		touch(race, map, seed, i & 1);
	if (chance(seed, 2))
		munmap(map + any_page(seed), PAGE);
	for (unsigned int i = 0; i < 20; i++)
		touch(race, map, seed, false);
	munmap(map, SIZE);
}

static void map_protect(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, PROT_READ);

	if (!map)
		return;
	for (unsigned int i = 0; i < 8; i++) {
		size_t from = any_page(seed), length = PAGE << chance(seed, 10);

		if (from + length > SIZE)
			length = SIZE - from;
		mprotect(map + from, length, chance(seed, 2) ? PROT_READ : RW);
		touch(race, map, seed, true);
		touch(race, map, seed, false);
	}
	munmap(map, SIZE);
}

/* parts that differ, in a process and in its child, which may not get all */
static void protect_and_fork(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW);
	pid_t pid;

	if (!map)
		return;
	for (unsigned int i = 0; i < 6; i++) {
		char *part = map + any_page(seed);

		mprotect(part, PAGE, chance(seed, 2) ? PROT_READ : PROT_NONE);
		if (chance(seed, 4) == 0)
			madvise(part, PAGE, MADV_DONTFORK);
		touch(race, map, seed, true);
	}
	pid = fork();
	for (unsigned int i = 0; i < 20; i++)
		touch(race, map, seed, i & 1);
	for (unsigned int i = 0; i < 3; i++) {
		mprotect(map + any_page(seed), PAGE << chance(seed, 6), RW);
		munmap(map + any_page(seed), PAGE);
		touch(race, map, seed, true);
	}
	if (!pid)
		_exit(0);
	munmap(map, SIZE);
	if (pid > 0)
		wait_status(pid);
}

static void map_move(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW), *moved;
	size_t from = chance(seed, 4) * RANGE;

	if (!map)
		return;
	for (unsigned int i = 0; i < 10; i++)
		touch(race, map, seed, true);
	moved = mremap(map + from, RANGE, RANGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       free_space(RANGE));
	if (moved != MAP_FAILED) {
		struct check check = { .race = race,
				       .map = moved - from,
				       .at = from + chance(seed, 512) * PAGE,
				       .write = true };

		try_call(check_page, &check);
		munmap(moved, RANGE);
	}
	munmap(map, SIZE);
}

static void map_and_fork(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW);
	pid_t pid;

	if (!map)
		return;
	for (unsigned int i = 0; i < 10; i++)
		touch(race, map, seed, true);
	pid = fork();
	if (!pid) {
		for (unsigned int i = 0; i < 20; i++)
			touch(race, map, seed, i & 1);
		if (chance(seed, 2))
			munmap(map + any_page(seed), PAGE);
		if (chance(seed, 2))
			raise(SIGKILL);
		_exit(0);
	}
	for (unsigned int i = 0; i < 10; i++)
		touch(race, map, seed, true);
	munmap(map, SIZE);
	if (pid > 0)
		wait_status(pid);
}

static void punch(struct race *race, unsigned int *seed)
{
	for (unsigned int i = 0; i < 20; i++) {
		size_t from = any_page(seed), length = PAGE << chance(seed, 11);

		fallocate(race->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  from, length);
		sched_yield();
	}
}

static void resize(struct race *race, unsigned int *seed)
{
	NEED(!ftruncate(race->fd, any_page(seed)));
	sched_yield();
	NEED(!ftruncate(race->fd, SIZE));
}

static void page_out(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW);

	if (!map)
		return;
	for (unsigned int i = 0; i < 40; i++)
		touch(race, map, seed, true);
	madvise(map, SIZE, chance(seed, 2) ? MADV_PAGEOUT : MADV_COLD);
	madvise(map, SIZE, MADV_DONTNEED);
	munmap(map, SIZE);
}

static void collapse(struct race *race, unsigned int *seed)
{
	char *map = mmap(free_space(SIZE), SIZE, RW, MAP_SHARED, race->fd, 0);

	if (map == MAP_FAILED)
		return;
	touch(race, map, seed, false);
	madvise(map + chance(seed, 4) * RANGE, RANGE, MADV_COLLAPSE);
	touch(race, map, seed, true);
	munmap(map, SIZE);
}

static void lock_and_leave(struct race *race, unsigned int *seed)
{
	char *map = try_map(race, RW);
	size_t from = any_page(seed);

	if (!map)
		return;
	touch(race, map, seed, true);
	mlock(map + from, PAGE);
	touch(race, map, seed, true);
	munlock(map + from, PAGE);
	munmap(map, SIZE);
}

/* on the mapping that the threads of one process share */
static void split_shared(struct race *race, unsigned int *seed)
{
	char *at = race->map + any_page(seed);
	size_t from = chance(seed, 4) * RANGE;

	switch (chance(seed, 4)) {
	case 0:
		mprotect(at, PAGE, PROT_READ);
		sched_yield();
		mprotect(at, PAGE, RW);
		break;
	case 1:
		madvise(race->map, SIZE, MADV_DONTNEED);
		break;
	case 2:
		mmap(race->map + from, RANGE, RW,
		     MAP_FIXED | side_flags(race->side), race->fd, from);
		break;
	case 3:
		mmap(race->map, SIZE, RW, MAP_FIXED | side_flags(race->side),
		     race->fd, 0);
		break;
	}
}

static void touch_shared(struct race *race, unsigned int *seed)
{
	for (unsigned int i = 0; i < 100; i++)
		touch(race, race->map, seed, i & 1);
}

/* a worker in each of two processes, all at once; how many came to their end */
static unsigned int run_workers(struct race *race, worker_fn *const *workers,
				unsigned int n)
{
	unsigned int good = 0;
	pid_t pids[32];

	NEED(2 * n <= 32);
	for (unsigned int i = 0; i < 2 * n; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i]) {
			unsigned int seed = i + 1;

			for (unsigned int round = 0; round < race->rounds;
			     round++)
				workers[i % n](race, &seed);
			_exit(0);
		}
	}
	for (unsigned int i = 0; i < 2 * n; i++)
		good += wait_status(pids[i]) == 0;
	return good;
}

static struct race prepare(struct side *s, unsigned int rounds)
{
	/* where pages come from a disk a round takes more than twice the time */
	struct race race = { .side = s,
			     .fd = memory_file(SIZE),
			     .base = FOREIGN,
			     .rounds = files_on_disk() ? (rounds + 1) / 2 :
							 rounds };

	race.wrong = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(race.wrong != MAP_FAILED);
	return race;
}

/* after the storm everything works as before */
static void calm(struct side *s, struct race *race)
{
	char *map;

	NEED(!ftruncate(race->fd, SIZE));
	map = map_side(s, SIZE, RW, race->fd, 0);
	stamp_all(map, SIZE);
	must(s, "sum_after", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links_after", map, "1111");
}

static void storm(struct side *s, unsigned int rounds,
		  worker_fn *const *workers, unsigned int n)
{
	struct race race = prepare(s, rounds);

	must(s, "workers", run_workers(&race, workers, n), 2 * n);
	must(s, "wrong_pages", *race.wrong, 0);
	calm(s, &race);
}

#define STORM(name, rounds, ...)                                     \
	SCENARIO(name, "SCM-5,SCM-16")                               \
	{                                                            \
		static worker_fn *const workers[] = { __VA_ARGS__ }; \
		storm(s, rounds, workers,                            \
		      sizeof(workers) / sizeof(workers[0]));         \
	}

STORM(map_and_punch, 40, map_touch_unmap, punch)
STORM(map_and_resize, 40, map_touch_unmap, resize)
STORM(map_and_page_out, 15, map_touch_unmap, page_out)
STORM(protect_and_punch, 40, map_protect, punch)
STORM(protect_and_fork_and_punch, 20, protect_and_fork, punch)
STORM(protect_and_page_out, 15, map_protect, page_out)
STORM(move_and_punch, 40, map_move, punch)
STORM(fork_and_punch, 15, map_and_fork, punch)
STORM(collapse_and_map, 10, collapse, map_touch_unmap)
STORM(leave_and_punch, 30, lock_and_leave, punch)
STORM(everything, 8, map_touch_unmap, map_protect, map_move, map_and_fork,
      punch, resize, page_out, collapse, lock_and_leave)

struct thread_work {
	struct race *race;
	worker_fn *work;
	unsigned int seed;
};

static void *thread_main(void *context)
{
	struct thread_work *work = context;

	for (unsigned int round = 0; round < work->race->rounds; round++)
		work->work(work->race, &work->seed);
	return NULL;
}

/*
 * A signal handler belongs to the whole process and try_call() sets and restores it,
 * so the threads' accesses run inside one that covers them all.
 */
static void all_threads(void *context)
{
	static worker_fn *const workers[] = { touch_shared, touch_shared,
					      split_shared, punch };
	struct thread_work work[4];
	struct race *race = context;
	pthread_t threads[4];

	for (unsigned int i = 0; i < 4; i++) {
		work[i] = (struct thread_work){ race, workers[i], i + 1 };
		NEED(!pthread_create(&threads[i], NULL, thread_main, &work[i]));
	}
	for (unsigned int i = 0; i < 4; i++)
		NEED(!pthread_join(threads[i], NULL));
}

SCENARIO(threads, "SCM-6,SCM-16")
{
	struct race race = prepare(s, 40);

	race.map = map_side(s, SIZE, RW, race.fd, 0);
	must(s, "raised", try_call(all_threads, &race), 0);
	must(s, "wrong_pages", *race.wrong, 0);
	calm(s, &race);
}

static int creates_and_dies(void *context)
{
	struct race *race = context;
	char *map = try_map(race, RW);

	if (!map)
		return 1;
	set_word(map, race->base + 1);
	raise(SIGKILL);
	return 0;
}

/* the first and the last user of a unit come and go at once */
SCENARIO(create_and_retire, "SCM-2,SCM-8")
{
	struct race race = prepare(s, 0);
	unsigned int good = 0;
	pid_t pids[4];

	for (unsigned int i = 0; i < 30; i++) {
		for (unsigned int j = 0; j < 4; j++) {
			pids[j] = fork();
			NEED(pids[j] >= 0);
			if (!pids[j])
				_exit(creates_and_dies(&race));
		}
		for (unsigned int j = 0; j < 4; j++)
			good += wait_status(pids[j]) == 128 + SIGKILL;
	}
	must(s, "good", good, 120);
	calm(s, &race);
}

SCENARIO(many_exit_at_once, "SCM-5")
{
	struct race race = prepare(s, 0);
	volatile unsigned int *ready;
	unsigned int good = 0;
	char *map = map_side(s, SIZE, RW, race.fd, 0);
	pid_t pids[32];

	ready = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(ready != MAP_FAILED);
	stamp_all(map, SIZE);
	for (unsigned int i = 0; i < 32; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i]) {
			sum_all(map, SIZE);
			__atomic_add_fetch(ready, 1, __ATOMIC_SEQ_CST);
			for (;;)
				pause();
		}
	}
	while (*ready < 32)
		usleep(1000);
	for (unsigned int i = 0; i < 32; i++)
		kill(pids[i], SIGKILL);
	for (unsigned int i = 0; i < 32; i++)
		good += wait_status(pids[i]) == 128 + SIGKILL;
	must(s, "good", good, 32);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	calm(s, &race);
}

/* -- GUP-fast, which walks page tables without a lock -- */

/* pages in one vmsplice(): what an empty pipe holds */
#define SPLICED 16

struct splicer {
	struct race *race;
	/* on a block device, SIZE, with the stamps of race->base */
	int disk;
	int ends[2];
	/* what it has done until told to stop, shared with the parent */
	struct {
		volatile int stop;
		volatile uint64_t spliced;
		volatile uint64_t read;
		volatile uint64_t unmapped;
	} * done;
};

/* the pipe gets references to the pages, which others may punch before it is read */
static void splice_pages(struct splicer *splicer, char *map, unsigned int *seed)
{
	size_t from = chance(seed, SIZE / PAGE - SPLICED + 1) * PAGE;
	struct iovec part = { .iov_base = map + from,
			      .iov_len = SPLICED * PAGE };
	ssize_t size = vmsplice(splicer->ends[1], &part, 1, SPLICE_F_NONBLOCK);
	uint64_t page[PAGE / 8], stamp = splicer->race->base + from / PAGE;

	for (ssize_t at = 0; at < size; at += PAGE) {
		stamp++;
		NEED(read(splicer->ends[0], page, PAGE) == (ssize_t)PAGE);
		if ((page[0] && page[0] != stamp) || page[PAGE / 8 - 1])
			__atomic_add_fetch(splicer->race->wrong, 1,
					   __ATOMIC_RELAXED);
		splicer->done->spliced++;
	}
}

/* the disk has in each page what the file may have */
static void read_into(struct splicer *splicer, char *map, unsigned int *seed)
{
	size_t at = any_page(seed);

	if (pread(splicer->disk, map + at, PAGE, at) == (ssize_t)PAGE)
		splicer->done->read++;
}

static void splice_and_read(struct splicer *splicer, char *map,
			    unsigned int *seed)
{
	for (unsigned int i = 0; i < 8; i++)
		splice_pages(splicer, map, seed);
	read_into(splicer, map, seed);
}

static struct splicer prepare_splicer(struct race *race)
{
	struct splicer splicer = { .race = race,
				   .disk = direct_file(SIZE, race->base) };

	NEED(!pipe(splicer.ends));
	splicer.done = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(splicer.done != MAP_FAILED);
	return splicer;
}

static void spliced_enough(struct side *s, struct splicer *splicer)
{
	printf("# %s side: spliced %lu pages, read %lu\n",
	       s->linked ? "linked" : "ordinary", splicer->done->spliced,
	       splicer->done->read);
	must(s, "spliced", splicer->done->spliced >= 1000, 1);
	must(s, "read", splicer->done->read >= 20, 1);
}

/* maps anew now and then, as the others do */
static void splice_process(struct splicer *splicer)
{
	unsigned int seed = 99;

	pin(1);
	while (!splicer->done->stop) {
		char *map = try_map(splicer->race, RW);

		NEED(map);
		for (unsigned int i = 0; i < 20; i++)
			touch(splicer->race, map, &seed, true);
		for (unsigned int i = 0; i < 20; i++)
			splice_and_read(splicer, map, &seed);
		munmap(map, SIZE);
		splicer->done->unmapped++;
	}
	_exit(0);
}

SCENARIO(gup_fast_and_processes, "SCM-2,SCM-8,SCM-16")
{
	static worker_fn *const workers[] = { map_touch_unmap, map_and_fork,
					      map_move, lock_and_leave, punch };
	const unsigned int n = sizeof(workers) / sizeof(workers[0]);
	struct race race = prepare(s, 4);
	struct splicer splicer = prepare_splicer(&race);
	unsigned int good = 0;
	pid_t pid = fork();

	NEED(pid >= 0);
	if (!pid)
		splice_process(&splicer);
	/* the others inherit it: the splicer has its CPU for itself */
	pin(0);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t unmapped;

		good += run_workers(&race, workers, n);
		/* nobody but the splicer is left: the unit retires when it unmaps */
		unmapped = splicer.done->unmapped;
		while (splicer.done->unmapped == unmapped)
			sched_yield();
	}
	must(s, "workers", good, 4 * 2 * n);
	must(s, "wrong_pages", *race.wrong, 0);
	splicer.done->stop = 1;
	must(s, "splicer", wait_status(pid), 0);
	spliced_enough(s, &splicer);
	calm(s, &race);
}

static void *splice_thread(void *context)
{
	struct splicer *splicer = context;
	unsigned int seed = 99;

	pin(1);
	while (!splicer->done->stop)
		splice_and_read(splicer, splicer->race->map, &seed);
	return NULL;
}

static void map_nothing(char *at, size_t size)
{
	NEED(mmap(at, size, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		  -1, 0) == at);
}

/* what was a table may be one of these pages now, full of entries for page frame 0 */
static void reuse_memory(void)
{
	char *memory = mmap(NULL, MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(memory != MAP_FAILED);
	for (size_t at = 0; at < MIB; at += 8)
		set_word(memory + at, 0x67);
	munmap(memory, MIB);
}

/*
 * A thread walks the tables while another one takes the unit's last link away, and
 * the tables with it.
 */
SCENARIO(gup_fast_and_retire, "SCM-2,SCM-8,SCM-16")
{
	struct race race = prepare(s, 100);
	struct splicer splicer = prepare_splicer(&race);
	int flags = MAP_FIXED | side_flags(s);
	unsigned int seed = 1, retired = 0;
	pthread_t thread;

	race.map = free_space(SIZE);
	map_nothing(race.map, SIZE);
	NEED(!pthread_create(&thread, NULL, splice_thread, &splicer));
	pin(0);
	for (unsigned int i = 0; i < race.rounds; i++) {
		uint64_t enough;

		NEED(mmap(race.map, SIZE, RW, flags, race.fd, 0) == race.map);
		for (unsigned int j = 0; j < 200; j++)
			touch(&race, race.map, &seed, true);
		enough = splicer.done->spliced + 2 * SPLICED;
		while (splicer.done->spliced < enough)
			sched_yield();
		if (i % 4 == 0)
			punch(&race, &seed);
		map_nothing(race.map, SIZE);
		/* none on the ordinary side as well */
		retired += scome_counter("units") <= 0;
		reuse_memory();
	}
	splicer.done->stop = 1;
	NEED(!pthread_join(thread, NULL));
	/* a fault that reads from a disk keeps the unit, not the mapping */
	if (!files_on_disk())
		must(s, "retired", retired, race.rounds);
	must(s, "wrong_pages", *race.wrong, 0);
	spliced_enough(s, &splicer);
	calm(s, &race);
}

/* -- every allocation of a path fails once -- */

/* two leaf tables */
#define SMALL (4 * MIB)
/* no path makes that many allocations */
#define MOST_FAULTS 2000

/*
 * A path is one system call or one access. Only that is made with an allocation
 * failing: what it needs is made before, what it did is looked at after it.
 */
struct attempt {
	struct side *side;
	/* SMALL, with the stamps of stamp_all() unless the path punches them */
	int fd;
	/* where the path works, unmapped after each attempt */
	char *map;
	char *other;
	/* of the call: its value, or its negative errno */
	int64_t result;
	/* an allocation has failed */
	bool failed;
};

struct path {
	const char *name;
	void (*prepare)(struct attempt *attempt);
	int64_t (*call)(struct attempt *attempt);
	/* whether everything is as it has to be after that result */
	bool (*right)(struct attempt *attempt);
	void (*finish)(struct attempt *attempt);
	/* besides ENOMEM */
	int error;
};

/*
 * Allocations may fail in this kernel; the log names each forced failure in a
 * line, after which scripts/logscan lets the allocator complain.
 */
static bool can_fail(void)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "1" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "1" },
	};

	if (access("/proc/thread-self/fail-nth", W_OK))
		return false;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		NEED(!write_text(settings[i][0], settings[i][1]));
	return true;
}

static bool skip_without(struct side *s, const char *const *checks)
{
	if (can_fail())
		return false;
	for (; *checks; checks++)
		skip(s, *checks, "no fault injection in this kernel");
	return true;
}

/*
 * Of this thread; opened before, since opening allocates as well. On its way back
 * to a program the kernel writes to the program's struct rseq, and kills it when
 * there is no memory to copy that page after a fork: so without.
 */
static int open_fail_nth(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	NEED(fd >= 0);
	if (__rseq_size)
		NEED(!syscall(
			SYS_rseq,
			(char *)__builtin_thread_pointer() + __rseq_offset,
			sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	return fd;
}

/* from here on the n-th allocation of this thread fails; 0: none */
static void fail_nth(int fd, unsigned int n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", n);

	NEED(write(fd, text, length) == length);
}

/* allocations until one fails; 0: that has happened, or none was to fail */
static unsigned int fail_left(int fd)
{
	char text[16] = "";

	NEED(pread(fd, text, sizeof(text) - 1, 0) > 0);
	return strtoul(text, NULL, 10);
}

struct in_use {
	int64_t units, links, tables, views;
};

static struct in_use in_use_now(void)
{
	return (struct in_use){ scome_counter("units"), scome_counter("links"),
				scome_counter("tables"),
				scome_counter("views") };
}

static bool same_use(const struct in_use *a, const struct in_use *b)
{
	return a->units == b->units && a->links == b->links &&
	       a->tables == b->tables && a->views == b->views;
}

static bool result_allowed(const struct path *path,
			   const struct attempt *attempt)
{
	if (attempt->result >= 0)
		return true;
	return attempt->failed &&
	       (attempt->result == -ENOMEM || attempt->result == -path->error);
}

static struct attempt attempt_path(struct side *s, const struct path *path,
				   int fd, int nth_fd, unsigned int n)
{
	struct attempt attempt = { .side = s, .fd = fd };

	if (path->prepare)
		path->prepare(&attempt);
	fail_nth(nth_fd, n);
	attempt.result = path->call(&attempt);
	attempt.failed = !fail_left(nth_fd) && n;
	fail_nth(nth_fd, 0);
	return attempt;
}

/* first with nothing failing, then the first, the second, ... until all go well */
static void fail_each(struct side *s, const struct path *path)
{
	static const char *const checks[] = { "every_allocation", "results",
					      "states",		  "left_behind",
					      "file_gone",	  "sum_after",
					      "links_after",	  NULL };
	unsigned int n, results = 0, states = 0, left_behind = 0;
	struct race race;
	int fd, nth_fd;
	int64_t shmem;

	if (skip_without(s, checks))
		return;
	shmem = meminfo_kb("Shmem");
	fd = stamped_file(SMALL);
	nth_fd = open_fail_nth();
	for (n = 0; n < MOST_FAULTS; n++) {
		struct in_use before = in_use_now(), after;
		struct attempt attempt = attempt_path(s, path, fd, nth_fd, n);
		bool allowed = result_allowed(path, &attempt);
		bool right = path->right(&attempt);

		if (path->finish)
			path->finish(&attempt);
		if (attempt.map)
			NEED(!munmap(attempt.map, SMALL));
		/* who got a place and no mapping goes soon, now */
		if (s->linked)
			NEED(!write_text("/sys/kernel/mm/scome/retire_kept",
					 "1"));
		after = in_use_now();
		if (!allowed || !right || !same_use(&before, &after))
			printf("# %s, %s side, allocation %u: result %lld%s%s%s\n",
			       path->name, s->linked ? "linked" : "ordinary", n,
			       (long long)attempt.result,
			       allowed ? "" : ", which is not allowed",
			       right ? "" : ", and the state is wrong",
			       same_use(&before, &after) ?
				       "" :
				       ", and something stayed behind");
		results += !allowed;
		states += !right;
		left_behind += !same_use(&before, &after);
		if (n && !attempt.failed)
			break;
	}
	printf("# %s, %s side: %u allocations\n", path->name,
	       s->linked ? "linked" : "ordinary", n - 1);
	must(s, "every_allocation", n > 1 && n < MOST_FAULTS, 1);
	must(s, "results", results, 0);
	must(s, "states", states, 0);
	must(s, "left_behind", left_behind, 0);
	/* nobody holds the file any more: its memory goes with the last reference */
	stamp_file(fd, SMALL);
	close(fd);
	must(s, "file_gone",
	     meminfo_kb("Shmem") - shmem < (int64_t)(SMALL / KIB / 2), 1);
	close(nth_fd);
	race = prepare(s, 0);
	calm(s, &race);
}

#define FAIL(name_, ids, ...)                     \
	SCENARIO(fail_##name_, ids)               \
	{                                         \
		static const struct path path = { \
			.name = "fail_" #name_,   \
			__VA_ARGS__,              \
		};                                \
		fail_each(s, &path);              \
	}

/* what paths start from, and what they must find or leave */

static bool sum_is(const char *map, size_t from, size_t to)
{
	return sum_all(map, to - from) == stamp_sum(from, to);
}

static void map_stamped(struct attempt *attempt)
{
	attempt->map = map_side(attempt->side, SMALL, RW, attempt->fd, 0);
	/* reading is faster: a fault maps what is around */
	NEED(sum_is(attempt->map, 0, SMALL));
	set_word(attempt->map + 3 * MIB, 3 * MIB / PAGE + 1);
}

static void map_punched(struct attempt *attempt)
{
	NEED(!punch_hole(attempt->fd, 0, SMALL));
	attempt->map = map_side(attempt->side, SMALL, RW, attempt->fd, 0);
}

/* the mapping as map_stamped() made it; a range that the path was to split may be */
static bool as_stamped(struct attempt *attempt, const char *wanted)
{
	return sum_is(attempt->map, 0, SMALL) &&
	       !try_write(attempt->map + 3 * MIB, 3 * MIB / PAGE + 1) &&
	       links_are(attempt->side, attempt->map, wanted);
}

static int64_t mmap_side(struct attempt *attempt, int flags)
{
	char *map = mmap(attempt->other, SMALL, RW, flags, attempt->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	attempt->map = map;
	return 0;
}

static void prepare_place(struct attempt *attempt)
{
	if (!attempt->side->linked)
		attempt->other = free_space(SMALL);
}

static int64_t path_mmap(struct attempt *attempt)
{
	return mmap_side(attempt, side_flags(attempt->side));
}

/* who insists gets a linked mapping or none */
static bool mapped_or_not(struct attempt *attempt)
{
	if (attempt->result < 0)
		return !attempt->map;
	return as_stamped(attempt, "11");
}

FAIL(mmap, "SCM-2", .prepare = prepare_place, .call = path_mmap,
     .right = mapped_or_not)

static void prepare_prctl(struct attempt *attempt)
{
	prepare_place(attempt);
	if (attempt->side->linked)
		NEED(!scome_set(SCOME_ON, RANGE));
}

static void finish_prctl(struct attempt *attempt)
{
	if (attempt->side->linked)
		NEED(!scome_set(SCOME_OFF, 0));
}

/* the flag is what counts, whatever the process has asked for besides */
FAIL(mmap_flag_and_prctl, "SCM-2", .prepare = prepare_prctl, .call = path_mmap,
     .right = mapped_or_not, .finish = finish_prctl)

static int64_t path_prctl_mmap(struct attempt *attempt)
{
	return mmap_side(attempt, MAP_SHARED);
}

/*
 * Who has not insisted gets an ordinary mapping instead, always where that
 * is of huge pages and no parent can be linked.
 */
static bool mapped_somehow(struct attempt *attempt)
{
	if (attempt->result < 0)
		return !attempt->map;
	if (attempt->failed)
		return as_stamped(attempt, "??");
	return as_stamped(attempt, files_huge() ? "00" : "11");
}

FAIL(prctl_mmap, "SCM-2", .prepare = prepare_prctl, .call = path_prctl_mmap,
     .right = mapped_somehow, .finish = finish_prctl)

static int64_t path_access(struct attempt *attempt)
{
	return try_write(attempt->map + 3 * MIB, 4711);
}

/* a fault that finds no memory is made again: there is nobody to tell */
static bool accessed(struct attempt *attempt)
{
	return !attempt->result && word(attempt->map + 3 * MIB) == 4711 &&
	       word(attempt->map + 3 * MIB + PAGE) == 0 &&
	       links_are(attempt->side, attempt->map, "?1");
}

FAIL(first_fault, "SCM-2", .prepare = map_punched, .call = path_access,
     .right = accessed)

/* in a GiB of its own: the process has no tables there yet */
static void map_apart(struct attempt *attempt)
{
	char *place = free_space(2 * GIB);

	map_stamped(attempt);
	place = (char *)(((uintptr_t)place + GIB - 1) & -GIB);
	attempt->other = mmap(place, SMALL, RW,
			      MAP_FIXED | side_flags(attempt->side),
			      attempt->fd, 0);
	NEED(attempt->other == place);
}

static int64_t path_other_access(struct attempt *attempt)
{
	return try_read(attempt->other + 3 * MIB);
}

static bool accessed_other(struct attempt *attempt)
{
	return !attempt->result && sum_is(attempt->other, 0, SMALL) &&
	       links_are(attempt->side, attempt->other, "11") &&
	       as_stamped(attempt, "11");
}

static void unmap_other(struct attempt *attempt)
{
	NEED(!munmap(attempt->other, SMALL));
}

FAIL(second_fault, "SCM-2", .prepare = map_apart, .call = path_other_access,
     .right = accessed_other, .finish = unmap_other)

/* a GiB that one entry links, huge where the file is, and a second place */
static void map_below_a_parent(struct attempt *attempt)
{
	attempt->other = map_gib(attempt->side, GIB, RW, attempt->fd, 0);
	NEED(sum_is(attempt->other, 0, SMALL));
	attempt->map = map_side(attempt->side, SMALL, RW, attempt->fd, 0);
}

static int64_t path_small_access(struct attempt *attempt)
{
	return try_write(attempt->map + 3 * MIB, 3 * MIB / PAGE + 1);
}

static bool accessed_below_a_parent(struct attempt *attempt)
{
	return !attempt->result && as_stamped(attempt, "11") &&
	       sum_is(attempt->other, 0, SMALL);
}

static void unmap_gib(struct attempt *attempt)
{
	NEED(!munmap(attempt->other, GIB));
}

FAIL(small_link_below_a_parent, "SCM-2,SCM-6", .prepare = map_below_a_parent,
     .call = path_small_access, .right = accessed_below_a_parent,
     .finish = unmap_gib)

static void map_below_and_touch(struct attempt *attempt)
{
	map_below_a_parent(attempt);
	NEED(sum_is(attempt->map, 0, SMALL));
}

static int64_t path_parent_border(struct attempt *attempt)
{
	return err(mprotect(attempt->other + 3 * MIB, PAGE, PROT_READ));
}

static bool parent_has_border(struct attempt *attempt)
{
	int denied = attempt->result ? 0 : SEGV_DENIED;

	return try_write(attempt->other + 3 * MIB, 3 * MIB / PAGE + 1) ==
		       denied &&
	       accessed_below_a_parent(&(struct attempt){
		       .side = attempt->side,
		       .map = attempt->map,
		       .other = attempt->other,
	       });
}

FAIL(parent_border, "SCM-6,SCM-15", .prepare = map_below_and_touch,
     .call = path_parent_border, .right = parent_has_border,
     .finish = unmap_gib)

static int64_t path_populate(struct attempt *attempt)
{
	return err(
		madvise(attempt->map + 3 * MIB, 2 * PAGE, MADV_POPULATE_WRITE));
}

static bool populated(struct attempt *attempt)
{
	unsigned char there[2] = { 0, 0 };

	if (mincore(attempt->map + 3 * MIB, 2 * PAGE, there))
		return false;
	return (attempt->result < 0 || (there[0] & there[1] & 1)) &&
	       !word(attempt->map + 3 * MIB) &&
	       !try_write(attempt->map + 3 * MIB, 4711) &&
	       links_are(attempt->side, attempt->map, "?1");
}

FAIL(populate, "SCM-2", .prepare = map_punched, .call = path_populate,
     .right = populated)

enum {
	CHILD_SEES_WRONG = 1,
	CHILD_NOT_LINKED = 2,
};

static int64_t path_fork(struct attempt *attempt)
{
	pid_t pid = fork();
	int status = 0;

	if (pid)
		return err(pid);
	/* nothing fails here: it is not inherited */
	if (!sum_is(attempt->map, 0, SMALL))
		status |= CHILD_SEES_WRONG;
	if (!links_are(attempt->side, attempt->map, "11"))
		status |= CHILD_NOT_LINKED;
	_exit(status);
}

/* a child without memory for its link has an ordinary mapping */
static bool forked(struct attempt *attempt)
{
	int status = 0;

	if (attempt->result > 0)
		status = wait_status(attempt->result);
	if (attempt->failed)
		status &= ~CHILD_NOT_LINKED;
	return !status && as_stamped(attempt, "11");
}

FAIL(fork, "SCM-5", .prepare = map_stamped, .call = path_fork, .right = forked)

static int64_t path_munmap(struct attempt *attempt)
{
	return err(munmap(attempt->map + 3 * MIB, PAGE));
}

static bool page_unmapped(struct attempt *attempt)
{
	char *page = attempt->map + 3 * MIB;

	if (attempt->result < 0)
		return as_stamped(attempt, "1?");
	return try_read(page) == RAISED(SIGSEGV, SEGV_MAPERR) &&
	       sum_is(attempt->map, 0, 3 * MIB) &&
	       sum_is(page + PAGE, 3 * MIB + PAGE, SMALL) &&
	       links_are(attempt->side, attempt->map, "10");
}

FAIL(munmap_page, "SCM-6", .prepare = map_stamped, .call = path_munmap,
     .right = page_unmapped)

static int64_t path_mprotect(struct attempt *attempt)
{
	return err(mprotect(attempt->map + 3 * MIB, PAGE, PROT_READ));
}

static bool page_is_protected(struct attempt *attempt)
{
	char *page = attempt->map + 3 * MIB;

	/* without memory for a view the part is protected all the same */
	return try_write(page, 4711) == RAISED(SIGSEGV, SEGV_ACCERR) &&
	       sum_is(attempt->map, 0, SMALL) &&
	       links_are(attempt->side, attempt->map,
			 attempt->failed ? "1?" : "11");
}

static bool page_protected(struct attempt *attempt)
{
	if (attempt->result < 0)
		return as_stamped(attempt, "1?");
	return page_is_protected(attempt);
}

FAIL(mprotect_page, "SCM-6,SCM-15", .prepare = map_stamped,
     .call = path_mprotect, .right = page_protected)

/* one page has permissions of its own already */
static void map_protected(struct attempt *attempt)
{
	map_stamped(attempt);
	NEED(!mprotect(attempt->map + 3 * MIB, PAGE, PROT_READ));
	NEED(sum_is(attempt->map, 0, SMALL));
}

static int64_t path_mprotect_back(struct attempt *attempt)
{
	return err(mprotect(attempt->map + 3 * MIB, PAGE, RW));
}

static bool page_protected_or_not(struct attempt *attempt)
{
	if (attempt->result < 0)
		return page_is_protected(attempt);
	return as_stamped(attempt, "11");
}

FAIL(mprotect_back, "SCM-6,SCM-15", .prepare = map_protected,
     .call = path_mprotect_back, .right = page_protected_or_not)

static int64_t path_munmap_part(struct attempt *attempt)
{
	return err(munmap(attempt->map + 3 * MIB, 2 * PAGE));
}

static bool part_unmapped_or_not(struct attempt *attempt)
{
	char *page = attempt->map + 3 * MIB;

	if (attempt->result < 0)
		return page_is_protected(attempt);
	return try_read(page) == RAISED(SIGSEGV, SEGV_MAPERR) &&
	       try_read(page + PAGE) == RAISED(SIGSEGV, SEGV_MAPERR) &&
	       sum_is(attempt->map, 0, 3 * MIB) &&
	       sum_is(page + 2 * PAGE, 3 * MIB + 2 * PAGE, SMALL) &&
	       links_are(attempt->side, attempt->map, "10");
}

FAIL(munmap_protected, "SCM-6,SCM-15", .prepare = map_protected,
     .call = path_munmap_part, .right = part_unmapped_or_not)

static int64_t path_fork_protected(struct attempt *attempt)
{
	pid_t pid = fork();
	char *page = attempt->map + 3 * MIB;

	if (pid)
		return err(pid);
	if (!sum_is(attempt->map, 0, SMALL) ||
	    try_write(page, 4711) != RAISED(SIGSEGV, SEGV_ACCERR) ||
	    try_write(page + PAGE, 3 * MIB / PAGE + 2))
		_exit(1);
	_exit(0);
}

static bool forked_protected(struct attempt *attempt)
{
	int status = 0;

	if (attempt->result > 0)
		status = wait_status(attempt->result);
	return !status && page_is_protected(attempt);
}

FAIL(fork_protected, "SCM-5,SCM-15", .prepare = map_protected,
     .call = path_fork_protected, .right = forked_protected)

static int64_t path_mlock(struct attempt *attempt)
{
	return err(mlock(attempt->map + 3 * MIB, PAGE));
}

/* one that fails late has locked already: the page may be ordinary */
static bool page_locked(struct attempt *attempt)
{
	return as_stamped(attempt, attempt->result < 0 ? "1?" : "10");
}

FAIL(mlock_page, "SCM-6", .prepare = map_stamped, .call = path_mlock,
     .right = page_locked, .error = EAGAIN)

static void prepare_move(struct attempt *attempt)
{
	map_stamped(attempt);
	attempt->other = free_space(RANGE);
}

static int64_t path_mremap(struct attempt *attempt)
{
	char *moved = mremap(attempt->map + RANGE, RANGE, RANGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, attempt->other);

	return moved == MAP_FAILED ? -errno : 0;
}

static bool moved(struct attempt *attempt)
{
	if (attempt->result < 0)
		return as_stamped(attempt, "11") &&
		       try_read(attempt->other) == RAISED(SIGSEGV, SEGV_MAPERR);
	/* without memory to unmap the old place it stays, as it always did */
	if (!attempt->failed &&
	    try_read(attempt->map + RANGE) != RAISED(SIGSEGV, SEGV_MAPERR))
		return false;
	return sum_is(attempt->map, 0, RANGE) &&
	       sum_is(attempt->other, RANGE, SMALL) &&
	       links_are(attempt->side, attempt->map, "1") &&
	       links_are(attempt->side, attempt->other,
			 attempt->failed ? "?" : "1");
}

static void finish_move(struct attempt *attempt)
{
	NEED(!munmap(attempt->other, RANGE));
}

FAIL(mremap, "SCM-6", .prepare = prepare_move, .call = path_mremap,
     .right = moved, .finish = finish_move)

static int64_t path_map_over(struct attempt *attempt)
{
	char *over = mmap(attempt->map + RANGE, RANGE, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return over == MAP_FAILED ? -errno : 0;
}

/* POSIX lets a call that fails late leave nothing there, and Linux makes use of it */
static bool gap_or_as_stamped(struct attempt *attempt)
{
	if (try_read(attempt->map + RANGE) != RAISED(SIGSEGV, SEGV_MAPERR))
		return as_stamped(attempt, "11");
	return try_read(attempt->map + SMALL - PAGE) ==
		       RAISED(SIGSEGV, SEGV_MAPERR) &&
	       sum_is(attempt->map, 0, RANGE) &&
	       links_are(attempt->side, attempt->map, "10");
}

static bool mapped_over(struct attempt *attempt)
{
	uint64_t value = 0;

	if (attempt->result < 0)
		return gap_or_as_stamped(attempt);
	if (sum_all(attempt->map + RANGE, RANGE))
		return false;
	set_word(attempt->map + 3 * MIB, 4711);
	return pread(attempt->fd, &value, 8, 3 * MIB) == 8 &&
	       value == 3 * MIB / PAGE + 1 && sum_is(attempt->map, 0, RANGE) &&
	       links_are(attempt->side, attempt->map, "10");
}

FAIL(map_over, "SCM-6", .prepare = map_stamped, .call = path_map_over,
     .right = mapped_over)

/* the file's first range over its second: another link */
static int64_t path_map_over_shared(struct attempt *attempt)
{
	char *over = mmap(attempt->map + RANGE, RANGE, RW,
			  MAP_FIXED | side_flags(attempt->side), attempt->fd,
			  0);

	return over == MAP_FAILED ? -errno : 0;
}

static bool mapped_over_shared(struct attempt *attempt)
{
	if (attempt->result < 0)
		return gap_or_as_stamped(attempt);
	return sum_is(attempt->map, 0, RANGE) &&
	       sum_is(attempt->map + RANGE, 0, RANGE) &&
	       links_are(attempt->side, attempt->map, "11");
}

FAIL(map_over_shared, "SCM-6", .prepare = map_stamped,
     .call = path_map_over_shared, .right = mapped_over_shared)

/* exits with an allocation failing; the last user of a unit of its own, too */
static void exits(struct side *s, const char *map, unsigned int n)
{
	int fd = stamped_file(SMALL), nth_fd = open_fail_nth();
	char *own = map_side(s, SMALL, RW, fd, 0);

	sum_all(own, SMALL);
	sum_all(map, SMALL);
	fail_nth(nth_fd, n);
	_exit(7);
}

/* how many allocations a process that has ended had left; it is still there to ask */
static unsigned int left_of(pid_t pid)
{
	char path[64];
	siginfo_t info;
	int64_t left;

	while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT))
		NEED(errno == EINTR);
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	left = read_number(path);
	NEED(left >= 0);
	return left;
}

/* an exit has nobody to tell an error: it must work whatever fails */
SCENARIO(fail_exit, "SCM-5,SCM-8")
{
	static const char *const checks[] = {
		"every_allocation", "statuses", "sums",
		"left_behind",	    "links",	"sum_after",
		"links_after",	    NULL
	};
	unsigned int n, statuses = 0, sums = 0, left_behind = 0, left = 0;
	struct in_use before, after;
	struct race race;
	char *map;

	if (skip_without(s, checks))
		return;
	map = map_side(s, SMALL, RW, stamped_file(SMALL), 0);
	sum_all(map, SMALL);
	before = in_use_now();
	for (n = 1; n < MOST_FAULTS && !left; n++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (!pid)
			exits(s, map, n);
		left = left_of(pid);
		statuses += wait_status(pid) != 7;
		sums += !sum_is(map, 0, SMALL);
		after = in_use_now();
		left_behind += !same_use(&before, &after);
	}
	must(s, "every_allocation", left > 0, 1);
	must(s, "statuses", statuses, 0);
	must(s, "sums", sums, 0);
	must(s, "left_behind", left_behind, 0);
	links(s, "links", map, "11");
	race = prepare(s, 0);
	calm(s, &race);
}

SCENARIO_LINKED(nothing_left, "SCM-8")
{
	must(s, "units", scome_counter("units"), 0);
	must(s, "tables", scome_counter("tables"), 0);
	must(s, "links", scome_counter("links"), 0);
}

TEST_HARNESS_MAIN
