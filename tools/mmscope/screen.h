/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The difference between a terminal and a file: on a terminal a report replaces
 * the one before it and is cut to fit; in a file it is lines of text.
 */
#ifndef MMSCOPE_SCREEN_H
#define MMSCOPE_SCREEN_H

#include <stdbool.h>

/**
 * struct screen - where reports go
 * @live: the terminal is ours now, and is to be given back
 * @terminal: it can be had, whenever we are in its foreground
 * @bold: headings may be
 * @keyboard: file descriptor with key presses, -1 for none
 * @height: lines of the terminal, as long as it is live
 * @width: columns, likewise
 * @used: lines of the report so far
 */
struct screen {
	bool live;
	bool terminal;
	bool bold;
	int keyboard;
	int height;
	int width;
	int used;
};

/** screen_open() - look at standard output; enter when it is a terminal */
void screen_open(struct screen *s);

/**
 * screen_enter() - take the terminal
 *
 * Return: whether it is live now. In the background it stays the shell's, and
 * reports are lines of text.
 */
bool screen_enter(struct screen *s);

/** screen_leave() - give the terminal back for a while */
void screen_leave(struct screen *s);

/** screen_resized() - the terminal may have another size */
void screen_resized(struct screen *s);

/** screen_key() - the next key, -1 for none; only after poll() saw one */
int screen_key(struct screen *s);

/** screen_room() - lines that still fit; a large number in a file */
int screen_room(const struct screen *s);

/** screen_begin() - a new report; the terminal is entered if it can be */
void screen_begin(struct screen *s);

/** screen_line() - one line of it; @bold where the terminal can */
void screen_line(struct screen *s, bool bold, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** screen_end() - show it; false with errno set when it cannot be written */
bool screen_end(struct screen *s);

/** screen_close() - leave for good; later reports are lines of text */
void screen_close(struct screen *s);

#endif
