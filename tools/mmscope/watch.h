/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every verb that watches has in common: options, the interval, screen or
 * lines or JSON, pinned maps, and how it begins and ends.
 */
#ifndef MMSCOPE_WATCH_H
#define MMSCOPE_WATCH_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

#include "pins.h"
#include "screen.h"

struct bpf_map;
struct bpf_object;

#define WATCH_WIDTH 78
#define WATCH_ROWS 20

/**
 * struct watch_options - what the user asked of the common options
 * @interval: seconds between reports
 * @count: of reports, 0 for no end
 * @rows: at most, 0 for all, -1 when not given
 * @entries: room in the map, 0 when not given
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

#define WATCH_DEFAULTS                                 \
	{                                              \
		.interval = 1, .rows = -1, .pin = true \
	}

/* A child of a verb's argp; its input is a struct watch_options. */
extern const struct argp watch_argp;

/** watch_number() - a number in bounds, or the end with a usage error */
long watch_number(struct argp_state *state, const char *what, const char *text,
		  long low, long high);

/**
 * struct watch - a verb while it runs
 * @opt: the common options
 * @pins: its pinned maps
 * @screen: where text goes
 * @report: called at each interval; @summary: called at the end. Both return
 *	    enum mmscope_exit and clear *@written when the output failed
 * @arg: for both
 */
struct watch {
	const struct watch_options *opt;
	struct pins pins;
	struct screen screen;
	int (*report)(struct watch *w, bool *written);
	int (*summary)(struct watch *w, bool *written);
	void *arg;
};

/** watch_begin() - signals and messages, before anything else is done */
void watch_begin(const struct watch_options *opt);

/** watch_loaded() - what a negative result of loading a skeleton means */
int watch_loaded(int err);

/** watch_run() - reports until it is enough, then the summary */
int watch_run(struct watch *w);

/** watch_dry_run() - print what a skeleton that is open would load */
void watch_dry_run(const struct watch_options *opt, struct bpf_object *obj);

/** watch_rows() - how many of @count rows to show in JSON */
size_t watch_rows(const struct watch_options *opt, size_t count);

/** watch_screen_rows() - how many of @count rows to show as text
 * @others: lines that shall follow the rows
 */
size_t watch_screen_rows(struct watch *w, size_t count, int others);

/** watch_time() - "HH:MM:SS ", or "" without --timestamp */
const char *watch_time(const struct watch_options *opt);

/** watch_utc() - the time for JSON */
const char *watch_utc(void);

/** watch_flush() - false with errno set when standard output is broken */
bool watch_flush(void);

/** watch_clock_ns() - a clock that only goes forward */
__u64 watch_clock_ns(void);

/** watch_missed() - events that met a program of @obj already running */
__u64 watch_missed(struct bpf_object *obj);

#endif
