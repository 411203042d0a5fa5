/* SPDX-License-Identifier: GPL-2.0 */
/* What the reports of all verbs have in common, as text and as JSON. */
#ifndef MMSCOPE_REPORT_H
#define MMSCOPE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "screen.h"
#include "watchopt.h"

#define REPORT_WIDTH 78
#define REPORT_ROWS 20

/**
 * struct report - what a report is of, and where it goes
 * @opt: the common options
 * @screen: for text
 * @summary: it is of the whole run, not of an interval
 * @seconds: how long that was
 * @missed: events that met a program already running
 */
struct report {
	const struct watch_options *opt;
	struct screen *screen;
	bool summary;
	double seconds;
	__u64 missed;
};

/** report_begin() - the first lines of text */
void report_begin(const struct report *r);

/** report_end() - show the text; false with errno set when that fails */
bool report_end(const struct report *r);

/** report_time() - "HH:MM:SS " for the heading of an interval, or "" */
const char *report_time(const struct report *r);

/** report_per() - "/s" where report_number() is a rate, or "" */
const char *report_per(const struct report *r);

/**
 * report_number() - a count in the summary, a rate in an interval
 *
 * Return: a text that lives until the eighth call from now.
 */
const char *report_number(const struct report *r, __u64 n, int width);

/** report_missed() - a line about what was not counted, if anything */
void report_missed(const struct report *r);

/**
 * report_rows() - how many of @count rows have room in the text
 * @others: lines that shall follow the rows
 */
size_t report_rows(const struct report *r, size_t count, int others);

/**
 * report_left_out() - a line about the rows that had no room, if any
 * @width: of the first column
 */
void report_left_out(const struct report *r, int width, size_t left);

/** report_json_begin() - the first members of the object, and a comma */
void report_json_begin(const struct report *r, __u64 lost);

/** report_json_rows() - how many of @count rows belong into JSON */
size_t report_json_rows(const struct report *r, size_t count);

/** report_flush() - false with errno set when standard output is broken */
bool report_flush(void);

#endif
