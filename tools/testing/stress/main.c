// SPDX-License-Identifier: GPL-2.0
/* The stress test's options, its beginning and its end. */
#include <getopt.h>
#include <sys/random.h>

#include "stress.h"

static const char usage_text[] =
	"usage: stress [--seed N] [--seconds N] [--processes N] [--only OPERATION,...]\n"
	"Processes map, protect, change and reclaim the same files at once, linked and\n"
	"ordinary, and compare each access with a model. Prints TAP, and how often each\n"
	"operation was done. It needs root and changes settings of the whole machine:\n"
	"it is for a guest (scripts/stress starts one).\n"
	"\n"
	"  --seed N       choices of each process (default: a random number, printed)\n"
	"  --seconds N    how long (20)\n"
	"  --processes N  how many, 64 at most (32)\n"
	"  --only LIST    only these operations; 'map' is needed by most\n"
	"  --list         print the operations\n"
	"\n"
	"With the same seed each process makes the same choices; when it makes them,\n"
	"and when it is killed, is up to the machine.\n"
	"Exit status: 0 all is well, 1 a check failed, 2 wrong use.\n";

static void wrong(const char *what, const char *value)
{
	fprintf(stderr, "stress: %s '%s' (--help tells more)\n", what, value);
	exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (!*text || *end || value < least || value > most)
		wrong("not a number that can be used:", text);
	return value;
}

static void enable(const char *list)
{
	char *names = strdup(list), *name, *rest = names;

	while ((name = strsep(&rest, ","))) {
		unsigned int i = 0;

		while (i < operation_count && strcmp(operation[i].name, name))
			i++;
		if (i == operation_count)
			wrong("there is no operation", name);
		control->enabled[i] = true;
	}
	free(names);
}

/* where memory.reclaim is; empty in the root group */
static void find_cgroup(void)
{
	char line[200] = "";
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (file && fgets(line, sizeof(line), file) &&
	    !strncmp(line, "0::/", 4)) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(control->cgroup, sizeof(control->cgroup),
			 "/sys/fs/cgroup%s/memory.reclaim", line + 3);
	}
	if (file)
		fclose(file);
	if (access(control->cgroup, W_OK))
		control->cgroup[0] = '\0';
}

static int run(uint64_t seed, unsigned int seconds, unsigned int processes,
	       const char *only)
{
	struct baseline before;
	double started;
	int key;

	printf("# stress: seed %lu, %u processes, %u s\n", seed, processes,
	       seconds);
	fflush(stdout);
	baseline_take(&before);
	control_create(processes);
	control->seed = seed;
	control->seconds = seconds;
	control->have_scome = !access("/sys/kernel/mm/scome/units", R_OK);
	key = pkey_alloc(0, 0);
	control->have_keys = key > 0;
	pkey_free(key);
	find_cgroup();
	for (unsigned int i = 0; !only && i < operation_count; i++)
		control->enabled[i] = true;
	if (only)
		enable(only);
	if (!control->have_scome)
		printf("# this kernel has no scome: all mappings are ordinary\n");
	files_create(control);
	started = now();
	supervise();
	return verdict(&before, now() - started);
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ "only", required_argument, NULL, 'o' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ "go-on", required_argument, NULL, 'g' },
		{}
	};
	unsigned int seconds = 20, processes = 32, worker, incarnation;
	const char *only = NULL;
	int option, fd;
	uint64_t seed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	operations_collect();
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return 1;
	seed %= 1000000000;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = number(optarg, 0, UINT64_MAX);
			break;
		case 't':
			seconds = number(optarg, 1, 86400);
			break;
		case 'p':
			processes = number(optarg, 1, MAX_WORKERS);
			break;
		case 'o':
			only = optarg;
			break;
		case 'l':
			for (unsigned int i = 0; i < operation_count; i++)
				puts(operation[i].name);
			return 0;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'g':
			/* a worker that has executed this program again */
			if (sscanf(optarg, "%u,%u,%d", &worker, &incarnation,
				   &fd) != 3)
				return 2;
			control_attach(fd);
			worker_run(worker, incarnation);
		default:
			return 2;
		}
	}
	if (optind < argc)
		wrong("unexpected argument", argv[optind]);
	return run(seed, seconds, processes, only);
}
