/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_TICKER_H
#define MMSCOPE_TICKER_H

#include <stdbool.h>

enum tick {
	TICK_INTERVAL, /* the interval is over */
	TICK_RESIZE, /* the terminal has another size */
	TICK_SUSPEND, /* Ctrl-Z */
	TICK_STOP, /* Ctrl-C, SIGTERM, SIGHUP, or the key q */
	TICK_ERROR, /* errno says why */
};

/**
 * struct ticker - waits for the next thing to do, without drift
 * @timer: timerfd of the interval
 * @signals: signalfd of what ends or disturbs the run
 * @keyboard: file descriptor with key presses, or -1
 */
struct ticker {
	int timer;
	int signals;
	int keyboard;
};

/**
 * ticker_block() - from now on the signals come through the ticker only
 *
 * Early, so that a Ctrl-C while programs are loaded is not lost.
 */
void ticker_block(void);

/** ticker_open() - start the first interval; false with errno set */
bool ticker_open(struct ticker *t, double interval_s, int keyboard);

enum tick ticker_wait(struct ticker *t);
void ticker_close(struct ticker *t);

#endif
