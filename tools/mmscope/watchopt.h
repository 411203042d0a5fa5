/* SPDX-License-Identifier: GPL-2.0 */
/* The options that every verb has which watches. */
#ifndef MMSCOPE_WATCHOPT_H
#define MMSCOPE_WATCHOPT_H

#include <argp.h>
#include <stdbool.h>

#define DEFAULT_ENTRIES 10240

/**
 * struct watch_options - what the user asked of the common options
 * @interval: seconds between reports
 * @count: of reports, 0 for no end
 * @rows: at most, 0 for all, -1 when not given
 * @entries: room in the map of rows
 * @pin_dir: where, NULL when not given
 * @arguments: positional ones so far
 */
struct watch_options {
	double interval;
	long count;
	long rows;
	long entries;
	bool timestamp;
	bool json;
	bool pin;
	bool keep;
	bool dry_run;
	bool verbose;
	const char *pin_dir;
	int arguments;
};

#define WATCH_DEFAULTS                                  \
	{                                               \
		.interval = 1, .rows = -1, .pin = true, \
		.entries = DEFAULT_ENTRIES              \
	}

/* The children of a verb's argp; the input of the first is a struct watch_options. */
extern const struct argp_child watch_children[];

/** watch_number() - a number in bounds, or the end with a usage error */
long watch_number(struct argp_state *state, const char *what, const char *text,
		  long low, long high);

#endif
