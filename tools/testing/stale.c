// SPDX-License-Identifier: GPL-2.0
/*
 * Stale translations. A context switch flushes, so only a process that has a CPU of
 * its own and spins on a page can see one: it reads or writes the page in a loop
 * without a system call and tells what it saw through an ordinary page, while
 * others take the page away. What it sees must be right after a few turns.
 */
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>

#include "scenario.h"

#define SIZE (4 * MIB)
/* turns after which the spinner must have seen what has happened */
#define SOON 2000

struct window {
	volatile uint64_t turns;
	volatile uint64_t seen;
	volatile int raised;
	volatile int linked;
	volatile int ready;
	volatile int stop;
};

struct spinner {
	struct window *window;
	int fd;
	int prot;
	size_t at;
	bool writes;
	/* a page beside it has permissions of its own */
	bool restricts;
	/* put into the file last; never the same again */
	uint64_t value;
	pid_t pid;
	/* only where the spinner is a thread of this process */
	pthread_t thread;
	char *map;
};

static struct spinner on_stamped_file(int prot, bool writes)
{
	return (struct spinner){ .fd = stamped_file(SIZE),
				 .prot = prot,
				 .at = 3 * MIB,
				 .writes = writes,
				 .value = 1000 };
}

static void spin(void *context)
{
	struct spinner *spinner = context;
	struct window *window = spinner->window;
	volatile uint64_t *word_at =
		(volatile uint64_t *)(spinner->map + spinner->at);

	while (!window->stop) {
		if (spinner->writes)
			*word_at = window->turns + 1;
		else
			window->seen = *word_at;
		window->turns++;
	}
}

static void spin_until_stopped(struct spinner *spinner)
{
	pin(1);
	sum_all(spinner->map, SIZE);
	if (spinner->writes)
		stamp_all(spinner->map, SIZE);
	if (spinner->restricts) {
		NEED(!mprotect(spinner->map + spinner->at + PAGE, PAGE,
			       spinner->prot & ~PROT_WRITE));
		sum_all(spinner->map, SIZE);
	}
	spinner->window->linked =
		is_linked(spinner->map + (spinner->at & -RANGE));
	spinner->window->ready = 1;
	spinner->window->raised = try_call(spin, spinner) & 0xff;
}

static void wait_turns(struct window *window, uint64_t turns)
{
	uint64_t from = window->turns;

	while (window->turns - from < turns && !window->raised)
		sched_yield();
}

static void begin(struct spinner *spinner)
{
	spinner->window =
		mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(spinner->window != MAP_FAILED);
	pin(0);
}

static void started(struct side *s, struct spinner *spinner)
{
	while (!spinner->window->ready)
		sched_yield();
	must(s, "as_its_side", spinner->window->linked == s->linked, 1);
	wait_turns(spinner->window, SOON);
}

/* in a process of its own, with a mapping of its own */
static void start_process(struct side *s, struct spinner *spinner)
{
	begin(spinner);
	spinner->pid = fork();
	NEED(spinner->pid >= 0);
	if (!spinner->pid) {
		spinner->map = map_side(s, SIZE, spinner->prot, spinner->fd, 0);
		spin_until_stopped(spinner);
		while (!spinner->window->stop)
			usleep(1000);
		_exit(0);
	}
	started(s, spinner);
}

static void stop_process(struct side *s, struct spinner *spinner)
{
	spinner->window->stop = 1;
	must(s, "spinner", wait_status(spinner->pid), 0);
}

static void *thread_main(void *context)
{
	spin_until_stopped(context);
	return NULL;
}

/* as a thread of this process, on this mapping */
static void start_thread(struct side *s, struct spinner *spinner)
{
	begin(spinner);
	spinner->map = map_side(s, SIZE, spinner->prot, spinner->fd, 0);
	NEED(!pthread_create(&spinner->thread, NULL, thread_main, spinner));
	started(s, spinner);
}

static void stop_thread(struct spinner *spinner)
{
	spinner->window->stop = 1;
	NEED(!pthread_join(spinner->thread, NULL));
}

static void put(int fd, size_t at, uint64_t value)
{
	NEED(pwrite(fd, &value, sizeof(value), at) == sizeof(value));
}

static uint64_t get(int fd, size_t at)
{
	uint64_t value = 0;

	NEED(pread(fd, &value, sizeof(value), at) == sizeof(value));
	return value;
}

/* whether the reader sees this value soon */
static bool sees(struct spinner *spinner, uint64_t value)
{
	wait_turns(spinner->window, SOON);
	return spinner->window->seen == value;
}

/* whether what the writer writes reaches the file */
static bool writes_arrive(struct spinner *spinner)
{
	uint64_t turns = spinner->window->turns;

	wait_turns(spinner->window, SOON);
	return get(spinner->fd, spinner->at) > turns;
}

/* from the spinner to the file, or the other way round */
static bool change_arrives(struct spinner *spinner)
{
	if (spinner->writes)
		return writes_arrive(spinner);
	put(spinner->fd, spinner->at, ++spinner->value);
	return sees(spinner, spinner->value);
}

/* its page is taken away and comes back, again and again: how often that arrives */
static unsigned int punches_arrive(struct spinner *spinner, unsigned int rounds)
{
	unsigned int good = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		NEED(!punch_hole(spinner->fd, spinner->at, PAGE));
		good += change_arrives(spinner);
	}
	return good;
}

SCENARIO(reader_and_punch, "SCM-2")
{
	struct spinner spinner = on_stamped_file(PROT_READ, false);
	unsigned int good = 0, zero = 0;

	start_process(s, &spinner);
	for (unsigned int i = 0; i < 50; i++) {
		NEED(!punch_hole(spinner.fd, spinner.at, PAGE));
		zero += sees(&spinner, 0);
		good += change_arrives(&spinner);
	}
	must(s, "zero", zero, 50);
	must(s, "good", good, 50);
	stop_process(s, &spinner);
}

/* what it sees is an entry of a view: at another place of the manager */
static struct spinner on_view(bool writes)
{
	struct spinner spinner = on_stamped_file(RW, writes);

	spinner.restricts = true;
	return spinner;
}

SCENARIO(reader_of_a_view_and_punch, "SCM-2,SCM-15")
{
	struct spinner spinner = on_view(false);

	start_process(s, &spinner);
	must(s, "good", punches_arrive(&spinner, 50), 50);
	stop_process(s, &spinner);
}

SCENARIO(writer_of_a_view_and_punch, "SCM-2,SCM-15")
{
	struct spinner spinner = on_view(true);

	start_process(s, &spinner);
	must(s, "good", punches_arrive(&spinner, 50), 50);
	stop_process(s, &spinner);
}

SCENARIO(reader_and_punch_range, "SCM-2")
{
	struct spinner spinner = on_stamped_file(RW, false);
	unsigned int good = 0;

	start_process(s, &spinner);
	for (unsigned int i = 0; i < 20; i++) {
		NEED(!punch_hole(spinner.fd, 0, SIZE));
		good += change_arrives(&spinner);
	}
	must(s, "good", good, 20);
	stop_process(s, &spinner);
}

SCENARIO(writer_and_punch, "SCM-2")
{
	struct spinner spinner = on_stamped_file(RW, true);

	start_process(s, &spinner);
	must(s, "good", punches_arrive(&spinner, 50), 50);
	stop_process(s, &spinner);
}

static void truncate_under(struct side *s, bool writes)
{
	struct spinner spinner = on_stamped_file(RW, writes);

	start_process(s, &spinner);
	NEED(!ftruncate(spinner.fd, 2 * MIB));
	wait_turns(spinner.window, SOON);
	must(s, "raised", spinner.window->raised, SIGBUS);
	stop_process(s, &spinner);
}

SCENARIO(reader_and_truncate, "SCM-2")
{
	truncate_under(s, false);
}

SCENARIO(writer_and_truncate, "SCM-2")
{
	truncate_under(s, true);
}

/* bytes of the cgroup that lie in swap */
static int64_t reclaim(const char *cgroup)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	write_text(path, "64M");
	snprintf(path, sizeof(path), "%s/memory.swap.current", cgroup);
	return read_number(path);
}

static void reclaim_under(struct side *s, const char *cgroup,
			  struct spinner spinner)
{
	unsigned int good = 0;
	int64_t swapped = 0;

	start_process(s, &spinner);
	for (unsigned int i = 0; i < 20; i++) {
		int64_t now = reclaim(cgroup);

		if (now > swapped)
			swapped = now;
		good += change_arrives(&spinner);
	}
	must(s, "good", good, 20);
	must(s, "swapped", swapped > 0, 1);
	stop_process(s, &spinner);
}

SCENARIO(reader_and_reclaim, "SCM-2")
{
	const char *cgroup = own_cgroup();

	reclaim_under(s, cgroup, on_stamped_file(PROT_READ, false));
}

SCENARIO_IN_MEMORY(writer_and_reclaim, "SCM-2")
{
	const char *cgroup = own_cgroup();

	reclaim_under(s, cgroup, on_stamped_file(RW, true));
}

SCENARIO_IN_MEMORY(writer_of_a_view_and_reclaim, "SCM-2,SCM-15")
{
	const char *cgroup = own_cgroup();

	reclaim_under(s, cgroup, on_view(true));
}

static void migrate_under(struct side *s, struct spinner spinner)
{
	char *map = map_side(s, SIZE, RW, spinner.fd, 0);
	unsigned int good = 0, moved = 0;

	sum_all(map, SIZE);
	start_process(s, &spinner);
	for (int i = 0; i < 30; i++) {
		void *page = map + spinner.at;
		int node = i & 1, status = -99;

		(void)word(page);
		syscall(SYS_move_pages, 0, 1, &page, &node, &status,
			MPOL_MF_MOVE_ALL);
		moved += status == node;
		good += change_arrives(&spinner);
	}
	must(s, "good", good, 30);
	must(s, "moved", moved > 20, 1);
	stop_process(s, &spinner);
	relinks(s, "links", map, "11");
}

SCENARIO(reader_and_migration, "SCM-5")
{
	migrate_under(s, on_stamped_file(RW, false));
}

SCENARIO(writer_and_migration, "SCM-5")
{
	migrate_under(s, on_stamped_file(RW, true));
}

SCENARIO(writer_of_a_view_and_migration, "SCM-5,SCM-15")
{
	migrate_under(s, on_view(true));
}

SCENARIO(writer_and_collapse, "SCM-5")
{
	struct spinner spinner = on_stamped_file(RW, true);
	char *ordinary = map_ordinary(SIZE, RW, spinner.fd, 0);
	unsigned int good = 0;

	sum_all(ordinary, SIZE);
	start_process(s, &spinner);
	for (unsigned int i = 0; i < 5; i++) {
		madvise(ordinary, SIZE, MADV_COLLAPSE);
		good += writes_arrive(&spinner);
		/* small pages again */
		NEED(!punch_hole(spinner.fd, spinner.at + PAGE, PAGE));
		good += writes_arrive(&spinner);
	}
	must(s, "good", good, 10);
	stop_process(s, &spinner);
}

/* the thread loses its page and has to notice */
static void take_from_thread(struct side *s, bool writes,
			     void (*take)(char *map), const char *wanted)
{
	struct spinner spinner = on_stamped_file(RW, writes);

	start_thread(s, &spinner);
	take(spinner.map);
	wait_turns(spinner.window, SOON);
	must(s, "raised", spinner.window->raised, SIGSEGV);
	stop_thread(&spinner);
	if (wanted)
		relinks(s, "links", spinner.map, wanted);
}

static void protect(char *map)
{
	NEED(!mprotect(map, SIZE, PROT_READ));
}

SCENARIO(thread_and_mprotect, "SCM-15")
{
	take_from_thread(s, true, protect, "11");
}

static void protect_page(char *map)
{
	NEED(!mprotect(map + 3 * MIB, PAGE, PROT_READ));
}

SCENARIO(thread_and_mprotect_page, "SCM-6,SCM-15")
{
	take_from_thread(s, true, protect_page, "11");
}

static void unmap(char *map)
{
	NEED(!munmap(map, SIZE));
}

SCENARIO(thread_and_munmap, "SCM-6")
{
	take_from_thread(s, false, unmap, NULL);
}

static void unmap_page(char *map)
{
	NEED(!munmap(map + 3 * MIB, PAGE));
}

SCENARIO(thread_and_munmap_page, "SCM-6")
{
	take_from_thread(s, false, unmap_page, "10");
}

SCENARIO(thread_and_map_over, "SCM-6,SCM-16")
{
	struct spinner spinner = on_stamped_file(RW, false);
	char *over;

	start_thread(s, &spinner);
	over = mmap(spinner.map + RANGE, RANGE, RW,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	NEED(over == spinner.map + RANGE);
	must(s, "zero", sees(&spinner, 0), 1);
	set_word(spinner.map + spinner.at, 4711);
	must(s, "own", sees(&spinner, 4711), 1);
	stop_thread(&spinner);
	must(s, "file", get(spinner.fd, spinner.at), 3 * MIB / PAGE + 1);
}

SCENARIO(thread_and_mremap, "SCM-6")
{
	struct spinner spinner = on_stamped_file(RW, false);
	char *place;

	start_thread(s, &spinner);
	place = free_space(SIZE);
	NEED(mremap(spinner.map, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		    place) == place);
	wait_turns(spinner.window, SOON);
	must(s, "raised", spinner.window->raised, SIGSEGV);
	stop_thread(&spinner);
	must(s, "sum", sum_all(place, SIZE), stamp_sum(0, SIZE));
}

/* the range ends its link in one way or another, and goes on hearing of the file */
static void leave_and_punch(struct side *s, void (*leave)(char *map))
{
	struct spinner spinner = on_stamped_file(RW, false);

	start_thread(s, &spinner);
	leave(spinner.map);
	wait_turns(spinner.window, SOON);
	must(s, "good", punches_arrive(&spinner, 20), 20);
	must(s, "raised", spinner.window->raised, 0);
	stop_thread(&spinner);
	relinks(s, "links", spinner.map, "10");
}

static void leave_by_split(char *map)
{
	NEED(!munmap(map + 3 * MIB + 5 * PAGE, PAGE));
}

SCENARIO(thread_leaves_by_split, "SCM-6")
{
	leave_and_punch(s, leave_by_split);
}

static void leave_by_lock(char *map)
{
	NEED(!mlock(map + RANGE, RANGE));
}

SCENARIO(thread_leaves_by_mlock, "SCM-6")
{
	leave_and_punch(s, leave_by_lock);
}

static void drop(char *map)
{
	NEED(!madvise(map, SIZE, MADV_DONTNEED));
}

SCENARIO(thread_and_dontneed, "SCM-6")
{
	struct spinner spinner = on_stamped_file(RW, false);
	unsigned int good = 0;

	start_thread(s, &spinner);
	for (unsigned int i = 0; i < 20; i++) {
		drop(spinner.map);
		good += punches_arrive(&spinner, 1);
	}
	must(s, "good", good, 20);
	stop_thread(&spinner);
	relinks(s, "links", spinner.map, "11");
}

SCENARIO(reader_and_exits, "SCM-5")
{
	struct spinner spinner = on_stamped_file(RW, false);
	unsigned int good = 0;

	start_process(s, &spinner);
	for (unsigned int i = 0; i < 20; i++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (!pid) {
			char *own = map_side(s, SIZE, RW, spinner.fd, 0);

			set_word(own + spinner.at, 1000 + i);
			raise(SIGKILL);
		}
		wait_status(pid);
		good += sees(&spinner, 1000 + i);
		NEED(!punch_hole(spinner.fd, spinner.at, PAGE));
	}
	must(s, "good", good, 20);
	stop_process(s, &spinner);
}

/* function call interrupts of one CPU so far; shootdowns are such */
static int64_t shootdowns(int cpu)
{
	FILE *interrupts = fopen("/proc/interrupts", "re");
	int64_t count = -1, counts[2];
	char line[512];

	NEED(interrupts && cpu < 2);
	while (fgets(line, sizeof(line), interrupts))
		if (sscanf(line, " CAL: %ld %ld", &counts[0], &counts[1]) == 2)
			count = counts[cpu];
	fclose(interrupts);
	NEED(count >= 0);
	return count;
}

#define ROUNDS 200

/* interrupts of CPU 1 while this process, on CPU 0, punches a page that it has touched */
static int64_t interrupts_of_punches(int fd, char *map)
{
	int64_t before = shootdowns(1);

	for (unsigned int i = 0; i < ROUNDS; i++) {
		set_word(map + 3 * MIB + PAGE, i);
		NEED(!punch_hole(fd, 3 * MIB + PAGE, PAGE));
	}
	return shootdowns(1) - before;
}

SCENARIO_LINKED(interrupts_spare_strangers, "SCM-6,SCM-16")
{
	/* CPU 1 runs a process that links another file */
	struct spinner stranger = { .prot = RW, .at = 3 * MIB };
	int fd = stamped_file(SIZE);
	char *map;

	stranger.fd = stamped_file(SIZE);
	start_process(s, &stranger);
	/* after the fork: the stranger has not inherited it */
	map = map_side(s, SIZE, RW, fd, 0);
	sum_all(map, SIZE);
	must(s, "left_alone", interrupts_of_punches(fd, map) < ROUNDS / 4, 1);
	stop_process(s, &stranger);
}

SCENARIO_LINKED(interrupts_reach_the_linked, "SCM-6,SCM-16")
{
	struct spinner spinner = on_stamped_file(RW, false);
	char *map = map_side(s, SIZE, RW, spinner.fd, 0);
	int64_t alone, many;
	pid_t pids[16];

	sum_all(map, SIZE);
	start_process(s, &spinner);
	alone = interrupts_of_punches(spinner.fd, map);
	must(s, "interrupted", alone >= ROUNDS / 2, 1);
	/* sleepers that link the same file make no more of them */
	for (unsigned int i = 0; i < 16; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i]) {
			sum_all(map, SIZE);
			for (;;)
				pause();
		}
	}
	usleep(200000);
	many = interrupts_of_punches(spinner.fd, map);
	must(s, "sleepers_make_no_more", many <= alone + alone / 4 + 10, 1);
	for (unsigned int i = 0; i < 16; i++) {
		kill(pids[i], SIGKILL);
		wait_status(pids[i]);
	}
	stop_process(s, &spinner);
}

#define EXITS 1000

/* takes long, and files make no difference to it */
SCENARIO_ON(exits_interrupt_nobody, "SCM-5,SCM-6", LINKED_SIDE,
	    getenv("SCOME_FILES"))
{
	struct spinner spinner = on_stamped_file(RW, false);
	char *map = map_side(s, SIZE, RW, spinner.fd, 0);
	unsigned int linked = 0;
	int64_t before;

	start_process(s, &spinner);
	before = shootdowns(1);
	for (unsigned int i = 0; i < EXITS; i++) {
		pid_t pid = fork();

		NEED(pid >= 0);
		if (!pid) {
			bool right = word(map) == 1 &&
				     word(map + 2 * MIB) == 2 * MIB / PAGE + 1;

			_exit(right && is_linked(map) ? 0 : 1);
		}
		linked += wait_status(pid) == 0;
	}
	must(s, "linked", linked, EXITS);
	must(s, "left_alone", shootdowns(1) - before < EXITS / 4, 1);
	stop_process(s, &spinner);
}

TEST_HARNESS_MAIN
