// SPDX-License-Identifier: GPL-2.0
/*
 * The event loop and the screen of mmscope without a kernel: numbered reports.
 * What tests/screen runs, on a terminal and elsewhere.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop.h"
#include "message.h"
#include "ticker.h"

#define ROWS 40

struct demo {
	struct loop loop;
	long reports;
	long fail_at; /* the report that fails */
};

static int show(void *arg)
{
	struct demo *d = arg;
	struct screen *s = &d->loop.screen;
	int i;

	screen_begin(s);
	screen_line(s, true, "report %ld", d->reports);
	for (i = 1; i <= ROWS && screen_room(s) > 1; i++)
		screen_line(s, false, "row %d of %d by %d", i, s->height,
			    s->width);
	/* Wider than any terminal, not ASCII, and with what must not get out. */
	screen_line(s, false,
		    "\xe6\xbc\xa2\xe5\xad\x97 gr\xc3\xbc\xc3\x9f\x01 %0200d",
		    0);
	return screen_end(s) ? EXIT_OK : LOOP_BROKEN;
}

static int report(void *arg)
{
	struct demo *d = arg;

	if (++d->reports == d->fail_at)
		return fail(EXIT_FAIL, "report %ld fails", d->reports);
	if (d->reports == 1)
		note("a remark");
	return show(d);
}

static int summary(void *arg)
{
	struct demo *d = arg;
	struct screen *s = &d->loop.screen;

	screen_begin(s);
	screen_line(s, true, "summary of %ld reports", d->reports);
	return screen_end(s) ? EXIT_OK : LOOP_BROKEN;
}

int main(int argc, char **argv)
{
	struct demo d = {
		.loop = {
			.report = report,
			.redraw = show,
			.summary = summary,
			.arg = &d,
		},
	};

	setlocale(LC_CTYPE, "");
	if (argc != 4) {
		fprintf(stderr, "usage: mmscope-loop INTERVAL COUNT FAIL_AT\n");
		return EXIT_USAGE;
	}
	d.loop.interval = strtod(argv[1], NULL);
	d.loop.count = strtol(argv[2], NULL, 10);
	d.fail_at = strtol(argv[3], NULL, 10);
	ticker_block();
	return loop_run(&d.loop);
}
