// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "message.h"
#include "ticker.h"

#define CTRL_L 12

static int output_error(void)
{
	/* `mmscope faults | head` is a way to end it. */
	if (errno == EPIPE)
		return EXIT_OK;
	return fail(EXIT_FAIL, "cannot write the report: %s", strerror(errno));
}

static int redraw(struct loop *l, long shown)
{
	if (!l->screen.live)
		return EXIT_OK;
	if (shown)
		return l->redraw(l->arg);
	screen_begin(&l->screen);
	screen_line(&l->screen, false,
		    "the first report comes after %g s; q ends the run",
		    l->interval);
	return screen_end(&l->screen) ? EXIT_OK : LOOP_BROKEN;
}

/* Reports until there is a reason to stop. */
static int reports(struct loop *l, struct ticker *ticker)
{
	struct screen *s = &l->screen;
	int err, key;
	long n = 0;

	err = redraw(l, n);
	while (!err) {
		switch (ticker_wait(ticker, s->keyboard,
				    s->live ? STDOUT_FILENO : -1)) {
		case TICK_KEY:
			key = screen_key(s);
			if (key == 'q' || key == 'Q')
				return EXIT_OK;
			if (key != CTRL_L)
				break;
			/* fall through */
		case TICK_RESIZE:
			screen_resized(s);
			err = redraw(l, n);
			break;
		case TICK_SUSPEND:
			/* Until we are continued the terminal is the shell's. */
			screen_leave(s);
			raise(SIGSTOP);
			screen_enter(s);
			err = redraw(l, n);
			break;
		case TICK_INTERVAL:
			err = l->report(l->arg);
			if (++n == l->count && !err)
				return EXIT_OK;
			break;
		case TICK_STOP:
			return EXIT_OK;
		case TICK_ERROR:
			return fail(EXIT_FAIL, "cannot wait: %s",
				    strerror(errno));
		}
	}
	return err;
}

int loop_run(struct loop *l)
{
	struct ticker ticker;
	int err, why;

	if (!ticker_open(&ticker, l->interval))
		return fail(EXIT_FAIL, "cannot start the clock: %s",
			    strerror(errno));
	l->screen.keyboard = -1;
	if (!l->lines)
		screen_open(&l->screen);
	err = reports(l, &ticker);
	why = errno;
	screen_close(&l->screen);
	ticker_close(&ticker);
	errno = why;
	if (!err)
		err = l->summary(l->arg);
	return err == LOOP_BROKEN ? output_error() : err;
}
