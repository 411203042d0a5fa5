// SPDX-License-Identifier: GPL-2.0
/*
 * demo-touch: what one memory file costs when many processes map and touch it.
 *
 * Ordinary and linked mappings alternate in one run. Every round starts with
 * a fresh file and fresh processes; the samples go to standard output as a JSON
 * object a line, so that the median is taken where all of them are known.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/scome.h"

#define PAGE_BYTES 4096UL
#define TABLE_BYTES 4096UL
#define PMD_TABLE_SPAN (1UL << 30)
#define PUD_TABLE_SPAN (1UL << 39)

struct settings {
	size_t size;
	unsigned int processes;
	unsigned int pairs;
	const char *cgroup;
};

/* what a process tells after its touch */
struct report {
	int64_t own_bytes;
	int64_t faults;
	int64_t touch_ns;
	int64_t upper_tables;
	int64_t linked_bytes;
};

struct process {
	pid_t pid;
	int command;
	int answer;
};

static const char *argp_name = "demo-touch";

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", argp_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* a whole small file; the length, or -1 */
static ssize_t slurp(const char *path, char *buffer, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (used < size - 1 &&
	       (got = read(fd, buffer + used, size - 1 - used)) > 0)
		used += got;
	close(fd);
	buffer[used] = '\0';
	return used;
}

static int64_t number_in(const char *path)
{
	char text[64];

	if (slurp(path, text, sizeof(text)) < 0)
		return -1;
	return strtoll(text, NULL, 10);
}

/* the kB value of a line of a /proc file, in bytes; 0 when there is no such line */
static int64_t kb_line(const char *path, const char *name)
{
	static char text[16384];
	const char *line;

	if (slurp(path, text, sizeof(text)) < 0)
		fail("%s: %s", path, strerror(errno));
	line = strstr(text, name);
	if (!line)
		return 0;
	return strtoll(line + strlen(name), NULL, 10) * 1024;
}

/* whether any mapping in this text of /proc/self/maps lies in [start, end) */
static bool occupied(const char *maps, uintptr_t start, uintptr_t end)
{
	while (*maps) {
		char *next;
		uintptr_t low = strtoull(maps, &next, 16);
		uintptr_t high = strtoull(next + 1, NULL, 16);

		if (low < end && high > start)
			return true;
		maps = strchr(maps, '\n');
		if (!maps)
			break;
		maps++;
	}
	return false;
}

/* upper tables which the range needs and the process did not have before */
static int64_t new_upper_tables(const char *maps, uintptr_t start, size_t size)
{
	static const uintptr_t spans[] = { PMD_TABLE_SPAN, PUD_TABLE_SPAN };
	int64_t tables = 0;

	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		uintptr_t span = spans[i];

		for (uintptr_t at = start & -span; at < start + size;
		     at += span)
			tables += !occupied(maps, at, at + span);
	}
	return tables;
}

static void touch_all(const volatile char *map, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE_BYTES)
		(void)map[at];
}

/*
 * Every page differs, so that swap has to keep each. Written and not through a
 * mapping: a linked table would show the later processes entries that are dirty, and
 * an ordinary one of their own entries that are clean, which an emulator fills its
 * TLB from faster.
 */
static void fill(int fd, size_t size)
{
	static uint64_t chunk[16 * PAGE_BYTES / sizeof(uint64_t)];

	for (size_t at = 0; at < size; at += sizeof(chunk)) {
		for (size_t page = 0; page < sizeof(chunk);
		     page += PAGE_BYTES) {
			uint64_t *words = chunk + page / sizeof(*chunk);

			words[0] = at + page;
			words[1] = ~words[0];
		}
		if (pwrite(fd, chunk, sizeof(chunk), at) !=
		    (ssize_t)sizeof(chunk))
			fail("the file cannot be filled: %s", strerror(errno));
	}
}

static int64_t minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static void join_cgroup(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

static void __attribute__((noreturn))
child(const struct settings *settings, bool linked, bool first, int fd,
      int command, int answer)
{
	static char maps[65536];
	struct report report = { 0 };
	int64_t faults, own, start;
	char byte;
	char *map;

	if (settings->cgroup)
		join_cgroup(settings->cgroup);
	if (first)
		fill(fd, settings->size);
	/* everything the measured part needs is in place before it */
	kb_line("/proc/self/status", "VmPTE:");
	if (slurp("/proc/self/maps", maps, sizeof(maps)) < 0)
		fail("/proc/self/maps: %s", strerror(errno));
	minor_faults();
	now_ns();
	own = kb_line("/proc/self/status", "VmPTE:");
	if (read(command, &byte, 1) != 1)
		_exit(1);

	faults = minor_faults();
	start = now_ns();
	if (linked)
		map = scome_map(NULL, settings->size, PROT_READ | PROT_WRITE, 0,
				fd, 0);
	else
		map = mmap(NULL, settings->size, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	touch_all(map, settings->size);
	report.touch_ns = now_ns() - start;
	report.faults = minor_faults() - faults;
	report.own_bytes = kb_line("/proc/self/status", "VmPTE:") - own;
	report.linked_bytes = kb_line("/proc/self/status", "VmSharedPT:");
	report.upper_tables =
		new_upper_tables(maps, (uintptr_t)map, settings->size);
	if (write(answer, &report, sizeof(report)) != sizeof(report))
		_exit(1);

	while (read(command, &byte, 1) == 1) {
		start = now_ns();
		touch_all(map, settings->size);
		start = now_ns() - start;
		if (write(answer, &start, sizeof(start)) != sizeof(start))
			break;
	}
	_exit(1);
}

static void start_processes(const struct settings *settings, bool linked,
			    int fd, struct process *processes)
{
	for (unsigned int i = 0; i < settings->processes; i++) {
		int command[2], answer[2];

		if (pipe2(command, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
			fail("pipe: %s", strerror(errno));
		processes[i].pid = fork();
		if (processes[i].pid < 0)
			fail("fork: %s", strerror(errno));
		if (!processes[i].pid) {
			for (unsigned int j = 0; j < i; j++) {
				close(processes[j].command);
				close(processes[j].answer);
			}
			close(command[1]);
			close(answer[0]);
			child(settings, linked, i == 0, fd, command[0],
			      answer[1]);
		}
		close(command[0]);
		close(answer[1]);
		processes[i].command = command[1];
		processes[i].answer = answer[0];
	}
}

static void order(const struct process *process)
{
	if (write(process->command, "g", 1) != 1)
		fail("a process of the round is gone");
}

static void collect(const struct process *process, void *answer, size_t size)
{
	if (read(process->answer, answer, size) != (ssize_t)size)
		fail("process %d did not answer", process->pid);
}

/* time to reclaim so many bytes of the cgroup; *done is what it really gave back */
static int64_t reclaim(const char *cgroup, size_t bytes, int64_t *done)
{
	char path[512], text[32];
	int64_t before, start, elapsed;
	int fd, length;

	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	before = number_in(path);
	snprintf(path, sizeof(path), "%s/memory.reclaim", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	length = snprintf(text, sizeof(text), "%zu", bytes);
	start = now_ns();
	if (write(fd, text, length) != length && errno != EAGAIN)
		fail("%s: %s", path, strerror(errno));
	elapsed = now_ns() - start;
	close(fd);
	snprintf(path, sizeof(path), "%s/memory.current", cgroup);
	*done = before - number_in(path);
	if (*done < (int64_t)bytes * 9 / 10)
		fail("only %" PRId64
		     " of %zu bytes could be reclaimed (is there swap?)",
		     *done, bytes);
	return elapsed;
}

/*
 * Touch what is mapped already: no fault, but a TLB to fill, which in an emulator
 * takes longer than on a processor. Other processes have run since the first touch,
 * and their page tables have been loaded: the TLB is empty.
 */
static void touch_again(const struct settings *settings,
			const struct process *processes)
{
	unsigned int some = settings->processes < 9 ? settings->processes : 9;
	int64_t ns;

	printf(", \"touch_again_ns\": [");
	for (unsigned int i = 1; i < some; i++) {
		order(&processes[i]);
		collect(&processes[i], &ns, sizeof(ns));
		printf("%s%" PRId64, i > 1 ? ", " : "", ns);
	}
	printf("]");
}

static void round_of(const struct settings *settings, unsigned int number,
		     bool linked)
{
	struct process *processes =
		calloc(settings->processes, sizeof(*processes));
	int64_t *faults = calloc(settings->processes, sizeof(*faults));
	int64_t own = 0, upper = 0, tables, all_tables, reclaimed = 0,
		reclaim_ns = 0;
	int64_t linked_bytes = 0, start, exit_ns, floor;
	struct report report;
	int64_t ns;
	int fd;

	if (!processes || !faults)
		fail("out of memory");
	fd = memfd_create("demo", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, settings->size))
		fail("memfd: %s", strerror(errno));
	tables = number_in("/sys/kernel/mm/scome/tables");
	start_processes(settings, linked, fd, processes);
	all_tables = kb_line("/proc/meminfo", "PageTables:");

	printf("{\"round\": %u, \"linked\": %s, \"touch_ns\": [", number,
	       linked ? "true" : "false");
	for (unsigned int i = 0; i < settings->processes; i++) {
		order(&processes[i]);
		collect(&processes[i], &report, sizeof(report));
		own += report.own_bytes;
		upper += report.upper_tables;
		linked_bytes += report.linked_bytes;
		/* the first one finds nothing mapped: it pays for the others */
		if (i) {
			printf("%s%" PRId64, i > 1 ? ", " : "",
			       report.touch_ns);
			faults[i - 1] = report.faults;
		}
	}
	printf("], \"minor_faults\": [");
	for (unsigned int i = 1; i < settings->processes; i++)
		printf("%s%" PRId64, i > 1 ? ", " : "", faults[i - 1]);
	printf("]");
	touch_again(settings, processes);
	all_tables = kb_line("/proc/meminfo", "PageTables:") - all_tables;
	if (tables >= 0) {
		tables = number_in("/sys/kernel/mm/scome/tables") - tables;
		own += tables * (int64_t)TABLE_BYTES;
	} else {
		tables = 0;
	}
	if (linked && (!tables || !linked_bytes))
		fail("the linked round made no links");
	if (!linked && (tables || linked_bytes))
		fail("the ordinary round made links");
	if (settings->cgroup) {
		reclaim_ns = reclaim(settings->cgroup, settings->size / 2,
				     &reclaimed);
		/*
		 * Once more, so that the exit has everything to undo: the first
		 * brings everything back in, the others all at once.
		 */
		order(&processes[0]);
		collect(&processes[0], &ns, sizeof(ns));
		for (unsigned int i = 1; i < settings->processes; i++)
			order(&processes[i]);
		for (unsigned int i = 1; i < settings->processes; i++)
			collect(&processes[i], &ns, sizeof(ns));
	}

	start = now_ns();
	for (unsigned int i = 0; i < settings->processes; i++)
		kill(processes[i].pid, SIGKILL);
	for (unsigned int i = 0; i < settings->processes; i++)
		waitpid(processes[i].pid, NULL, 0);
	exit_ns = (now_ns() - start) / settings->processes;

	floor = settings->size / SCOME_RANGE_SIZE * TABLE_BYTES +
		upper * TABLE_BYTES;
	printf(", \"pagetable_bytes\": %" PRId64 ", \"floor_bytes\": %" PRId64
	       ", \"meminfo_bytes\": %" PRId64 ", \"tables\": %" PRId64
	       ", \"linked_bytes\": %" PRId64 ", \"exit_ns\": %" PRId64,
	       own, floor, all_tables, tables, linked_bytes, exit_ns);
	if (settings->cgroup)
		printf(", \"reclaim_ns\": %" PRId64
		       ", \"reclaimed_bytes\": %" PRId64,
		       reclaim_ns, reclaimed);
	printf("}\n");
	fflush(stdout);
	for (unsigned int i = 0; i < settings->processes; i++) {
		close(processes[i].command);
		close(processes[i].answer);
	}
	close(fd);
	free(processes);
	free(faults);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct settings *settings = state->input;
	char *end = NULL;

	switch (key) {
	case 's':
		settings->size = strtoul(arg, &end, 10) << 20;
		if (!settings->size || settings->size % SCOME_RANGE_SIZE)
			argp_error(state,
				   "the size must be a multiple of 2 MiB");
		break;
	case 'p':
		settings->processes = strtoul(arg, &end, 10);
		if (settings->processes < 2)
			argp_error(state, "at least two processes");
		break;
	case 'n':
		settings->pairs = strtoul(arg, &end, 10);
		break;
	case 'c':
		settings->cgroup = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (end && *end)
		argp_error(state, "'%s' is not a number", arg);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "size", 's', "MIB", 0, "size of the file (256)", 0 },
		{ "processes", 'p', "N", 0,
		  "processes that map and touch it (64)", 0 },
		{ "pairs", 'n', "N", 0, "rounds of each kind (5)", 0 },
		{ "cgroup", 'c', "DIR", 0,
		  "reclaim half of the file in this cgroup", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Measure what one memory file costs when many processes map it.",
	};
	struct settings settings = { .size = 256UL << 20,
				     .processes = 64,
				     .pairs = 5 };
	bool feature;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &settings);
	feature = number_in("/sys/kernel/mm/scome/units") >= 0;
	for (unsigned int i = 0; i < settings.pairs; i++) {
		for (unsigned int side = 0; side < 2; side++) {
			/* the order alternates from pair to pair */
			bool linked = (side ^ i) & 1;

			if (linked && !feature)
				continue;
			fprintf(stderr, "%s: pair %u of %u, %s mapping\n",
				argp_name, i + 1, settings.pairs,
				linked ? "linked" : "ordinary");
			round_of(&settings, i, linked);
		}
	}
	return EXIT_SUCCESS;
}
