// SPDX-License-Identifier: GPL-2.0
/*
 * bench-scome: what linked mappings cost beside ordinary ones.
 *
 * Every measurement alternates its sides in one run and prints a JSON object a
 * line, so that medians are taken where all samples are known.
 */
#include <argp.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counter.h"
#include "scome.h"

struct measurement {
	const char *name;
	void (*run)(const struct settings *settings);
};

static const struct measurement measurements[] = {
	{ "tables", measure_tables },
	{ "faults", measure_faults },
	{ "fork", measure_fork },
	{ "shootdown", measure_shootdown },
	{ "reclaim", measure_reclaim },
	{ "mprotect", measure_mprotect },
	{ 0 },
};

static struct settings settings = {
	.size = GIB,
	.processes = 2,
	.rounds = 5,
	.loops = 100,
};
static const struct measurement *chosen;

int64_t stamp(void)
{
	struct timespec time;

	if (settings.instructions)
		return counter_now();
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("there is no processor %d", cpu);
}

static const struct argp_option options[] = {
	{ "size", 's', "MIB", 0, "size of the file (1024)", 0 },
	{ "processes", 'p', "N", 0, "processes that map it (2)", 0 },
	{ "rounds", 'n', "N", 0, "rounds of each side (5)", 0 },
	{ "loops", 'l', "N", 0, "samples a round (100)", 0 },
	{ "instructions", 'i', NULL, 0,
	  "count instructions: the guest runs with --icount", 0 },
	{ "spin", 'x', NULL, 0,
	  "shootdown: a process writes to the page all the time", 0 },
	{ "hugetlb", 'h', NULL, 0,
	  "tables, faults: a side with pages of 2 MiB as well", 0 },
	{ "directory", 'd', "DIR", 0, "reclaim: of a file system on a disk",
	  0 },
	{ "cgroup", 'c', "DIR", 0, "reclaim: an empty control group", 0 },
	{ 0 }
};

static unsigned long number(const char *text, unsigned long least,
			    struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < least || value > 65536)
		argp_error(state, "'%s' is not a number from %lu to 65536",
			   text, least);
	return value;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 's':
		settings.size = number(argument, 2, state) * MIB;
		return 0;
	case 'p':
		settings.processes = number(argument, 2, state);
		return 0;
	case 'n':
		settings.rounds = number(argument, 1, state);
		return 0;
	case 'l':
		settings.loops = number(argument, 1, state);
		return 0;
	case 'i':
		settings.instructions = true;
		return 0;
	case 'x':
		settings.spin = true;
		return 0;
	case 'h':
		settings.hugetlb = true;
		return 0;
	case 'd':
		settings.directory = argument;
		return 0;
	case 'c':
		settings.cgroup = argument;
		return 0;
	case ARGP_KEY_ARG:
		for (chosen = measurements; chosen->name; chosen++)
			if (!strcmp(chosen->name, argument))
				return 0;
		argp_error(state, "there is no measurement '%s'", argument);
		return 0;
	case ARGP_KEY_END:
		if (!chosen)
			argp_error(state, "which measurement?");
		if (chosen->run == measure_reclaim &&
		    (!settings.directory || !settings.cgroup))
			argp_error(state,
				   "--directory and --cgroup are needed");
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "tables|faults|fork|shootdown|reclaim|mprotect",
		.doc = "Measure linked mappings beside ordinary ones.",
	};
	uint64_t empty, found;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (settings.instructions) {
		found = counter_check(&empty);
		if (found != COUNTER_INSTRUCTIONS)
			fail("%d instructions move the time stamp counter by %" PRIu64
			     ": it does not count them (scripts/vm --icount)",
			     COUNTER_INSTRUCTIONS, found);
	}
	chosen->run(&settings);
	return EXIT_SUCCESS;
}
