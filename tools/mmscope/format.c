// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "format.h"

static void format_power(char *buf, size_t size, unsigned int power)
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P", "E" };

	snprintf(buf, size, "%u%s", 1U << (power % 10), units[power / 10]);
}

void format_range(char *buf, size_t size, unsigned int power, unsigned int last)
{
	char low[16], high[16];

	if (power > last)
		power = last;
	format_power(low, sizeof(low), power);
	format_power(high, sizeof(high), power + 1);
	if (power == last)
		snprintf(buf, size, "[%s, ...)", low);
	else
		snprintf(buf, size, "[%s, %s)", power ? low : "0", high);
}

void format_number(char *buf, size_t size, double value, int width,
		   bool decimal)
{
	static const char units[] = "kMGTPE";
	const char *unit = units;

	if (decimal && value > 0 && value < 9.95) {
		snprintf(buf, size, "%.1f", value);
		return;
	}
	if (snprintf(buf, size, "%.0f", value) <= width)
		return;
	for (value /= 1000; value >= 999.5 && unit[1]; unit++)
		value /= 1000;
	if (snprintf(buf, size, "%.1f%c", value, *unit) > width)
		snprintf(buf, size, "%.0f%c", value, *unit);
}

/* The next character of a text: its bytes, and its columns or -1. */
static size_t next_character(const char *text, mbstate_t *state, int *columns)
{
	wchar_t wide;
	size_t n = mbrtowc(&wide, text, strlen(text), state);

	if (n == (size_t)-1 || n == (size_t)-2) {
		memset(state, 0, sizeof(*state));
		*columns = -1;
		return 1;
	}
	*columns = iswprint(wide) ? wcwidth(wide) : -1;
	return n;
}

int cut_text(char *buf, size_t size, const char *text, int width)
{
	mbstate_t state = {};
	size_t used = 0, n;
	int columns;

	for (; *text && width > 0 && used + 1 < size; text += n) {
		n = next_character(text, &state, &columns);
		if (columns < 0) {
			buf[used++] = '?';
			width--;
			continue;
		}
		if (columns > width || used + n >= size)
			break;
		memcpy(buf + used, text, n);
		used += n;
		width -= columns;
	}
	buf[used] = '\0';
	return width;
}

void pad_text(char *buf, size_t size, const char *text, int width)
{
	int left = cut_text(buf, size, text, width);
	size_t used = strlen(buf);

	while (left-- > 0 && used + 1 < size)
		buf[used++] = ' ';
	buf[used] = '\0';
}
