// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>

#include "json.h"
#include "mmscope.h"

static bool as_json;

void report_json(void)
{
	as_json = true;
}

int fail(enum mmscope_exit code, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "mmscope: %s\n", text);
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

	fputs("mmscope: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}
