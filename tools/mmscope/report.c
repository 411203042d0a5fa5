// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <time.h>

#include "format.h"
#include "report.h"

static const char *time_of_day(const struct report *r)
{
	static char text[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!r->opt->timestamp)
		return "";
	strftime(text, sizeof(text), "%H:%M:%S ", localtime_r(&now, &tm));
	return text;
}

void report_begin(const struct report *r)
{
	screen_begin(r->screen);
	if (r->summary)
		screen_line(r->screen, true, "%ssummary of %.1f s",
			    time_of_day(r), r->seconds);
}

bool report_end(const struct report *r)
{
	return screen_end(r->screen);
}

const char *report_time(const struct report *r)
{
	return r->summary ? "" : time_of_day(r);
}

const char *report_per(const struct report *r)
{
	return r->summary ? "" : "/s";
}

const char *report_number(const struct report *r, __u64 n, int width)
{
	static char texts[8][32];
	static unsigned int next;
	char *text = texts[next++ % 8];

	if (r->summary)
		format_number(text, sizeof(texts[0]), n, width, false);
	else
		format_number(text, sizeof(texts[0]), n / r->seconds, width,
			      true);
	return text;
}

void report_missed(const struct report *r)
{
	if (r->missed)
		screen_line(
			r->screen, false,
			"%llu events were not counted: the program was already running on that CPU",
			r->missed);
}

size_t report_rows(const struct report *r, size_t count, int others)
{
	size_t limit = r->opt->rows < 0 ? REPORT_ROWS : r->opt->rows;
	int room;

	if (limit && count > limit)
		count = limit;
	if (!r->screen->live)
		return count;
	/* The heading and the line that tells what is left out. */
	room = screen_room(r->screen) - 2;
	if ((int)count <= room - others)
		return count;
	/* A few rows come first, then what follows them. */
	if (room - others > 5)
		return room - others;
	if (room > 5)
		room = 5;
	return room > 0 ? room : 0;
}

void report_left_out(const struct report *r, int width, size_t left)
{
	if (left)
		screen_line(r->screen, false, "%*s and %zu more", width, "...",
			    left);
}

void report_json_begin(const struct report *r, __u64 lost)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	printf("{\"type\":\"%s\",\"time\":\"%s\",\"duration_ns\":%.0f,\"lost\":%llu,\"missed\":%llu,",
	       r->summary ? "summary" : "interval", text, r->seconds * 1e9,
	       lost, r->missed);
}

size_t report_json_rows(const struct report *r, size_t count)
{
	return r->opt->rows > 0 && (size_t)r->opt->rows < count ?
		       (size_t)r->opt->rows :
		       count;
}

bool report_flush(void)
{
	return !fflush(stdout) && !ferror(stdout);
}
