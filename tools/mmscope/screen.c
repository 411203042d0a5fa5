// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NCURSES_NOMACROS
#include <curses.h>
#include <term.h>

#include "format.h"
#include "message.h"
#include "screen.h"

static SCREEN *curses;

/* A terminal that is known and whose cursor can be moved. */
static bool can_redraw(void)
{
	const char *move_cursor;
	bool can;
	int err;

	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return false;
	move_cursor = tigetstr("cup");
	can = move_cursor && move_cursor != (char *)-1;
	del_curterm(cur_term);
	return can;
}

/* Who changes a terminal from its background is stopped. */
static bool in_background(void)
{
	pid_t group = tcgetpgrp(STDOUT_FILENO);

	return group >= 0 && group != getpgrp();
}

void screen_open(struct screen *s)
{
	const char *no_color = getenv("NO_COLOR");

	memset(s, 0, sizeof(*s));
	s->keyboard = -1;
	s->terminal = isatty(STDOUT_FILENO) && can_redraw();
	s->bold = !no_color || !*no_color;
	screen_enter(s);
}

bool screen_enter(struct screen *s)
{
	if (s->live)
		return true;
	if (!s->terminal || in_background())
		return false;
	fflush(stdout);
	if (!curses) {
		curses = newterm(NULL, stdout, stdin);
		if (!curses) {
			s->terminal = false;
			return false;
		}
		cbreak();
		noecho();
		nodelay(stdscr, TRUE);
		curs_set(0);
	}
	message_hold();
	s->live = true;
	s->keyboard = tcgetpgrp(STDIN_FILENO) == getpgrp() ? STDIN_FILENO : -1;
	/* After endwin() this is what takes the terminal again. */
	refresh();
	screen_resized(s);
	return true;
}

void screen_leave(struct screen *s)
{
	if (!s->live)
		return;
	s->live = false;
	s->keyboard = -1;
	endwin();
	message_release();
}

void screen_resized(struct screen *s)
{
	struct winsize size;

	if (!s->live)
		return;
	/* What the terminal says counts more than LINES and COLUMNS. */
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row &&
	    size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	getmaxyx(stdscr, s->height, s->width);
	clearok(curscr, TRUE);
}

int screen_key(struct screen *s)
{
	int key = getch();

	if (key != ERR)
		return key;
	/* There was something and it is no key: nobody types there any more. */
	s->keyboard = -1;
	return -1;
}

int screen_room(const struct screen *s)
{
	if (!s->live)
		return INT_MAX;
	return s->height > s->used ? s->height - s->used : 0;
}

void screen_begin(struct screen *s)
{
	s->used = 0;
	if (screen_enter(s))
		erase();
}

void screen_line(struct screen *s, bool bold, const char *fmt, ...)
{
	char text[1024], fits[1024];
	va_list args;

	if (!screen_room(s))
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (s->live) {
		cut_text(fits, sizeof(fits), text, s->width);
		attrset(bold && s->bold ? A_BOLD : A_NORMAL);
		mvaddstr(s->used, 0, fits);
	} else {
		puts(text);
	}
	s->used++;
}

bool screen_end(struct screen *s)
{
	if (!s->live) {
		putchar('\n');
		return !fflush(stdout) && !ferror(stdout);
	}
	if (refresh() != ERR)
		return true;
	errno = EIO;
	return false;
}

void screen_close(struct screen *s)
{
	screen_leave(s);
	s->terminal = false;
	if (curses)
		delscreen(curses);
	curses = NULL;
}
