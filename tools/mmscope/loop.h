/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The event loop of every verb that watches: reports at an interval, keys,
 * signals and the terminal; then the summary. No BPF here.
 */
#ifndef MMSCOPE_LOOP_H
#define MMSCOPE_LOOP_H

#include <stdbool.h>

#include "screen.h"

/* What a function of the loop returns when its output cannot be written. */
#define LOOP_BROKEN (-1)

/**
 * struct loop - what to do when
 * @interval: seconds between reports
 * @count: of reports, 0 for no end
 * @lines: leave the terminal alone
 * @report: take a report and show it
 * @redraw: show the last report again
 * @summary: show the whole run
 * @arg: for these; each returns enum mmscope_exit, or LOOP_BROKEN with errno set
 * @screen: where they show it
 */
struct loop {
	double interval;
	long count;
	bool lines;
	int (*report)(void *arg);
	int (*redraw)(void *arg);
	int (*summary)(void *arg);
	void *arg;
	struct screen screen;
};

/** loop_run() - until it is enough; returns enum mmscope_exit */
int loop_run(struct loop *l);

#endif
