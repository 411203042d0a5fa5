// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unitlist.h"

#define MAX_COLUMNS 32

static int compare_units(const void *a, const void *b)
{
	const struct unit_row *x = a, *y = b;

	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

void unit_table_sort(struct unit_table *t)
{
	if (t->count)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_units);
}

struct unit_row *unit_table_find(const struct unit_table *t, __u64 unit)
{
	struct unit_row key;

	if (!t->count)
		return NULL;
	key.unit = unit;
	return bsearch(&key, t->rows, t->count, sizeof(*t->rows),
		       compare_units);
}

__u64 unit_events(const struct unit_counts *n)
{
	return n->created + n->retired + n->links + n->unlinks + n->leaves +
	       n->faults + n->retries + n->errors + n->shootdowns;
}

static int compare_top(const void *a, const void *b)
{
	const struct unit_row *x = a, *y = b;
	__u64 p = unit_events(&x->n), q = unit_events(&y->n);

	if (p != q)
		return p < q ? 1 : -1;
	if (x->links != y->links)
		return x->links < y->links ? 1 : -1;
	return compare_units(a, b);
}

void unit_table_top(struct unit_table *t)
{
	if (t->count)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_top);
}

/* Split at whitespace, in place; the number of words. */
static int split(char *line, char **words, int room)
{
	char *next, *word;
	int n = 0;

	for (word = strtok_r(line, " \t\n", &next); word && n < room;
	     word = strtok_r(NULL, " \t\n", &next))
		words[n++] = word;
	return n;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "a\040b" becomes "a b". */
static void unescape(char *out, size_t size, const char *text)
{
	while (*text && size > 1) {
		if (text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) &&
		    is_octal(text[3])) {
			*out++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 |
				 (text[3] - '0');
			text += 4;
		} else {
			*out++ = *text++;
		}
		size--;
	}
	*out = '\0';
}

static bool number(const char *text, __u64 *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return !errno && end != text && !*end;
}

static bool fill(struct unit_row *row, const char *column, const char *word)
{
	if (!strcmp(column, "unit"))
		return number(word, &row->unit);
	if (!strcmp(column, "tables"))
		return number(word, &row->tables);
	if (!strcmp(column, "views"))
		return number(word, &row->views);
	if (!strcmp(column, "links"))
		return number(word, &row->links);
	if (!strcmp(column, "faults"))
		return number(word, &row->faults);
	if (!strcmp(column, "inode"))
		return number(word, &row->inode);
	if (!strcmp(column, "file"))
		unescape(row->file, sizeof(row->file), word);
	return true;
}

int unit_list_read(FILE *list, struct unit_table *t)
{
	char *columns[MAX_COLUMNS], *words[MAX_COLUMNS];
	char *head = NULL, *line = NULL;
	size_t head_size = 0, size = 0;
	int named, have, i, err = 0;
	bool has_unit = false;

	if (getline(&head, &head_size, list) < 0) {
		free(head);
		return ferror(list) ? -EIO : -EPROTO;
	}
	named = split(head, columns, MAX_COLUMNS);
	for (i = 0; i < named; i++)
		has_unit |= !strcmp(columns[i], "unit");
	if (!has_unit)
		err = -EPROTO;
	while (!err && getline(&line, &size, list) >= 0) {
		struct unit_row row = { .listed = true };

		have = split(line, words, MAX_COLUMNS);
		if (!have)
			continue;
		if (have < named) {
			err = -EPROTO;
			break;
		}
		for (i = 0; i < named && !err; i++)
			if (!fill(&row, columns[i], words[i]))
				err = -EPROTO;
		if (!err && !table_push(t, &row))
			err = -ENOMEM;
	}
	if (!err && ferror(list))
		err = -EIO;
	free(line);
	free(head);
	return err;
}
