/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The difference between a terminal and a file: on a terminal a report replaces
 * the one before it and is cut to fit; in a file it is lines of text.
 */
#ifndef MMSCOPE_SCREEN_H
#define MMSCOPE_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

struct screen {
	bool live;
	bool colour;
	int rows;
	int columns;
	int used; /* lines of the report so far */
	bool cut; /* a line did not fit */
	char *text; /* the report while it is written */
	size_t size;
	FILE *buffer;
};

/** screen_open() - look at standard output; take the terminal when it is one */
void screen_open(struct screen *s);

/** screen_resized() - ask the terminal for its size again */
void screen_resized(struct screen *s);

/** screen_keyboard() - file descriptor with key presses, -1 for none */
int screen_keyboard(const struct screen *s);

/** screen_room() - lines that still fit; a large number in a file */
int screen_room(const struct screen *s);

/** screen_begin() - a new report */
void screen_begin(struct screen *s);

/** screen_line() - one line of it; @bold where the terminal can */
void screen_line(struct screen *s, bool bold, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** screen_end() - show it; false with errno set when it cannot be written */
bool screen_end(struct screen *s);

/** screen_close() - give the terminal back; later reports are lines of text */
void screen_close(struct screen *s);

/**
 * pad_text() - a name of at most @width columns, filled up with spaces
 *
 * What does not print in the current locale becomes a question mark.
 */
void pad_text(char *buf, size_t size, const char *text, int width);

#endif
