// SPDX-License-Identifier: GPL-2.0
/*
 * Races, bounded by a count: processes and threads map, touch, split, fork and
 * leave while others punch, truncate and reclaim; and every allocation of a path
 * fails once (/proc/thread-self/fail-nth, on the debug kernel).
 *
 * A page of the file holds either nothing or its own number, whoever wrote it
 * and whatever was punched: anything else came from a stale or foreign place.
 */
#include <pthread.h>
#include <sched.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define RW (PROT_READ | PROT_WRITE)
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
	int flags = race->side->linked ? MAP_PT : MAP_SHARED;
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
		     MAP_FIXED | (race->side->linked ? MAP_PT : MAP_SHARED),
		     race->fd, from);
		break;
	case 3:
		mmap(race->map, SIZE, RW,
		     MAP_FIXED | (race->side->linked ? MAP_PT : MAP_SHARED),
		     race->fd, 0);
		break;
	}
}

static void touch_shared(struct race *race, unsigned int *seed)
{
	for (unsigned int i = 0; i < 100; i++)
		touch(race, race->map, seed, i & 1);
}

/* a worker in each of two processes, all at once */
static void processes(struct side *s, struct race *race,
		      worker_fn *const *workers, unsigned int n)
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
	must(s, "workers", good, 2 * n);
	must(s, "wrong_pages", *race->wrong, 0);
}

static struct race prepare(struct side *s, unsigned int rounds)
{
	struct race race = { .side = s,
			     .fd = memory_file(SIZE),
			     .base = FOREIGN,
			     .rounds = rounds };

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

	processes(s, &race, workers, n);
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

/* -- every allocation of a path fails once -- */

static bool can_fail(void)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
	};

	/*
	 * On request only: it still hits what the scenarios do to prepare
	 * themselves, so that a failure says nothing about the kernel.
	 */
	if (!getenv("SCOME_FAIL_NTH") ||
	    access("/proc/thread-self/fail-nth", W_OK))
		return false;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		write_text(settings[i][0], settings[i][1]);
	return true;
}

static void fail_nth(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	NEED(!write_text("/proc/thread-self/fail-nth", text));
}

/* whether the n-th allocation was reached, and so failed */
static bool has_failed(void)
{
	int64_t left = read_number("/proc/thread-self/fail-nth");

	fail_nth(0);
	return left == 0;
}

struct attempt {
	struct race *race;
	char *map;
	int64_t result;
};

/*
 * The path with its first, second, ... allocation failing, until it needs no more;
 * the mapping must be right after each.
 */
static void fail_each(struct side *s, void (*path)(struct attempt *attempt),
		      bool fresh)
{
	struct race race = prepare(s, 0);
	unsigned int n, wrong = 0;
	uint64_t value = 0;

	if (!can_fail()) {
		skip(s, "every_allocation",
		     "not asked for with SCOME_FAIL_NTH, or no fault injection");
		return;
	}
	for (n = 1; n < 400; n++) {
		struct attempt attempt = { .race = &race };
		bool failed;

		if (!fresh) {
			attempt.map = map_side(s, SIZE, RW, race.fd, 0);
			stamp_all(attempt.map, SIZE);
		}
		fail_nth(n);
		path(&attempt);
		failed = has_failed();
		/* the file has what it had; errors are those of memory */
		if (attempt.result < 0 && attempt.result != -ENOMEM &&
		    attempt.result != -EAGAIN)
			wrong++;
		if (!fresh) {
			if (pread(race.fd, &value, 8, 5 * MIB) != 8 ||
			    value != 5 * MIB / PAGE + 1)
				wrong++;
			munmap(attempt.map, SIZE);
		}
		if (!failed)
			break;
	}
	must(s, "every_allocation", n > 1 && n < 400, 1);
	must(s, "wrong", wrong, 0);
	calm(s, &race);
}

static void path_mmap(struct attempt *attempt)
{
	char *map = try_map(attempt->race, RW);

	if (!map) {
		attempt->result = -errno;
		return;
	}
	munmap(map, SIZE);
}

SCENARIO(fail_mmap, "SCM-2")
{
	fail_each(s, path_mmap, true);
}

static void path_first_fault(struct attempt *attempt)
{
	unsigned int seed = 1;
	char *map;

	/* the file is new here, so that tables and pages have to be made */
	map = try_map(attempt->race, RW);
	if (!map) {
		attempt->result = -errno;
		return;
	}
	for (unsigned int i = 0; i < 4; i++)
		touch(attempt->race, map, &seed, true);
	munmap(map, SIZE);
	fallocate(attempt->race->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  0, SIZE);
}

SCENARIO(fail_first_fault, "SCM-2")
{
	fail_each(s, path_first_fault, true);
}

static void path_fork(struct attempt *attempt)
{
	pid_t pid = fork();

	if (pid < 0) {
		attempt->result = -errno;
		return;
	}
	if (!pid)
		_exit(sum_all(attempt->map, SIZE) == stamp_sum(0, SIZE) ? 0 :
									  1);
	/* a child that could not have its memory is killed, never wrong */
	if (wait_status(pid) == 1)
		attempt->result = -EINVAL;
}

SCENARIO(fail_fork, "SCM-5")
{
	fail_each(s, path_fork, false);
}

static void path_munmap(struct attempt *attempt)
{
	attempt->result = err(munmap(attempt->map + 3 * MIB, PAGE));
}

SCENARIO(fail_munmap_page, "SCM-6")
{
	fail_each(s, path_munmap, false);
}

static void path_mprotect(struct attempt *attempt)
{
	attempt->result =
		err(mprotect(attempt->map + 3 * MIB, PAGE, PROT_READ));
}

SCENARIO(fail_mprotect_page, "SCM-6,SCM-15")
{
	fail_each(s, path_mprotect, false);
}

static void path_mlock(struct attempt *attempt)
{
	attempt->result = err(mlock(attempt->map + 3 * MIB, PAGE));
}

SCENARIO(fail_mlock_page, "SCM-6")
{
	fail_each(s, path_mlock, false);
}

static void path_mremap(struct attempt *attempt)
{
	char *place = free_space(RANGE), *moved;

	moved = mremap(attempt->map + RANGE, RANGE, RANGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (moved == MAP_FAILED)
		attempt->result = -errno;
	else
		munmap(moved, RANGE);
}

SCENARIO(fail_mremap, "SCM-6")
{
	fail_each(s, path_mremap, false);
}

static void path_fixed(struct attempt *attempt)
{
	char *over = mmap(attempt->map + RANGE, RANGE, RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (over == MAP_FAILED)
		attempt->result = -errno;
}

SCENARIO(fail_map_over, "SCM-6")
{
	fail_each(s, path_fixed, false);
}

static void path_prctl(struct attempt *attempt)
{
	char *map;

	if (attempt->race->side->linked)
		attempt->result = err(scome_set(SCOME_ON, RANGE));
	map = mmap(NULL, SIZE, RW, MAP_SHARED, attempt->race->fd, 0);
	if (attempt->race->side->linked)
		scome_set(SCOME_OFF, 0);
	if (map == MAP_FAILED) {
		attempt->result = -errno;
		return;
	}
	munmap(map, SIZE);
}

SCENARIO(fail_prctl_mmap, "SCM-2")
{
	fail_each(s, path_prctl, true);
}

/* an exit has nobody to tell an error: it must work with whatever fails */
SCENARIO(fail_exit, "SCM-5,SCM-8")
{
	struct race race = prepare(s, 0);
	unsigned int good = 0;
	char *map;

	if (!can_fail()) {
		skip(s, "every_allocation",
		     "not asked for with SCOME_FAIL_NTH, or no fault injection");
		return;
	}
	map = map_side(s, SIZE, RW, race.fd, 0);
	stamp_all(map, SIZE);
	for (unsigned int n = 1; n <= 20; n++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (!pid) {
			sum_all(map, SIZE);
			fail_nth(n);
			_exit(7);
		}
		good += wait_status(pid) == 7;
		good += sum_all(map, SIZE) == stamp_sum(0, SIZE);
	}
	must(s, "every_allocation", good, 40);
	links(s, "links", map, "1111");
	calm(s, &race);
}

SCENARIO_LINKED(nothing_left, "SCM-8")
{
	must(s, "units", scome_counter("units"), 0);
	must(s, "tables", scome_counter("tables"), 0);
	must(s, "links", scome_counter("links"), 0);
}

TEST_HARNESS_MAIN
