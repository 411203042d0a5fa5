// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "screen.h"

static struct termios before;
static bool termios_changed;

static bool dumb_terminal(void)
{
	const char *term = getenv("TERM");

	return !term || !*term || !strcmp(term, "dumb");
}

void screen_resized(struct screen *s)
{
	struct winsize size;

	s->rows = 24;
	s->columns = 80;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row &&
	    size.ws_col) {
		s->rows = size.ws_row;
		s->columns = size.ws_col;
	}
}

void screen_open(struct screen *s)
{
	const char *no_color = getenv("NO_COLOR");
	struct termios raw;

	memset(s, 0, sizeof(*s));
	s->live = isatty(STDOUT_FILENO) && !dumb_terminal();
	s->colour = s->live && !(no_color && *no_color);
	if (!s->live)
		return;
	screen_resized(s);
	/* In the background the keyboard is somebody else's. */
	if (tcgetpgrp(STDIN_FILENO) == getpgrp() &&
	    !tcgetattr(STDIN_FILENO, &before)) {
		raw = before;
		raw.c_lflag &= ~(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		termios_changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	/* The alternate screen, and no cursor. */
	fputs("\033[?1049h\033[?25l", stdout);
	fflush(stdout);
}

int screen_keyboard(const struct screen *s)
{
	return s->live && termios_changed ? STDIN_FILENO : -1;
}

int screen_room(const struct screen *s)
{
	if (!s->live)
		return INT_MAX;
	return s->rows > s->used ? s->rows - s->used : 0;
}

void screen_begin(struct screen *s)
{
	s->used = 0;
	s->cut = false;
	s->buffer = open_memstream(&s->text, &s->size);
}

void screen_line(struct screen *s, bool bold, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	if (!s->buffer)
		return;
	if (!screen_room(s)) {
		s->cut = true;
		return;
	}
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0)
		return;
	/* Lines are ASCII except for names, which pad_text() has measured. */
	if (s->live && n > s->columns && s->columns < (int)sizeof(text))
		text[s->columns] = '\0';
	if (s->live && s->used)
		fputs("\r\n", s->buffer);
	if (bold && s->colour)
		fprintf(s->buffer, "\033[1m%s\033[0m", text);
	else
		fputs(text, s->buffer);
	fputs(s->live ? "\033[K" : "\n", s->buffer);
	s->used++;
}

bool screen_end(struct screen *s)
{
	bool ok = s->buffer && !fclose(s->buffer);

	s->buffer = NULL;
	if (ok) {
		if (s->live)
			fputs("\033[H", stdout);
		fwrite(s->text, 1, s->size, stdout);
		if (s->live)
			fputs("\033[J", stdout);
		ok = !fflush(stdout) && !ferror(stdout);
	}
	free(s->text);
	s->text = NULL;
	return ok;
}

void screen_close(struct screen *s)
{
	if (!s->live)
		return;
	s->live = false;
	s->colour = false;
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (termios_changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	termios_changed = false;
}

void pad_text(char *buf, size_t size, const char *text, int width)
{
	mbstate_t state = {};
	size_t used = 0, n;
	wchar_t wide;
	int columns;

	while (*text && width > 0 && used + 1 < size) {
		n = mbrtowc(&wide, text, strlen(text), &state);
		if (n == (size_t)-1 || n == (size_t)-2) {
			memset(&state, 0, sizeof(state));
			n = 1;
			columns = -1;
		} else {
			columns = iswprint(wide) ? wcwidth(wide) : -1;
		}
		if (columns < 0) {
			buf[used++] = '?';
			width--;
		} else {
			if (columns > width || used + n >= size)
				break;
			memcpy(buf + used, text, n);
			used += n;
			width -= columns;
		}
		text += n;
	}
	while (width-- > 0 && used + 1 < size)
		buf[used++] = ' ';
	buf[used] = '\0';
}
