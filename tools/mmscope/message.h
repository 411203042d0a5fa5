/* SPDX-License-Identifier: GPL-2.0 */
/* What mmscope has to say besides its data: on standard error. */
#ifndef MMSCOPE_MESSAGE_H
#define MMSCOPE_MESSAGE_H

#include "mmscope.h"

/** message_json() - let fail() print {"error": ...} on standard output, too */
void message_json(void);

/**
 * fail() - say in one sentence what went wrong
 * @code: what to exit with
 *
 * Return: @code, so that it can stand in a return statement.
 */
int fail(enum mmscope_exit code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** note() - a remark that does not end the run */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/**
 * message_hold() - keep what is said until message_release()
 *
 * For the time in which a terminal shows something else and would lose it.
 * What goes to a file is not kept.
 */
void message_hold(void);

/** message_release() - print what was kept, and keep no more */
void message_release(void);

#endif
