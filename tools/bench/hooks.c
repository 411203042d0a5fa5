// SPDX-License-Identifier: GPL-2.0
/*
 * bench-hooks: instructions that fork, exec, mmap, a minor fault and exit take.
 *
 * For a guest whose time stamp counter counts instructions (scripts/vm --icount):
 * the program proves that first and gives up otherwise. Nothing that is timed
 * sleeps with nothing else to run, or spends its time in string instructions
 * (boot with clearcpuid=erms,fsrm,fsrs). Prints a JSON object a line.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
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

#include "counter.h"

#define PAGE_BYTES 4096UL
#define AROUND_BYTES (64UL << 10)
#define REGION_BYTES (16UL << 20)
#define FORK_BYTES (2UL << 20)
#define TOUCHED_BYTES (2UL << 20)
#define BATCH 50

struct settings {
	unsigned int loops;
	const char *directory;
	const char *execute;
	const char *only;
};

/* the samples of one metric */
struct samples {
	const char *metric;
	uint64_t *value;
	size_t count;
	size_t room;
};

static struct settings settings = { .loops = 1000 };
static uint64_t empty; /* what two readings of the counter cost */

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	va_list arguments;
	int error = errno;

	va_start(arguments, format);
	fputs("bench-hooks: ", stderr);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	if (error)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
	exit(1);
}

static inline void touch_read(const volatile char *page)
{
	(void)*page;
}

static inline void touch_write(volatile char *page)
{
	*page = 1;
}

static void *check_map(void *address)
{
	if (address == MAP_FAILED)
		fail("mmap");
	return address;
}

static void begin(struct samples *samples, const char *metric, size_t room)
{
	samples->metric = metric;
	samples->count = 0;
	samples->room = room;
	samples->value = malloc(room * sizeof(*samples->value));
	if (!samples->value)
		fail("no memory for %zu samples", room);
	/* no fault of its own while something is timed */
	memset(samples->value, 0xff, room * sizeof(*samples->value));
}

static inline void add(struct samples *samples, uint64_t start, uint64_t end)
{
	if (samples->count < samples->room)
		samples->value[samples->count++] = end - start - empty;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void finish(struct samples *samples)
{
	uint64_t sum = 0;
	size_t i;

	if (samples->count < 1000)
		fail("%s: %zu samples are too few", samples->metric,
		     samples->count);
	for (i = 0; i < samples->count; i++)
		sum += samples->value[i];
	qsort(samples->value, samples->count, sizeof(*samples->value), compare);
	printf("{\"metric\": \"%s\", \"loops\": %zu, \"mean\": %.3f, \"median\": %" PRIu64
	       ", \"min\": %" PRIu64 ", \"max\": %" PRIu64 "}\n",
	       samples->metric, samples->count, (double)sum / samples->count,
	       samples->value[samples->count / 2], samples->value[0],
	       samples->value[samples->count - 1]);
	fflush(stdout);
	free(samples->value);
}

/* The counter must go up by one for each instruction, no more and no less. */
static void check_counter(void)
{
	uint64_t found = counter_check(&empty);

	errno = 0;
	if (found != COUNTER_INSTRUCTIONS)
		fail("%d instructions move the time stamp counter by %" PRIu64
		     ": it does not count them (scripts/vm --icount)",
		     COUNTER_INSTRUCTIONS, found);
}

static void give_way(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	nanosleep(&pause, NULL);
}

/* a memory file with all its pages */
static int memory_file(size_t size)
{
	int fd = memfd_create("bench-hooks", 0);
	char *map;
	size_t i;

	if (fd < 0 || ftruncate(fd, size))
		fail("memfd");
	map = check_map(
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	for (i = 0; i < size; i += PAGE_BYTES)
		touch_write(map + i);
	munmap(map, size);
	return fd;
}

/* an ordinary file with all its pages in memory */
static int disk_file(size_t size)
{
	char path[4096], block[65536];
	size_t done;
	int fd;

	snprintf(path, sizeof(path), "%s/bench-hooks.XXXXXX",
		 settings.directory);
	fd = mkstemp(path);
	if (fd < 0)
		fail("%s", path);
	unlink(path);
	memset(block, 1, sizeof(block));
	for (done = 0; done < size; done += sizeof(block))
		if (write(fd, block, sizeof(block)) != sizeof(block))
			fail("%s", path);
	return fd;
}

/* mmap and munmap of a range that nobody touches */
static void measure_map(const char *metric, size_t size, int flags, int fd)
{
	unsigned int i, loops = settings.loops * 10;
	struct samples samples;
	uint64_t start, end;
	void *map;

	begin(&samples, metric, loops);
	for (i = 0; i < loops; i++) {
		start = counter_now();
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
		munmap(map, size);
		end = counter_now();
		check_map(map);
		add(&samples, start, end);
	}
	finish(&samples);
}

/* munmap of a range whose pages were touched */
static void measure_unmap(const char *metric, int flags, int fd)
{
	struct samples samples;
	uint64_t start, end;
	unsigned int i;
	size_t at;
	char *map;

	begin(&samples, metric, settings.loops);
	for (i = 0; i < settings.loops; i++) {
		map = check_map(mmap(NULL, TOUCHED_BYTES,
				     PROT_READ | PROT_WRITE, flags, fd, 0));
		madvise(map, TOUCHED_BYTES, MADV_NOHUGEPAGE);
		for (at = 0; at < TOUCHED_BYTES; at += PAGE_BYTES)
			touch_write(map + at);
		start = counter_now();
		munmap(map, TOUCHED_BYTES);
		end = counter_now();
		add(&samples, start, end);
	}
	finish(&samples);
}

/* minor faults, one every step bytes, in a mapping that is empty in each round */
static void measure_fault(const char *metric, int flags, int fd, size_t step,
			  bool write)
{
	size_t at, loops = settings.loops * 20UL;
	struct samples samples;
	uint64_t start, end;
	char *map;

	begin(&samples, metric, loops);
	while (samples.count < loops) {
		map = check_map(mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
				     flags, fd, 0));
		madvise(map, REGION_BYTES, MADV_NOHUGEPAGE);
		for (at = 0; at < REGION_BYTES; at += step) {
			if (write) {
				start = counter_now();
				touch_write(map + at);
				end = counter_now();
			} else {
				start = counter_now();
				touch_read(map + at);
				end = counter_now();
			}
			add(&samples, start, end);
		}
		munmap(map, REGION_BYTES);
	}
	finish(&samples);
}

/* fork, _exit of the child and wait, with everything that happens meanwhile */
static void measure_fork_exit_wait(const char *metric)
{
	struct samples samples;
	uint64_t start, end;
	unsigned int i;
	pid_t pid;

	begin(&samples, metric, settings.loops);
	for (i = 0; i < settings.loops; i++) {
		start = counter_now();
		pid = fork();
		if (!pid)
			_exit(0);
		if (waitpid(pid, NULL, 0) != pid)
			fail("waitpid");
		end = counter_now();
		add(&samples, start, end);
	}
	finish(&samples);
}

/*
 * fork alone and exit alone. In the first-in first-out class the child starts
 * when the parent sleeps in waitpid, always; between batches all others run.
 */
static void measure_fork_and_exit(const char *fork_metric,
				  const char *exit_metric)
{
	struct sched_param parameters = { .sched_priority = 10 };
	struct samples forks, exits;
	uint64_t start, end;
	volatile uint64_t *child;
	unsigned int i;
	pid_t pid;

	child = check_map(mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	*child = 0;
	begin(&forks, fork_metric, settings.loops);
	begin(&exits, exit_metric, settings.loops);
	if (sched_setscheduler(0, SCHED_FIFO, &parameters))
		fail("sched_setscheduler");
	for (i = 0; i < settings.loops; i++) {
		if (!(i % BATCH))
			give_way();
		*child = 0;
		start = counter_now();
		pid = fork();
		end = counter_now();
		if (!pid) {
			*child = 1;
			*child = counter_now();
			_exit(0);
		}
		if (*child) {
			errno = 0;
			fail("the child ran before its parent slept");
		}
		add(&forks, start, end);
		if (waitpid(pid, NULL, 0) != pid)
			fail("waitpid");
		end = counter_now();
		add(&exits, *child, end);
	}
	parameters.sched_priority = 0;
	if (sched_setscheduler(0, SCHED_OTHER, &parameters))
		fail("sched_setscheduler");
	munmap((void *)child, PAGE_BYTES);
	finish(&forks);
	finish(&exits);
}

/* execve to the first instruction of the new program, which does it again */
static void measure_exec(const char *metric)
{
	char rounds[16], output[16];
	struct samples samples;
	uint64_t times[2];
	unsigned int i;
	int status, fd;
	pid_t pid;

	fd = memfd_create("bench-hooks", 0);
	if (fd < 0)
		fail("memfd");
	snprintf(rounds, sizeof(rounds), "%u", settings.loops);
	snprintf(output, sizeof(output), "%d", fd);
	pid = fork();
	if (!pid) {
		execl(settings.execute, settings.execute, rounds, output, NULL);
		fail("%s", settings.execute);
	}
	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	errno = 0;
	if (status)
		fail("%s ends with status %#x", settings.execute, status);
	begin(&samples, metric, settings.loops);
	for (i = 0; i < settings.loops; i++) {
		if (pread(fd, times, sizeof(times), i * sizeof(times)) !=
		    sizeof(times))
			fail("%s did not run %u times", settings.execute,
			     settings.loops);
		add(&samples, times[0], times[1]);
	}
	close(fd);
	finish(&samples);
}

static bool wanted(const char *part)
{
	return !settings.only || !strcmp(settings.only, part);
}

static void measure_forks(void)
{
	char *anon, *shared;
	size_t i;

	measure_fork_exit_wait("fork_exit_wait");
	measure_fork_and_exit("fork", "exit");

	anon = check_map(mmap(NULL, FORK_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	madvise(anon, FORK_BYTES, MADV_NOHUGEPAGE);
	shared = check_map(mmap(NULL, FORK_BYTES, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (i = 0; i < FORK_BYTES; i += PAGE_BYTES) {
		touch_write(anon + i);
		touch_write(shared + i);
	}
	measure_fork_exit_wait("fork_exit_wait_4m");
	measure_fork_and_exit("fork_4m", "exit_4m");
	munmap(anon, FORK_BYTES);
	munmap(shared, FORK_BYTES);
}

static void measure_maps(int memory, int disk)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;

	measure_map("mmap_munmap_anon", TOUCHED_BYTES, anon, -1);
	measure_map("mmap_munmap_shmem", TOUCHED_BYTES, MAP_SHARED, memory);
	measure_map("mmap_munmap_file", TOUCHED_BYTES, MAP_PRIVATE, disk);
	measure_unmap("munmap_touched_anon", anon, -1);
	measure_unmap("munmap_touched_shmem", MAP_SHARED, memory);
	measure_unmap("munmap_touched_file", MAP_PRIVATE, disk);
}

static void measure_faults(int memory, int disk)
{
	const int anon = MAP_PRIVATE | MAP_ANONYMOUS;

	measure_fault("fault_anon_read", anon, -1, PAGE_BYTES, false);
	measure_fault("fault_anon_write", anon, -1, PAGE_BYTES, true);
	measure_fault("fault_shmem_read", MAP_SHARED, memory, AROUND_BYTES,
		      false);
	measure_fault("fault_shmem_write", MAP_SHARED, memory, PAGE_BYTES,
		      true);
	measure_fault("fault_file_read", MAP_PRIVATE, disk, AROUND_BYTES,
		      false);
	measure_fault("fault_file_write", MAP_PRIVATE, disk, PAGE_BYTES, true);
}

static const struct argp_option options[] = {
	{ "loops", 'n', "N", 0,
	  "operations of the dearest kind, at least 1000 (1000)", 0 },
	{ "directory", 'd', "DIR", 0, "put the ordinary file there (a ramfs)",
	  0 },
	{ "exec", 'e', "FILE", 0,
	  "bench-hooks-exec, on a file system that does not sleep", 0 },
	{ "only", 'o', "PART", 0, "one part: fork, exec, map or fault", 0 },
	{ 0 }
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	char *end;

	switch (key) {
	case 'n':
		settings.loops = strtoul(argument, &end, 10);
		if (*end || settings.loops < 1000 || settings.loops > 100000)
			argp_error(state,
				   "'%s' is not a number from 1000 to 100000",
				   argument);
		return 0;
	case 'd':
		settings.directory = argument;
		return 0;
	case 'e':
		settings.execute = argument;
		return 0;
	case 'o':
		if (strcmp(argument, "fork") && strcmp(argument, "exec") &&
		    strcmp(argument, "map") && strcmp(argument, "fault"))
			argp_error(state, "there is no part '%s'", argument);
		settings.only = argument;
		return 0;
	case ARGP_KEY_END:
		if (!settings.directory || !settings.execute)
			argp_error(state, "--directory and --exec are needed");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Count the instructions of fork, exec, mmap, minor faults and exit.",
	};
	int memory, disk;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	check_counter();
	memory = memory_file(REGION_BYTES);
	disk = disk_file(REGION_BYTES);
	if (wanted("map"))
		measure_maps(memory, disk);
	if (wanted("fault"))
		measure_faults(memory, disk);
	if (wanted("exec"))
		measure_exec("exec");
	if (wanted("fork"))
		measure_forks();
	return 0;
}
