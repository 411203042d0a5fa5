/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_TICKER_H
#define MMSCOPE_TICKER_H

#include <stdbool.h>

enum tick {
	TICK_INTERVAL, /* the interval is over */
	TICK_KEY, /* the keyboard has something to read */
	TICK_RESIZE, /* the terminal has another size */
	TICK_SUSPEND, /* Ctrl-Z */
	TICK_STOP, /* Ctrl-C, Ctrl-\, SIGTERM, SIGHUP, the terminal is gone */
	TICK_ERROR, /* errno says why */
};

/**
 * struct ticker - waits for the next thing to do, without drift
 * @timer: timerfd of the interval
 * @signals: signalfd of what ends or disturbs the run
 */
struct ticker {
	int timer;
	int signals;
};

/**
 * ticker_block() - from now on the signals come through the ticker only
 *
 * Early, so that a Ctrl-C while programs are loaded is not lost.
 */
void ticker_block(void);

/** ticker_open() - start the first interval; false with errno set */
bool ticker_open(struct ticker *t, double interval_s);

/**
 * ticker_wait() - until one of these
 * @keyboard: file descriptor with key presses, or -1
 * @terminal: file descriptor of what may hang up, or -1
 */
enum tick ticker_wait(struct ticker *t, int keyboard, int terminal);
void ticker_close(struct ticker *t);

#endif
