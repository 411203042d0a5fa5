// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "json.h"
#include "message.h"

static bool as_json;

static FILE *held;
static char *held_text;
static size_t held_size;

void message_json(void)
{
	as_json = true;
}

void message_hold(void)
{
	if (!held && isatty(STDERR_FILENO))
		held = open_memstream(&held_text, &held_size);
}

void message_release(void)
{
	if (!held)
		return;
	if (!fclose(held))
		fputs(held_text, stderr);
	held = NULL;
	free(held_text);
	held_text = NULL;
}

static const char *say(const char *fmt, va_list args)
{
	static char text[512];

	vsnprintf(text, sizeof(text), fmt, args);
	fprintf(held ? held : stderr, "mmscope: %s\n", text);
	return text;
}

int fail(enum mmscope_exit code, const char *fmt, ...)
{
	const char *text;
	va_list args;

	va_start(args, fmt);
	text = say(fmt, args);
	va_end(args);
	if (as_json) {
		fputs("{\"error\":", stdout);
		json_string(stdout, text);
		printf(",\"exit_status\":%d}\n", code);
		fflush(stdout);
	}
	return code;
}

void note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}
