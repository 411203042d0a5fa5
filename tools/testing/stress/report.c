// SPDX-License-Identifier: GPL-2.0
/* What a worker did last, and what it says when a check fails. */
#include <stdarg.h>

#include "stress.h"

/* so many failures are told in full */
#define TOLD 3

void note(const char *format, ...)
{
	struct slot *slot = &control->slot[me.number];
	char *text = slot->notes[slot->next_note++ % HISTORY];
	va_list arguments;
	int length;

	/* children say what they do in between */
	length = snprintf(text, HISTORY_TEXT, "%s%lu ",
			  me.slot != me.number ? "child " : "",
			  (uint64_t)slot->operations);
	va_start(arguments, format);
	vsnprintf(text + length, HISTORY_TEXT - length, format, arguments);
	va_end(arguments);
}

static size_t history(char *text, size_t size, unsigned int worker)
{
	struct slot *slot = &control->slot[worker];
	uint64_t last = slot->next_note;
	size_t length = 0;

	for (uint64_t i = last > HISTORY ? last - HISTORY : 0; i < last; i++)
		length += snprintf(text + length, size - length,
				   "#   operation %.*s\n", HISTORY_TEXT - 1,
				   slot->notes[i % HISTORY]);
	return length;
}

void print_history(unsigned int worker)
{
	char text[HISTORY * (HISTORY_TEXT + 24)];

	history(text, sizeof(text), worker);
	fputs(text, stdout);
}

void fail(enum property property, const char *format, ...)
{
	static const char *const properties[] = { "contents", "access", "calls",
						  "processes" };
	char text[HISTORY * (HISTORY_TEXT + 24) + 1024];
	unsigned int told = 0;
	va_list arguments;
	size_t length;

	for (unsigned int i = 0; i < 8; i++)
		told += control->failures[i];
	control->failures[property]++;
	control->stop = true;
	length = snprintf(text, sizeof(text), "# FAIL %s: worker %u%s pid %d: ",
			  properties[property], me.number,
			  me.slot != me.number ? "'s child" : "", getpid());
	va_start(arguments, format);
	length += vsnprintf(text + length, 512, format, arguments);
	va_end(arguments);
	length += snprintf(text + length, 64, "\n");
	if (told < TOLD)
		length += history(text + length, sizeof(text) - length,
				  me.number);
	/* in one piece */
	if (write(STDOUT_FILENO, text, length) < 0)
		perror("stress");
	_exit(1);
}

int allow(const char *call, int64_t result, unsigned int count, ...)
{
	int code = result == -1 ? errno : 0;
	va_list allowed;
	bool good = false;

	va_start(allowed, count);
	while (count--)
		good |= va_arg(allowed, int) == code;
	va_end(allowed);
	if (!good)
		fail(CALLS, "%s: unexpected result %ld, errno %d (%s)", call,
		     (long)result, code, strerror(code));
	return code;
}
