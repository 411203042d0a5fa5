// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ticker.h"

static void our_signals(sigset_t *set)
{
	struct sigaction hangup;

	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGTERM);
	/* Under nohup(1) it is ignored; blocked, it would be read all the same. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP);
	sigaddset(set, SIGTSTP);
	sigaddset(set, SIGWINCH);
}

void ticker_block(void)
{
	sigset_t set;

	our_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader that goes away is seen as a write error. */
	signal(SIGPIPE, SIG_IGN);
}

bool ticker_open(struct ticker *t, double interval_s)
{
	struct itimerspec every = {};
	double whole, part = modf(interval_s, &whole);
	sigset_t set;

	every.it_value.tv_sec = whole;
	every.it_value.tv_nsec = part * 1e9;
	every.it_interval = every.it_value;
	our_signals(&set);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC);
	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (t->signals < 0 || t->timer < 0 ||
	    timerfd_settime(t->timer, 0, &every, NULL)) {
		ticker_close(t);
		return false;
	}
	return true;
}

static enum tick read_signal(struct ticker *t)
{
	struct signalfd_siginfo info;

	if (read(t->signals, &info, sizeof(info)) != sizeof(info))
		return TICK_ERROR;
	switch (info.ssi_signo) {
	case SIGWINCH:
		return TICK_RESIZE;
	case SIGTSTP:
		return TICK_SUSPEND;
	default:
		return TICK_STOP;
	}
}

enum tick ticker_wait(struct ticker *t, int keyboard, int terminal)
{
	struct pollfd fds[] = {
		{ .fd = t->signals, .events = POLLIN },
		{ .fd = terminal },
		{ .fd = keyboard, .events = POLLIN },
		{ .fd = t->timer, .events = POLLIN },
	};
	uint64_t expired;

	while (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0)
		if (errno != EINTR)
			return TICK_ERROR;
	if (fds[0].revents)
		return read_signal(t);
	if (fds[1].revents)
		return TICK_STOP;
	if (fds[2].revents)
		return TICK_KEY;
	if (read(t->timer, &expired, sizeof(expired)) != sizeof(expired))
		return TICK_ERROR;
	return TICK_INTERVAL;
}

void ticker_close(struct ticker *t)
{
	if (t->signals >= 0)
		close(t->signals);
	if (t->timer >= 0)
		close(t->timer);
	t->signals = t->timer = -1;
}
