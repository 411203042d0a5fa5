// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counts.h"

const char *const kind_names[FAULT_KINDS] = {
	[FAULT_ANON] = "anon",	   [FAULT_FILE] = "file",
	[FAULT_SHMEM] = "shmem",   [FAULT_HUGETLB] = "hugetlb",
	[FAULT_LINKED] = "linked", [FAULT_OTHER] = "other",
};

int kind_by_name(const char *name)
{
	int kind;

	for (kind = 0; kind < FAULT_KINDS; kind++)
		if (!strcmp(name, kind_names[kind]))
			return kind;
	return -1;
}

struct fault_histogram *kind_histogram(struct fault_totals *t, int kind)
{
	switch (kind) {
	case FAULT_ANON:
		return &t->anon;
	case FAULT_FILE:
		return &t->file;
	case FAULT_SHMEM:
		return &t->shmem;
	case FAULT_HUGETLB:
		return &t->hugetlb;
	case FAULT_LINKED:
		return &t->linked;
	default:
		return &t->other;
	}
}

static const struct fault_histogram *
kind_histogram_const(const struct fault_totals *t, int kind)
{
	return kind_histogram((struct fault_totals *)t, kind);
}

__u64 attempts(const struct fault_counts *n)
{
	return n->minor + n->major + n->retry + n->error;
}

void counts_add(struct fault_counts *sum, const struct fault_counts *n)
{
	sum->minor += n->minor;
	sum->major += n->major;
	sum->retry += n->retry;
	sum->error += n->error;
	sum->latency_ns += n->latency_ns;
}

static void counts_sub(struct fault_counts *from, const struct fault_counts *n)
{
	from->minor -= n->minor;
	from->major -= n->major;
	from->retry -= n->retry;
	from->error -= n->error;
	from->latency_ns -= n->latency_ns;
}

static void histogram_add(struct fault_histogram *sum,
			  const struct fault_histogram *h)
{
	int slot;

	counts_add(&sum->counts, &h->counts);
	for (slot = 0; slot < FAULT_SLOTS; slot++)
		sum->slots[slot] += h->slots[slot];
}

void totals_diff(struct fault_totals *out, const struct fault_totals *now,
		 const struct fault_totals *then)
{
	const struct fault_histogram *old;
	struct fault_histogram *h;
	int kind, slot;

	*out = *now;
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		h = kind_histogram(out, kind);
		old = kind_histogram_const(then, kind);
		counts_sub(&h->counts, &old->counts);
		for (slot = 0; slot < FAULT_SLOTS; slot++)
			h->slots[slot] -= old->slots[slot];
	}
	out->lost -= then->lost;
}

void totals_sum(struct fault_histogram *out, const struct fault_totals *t)
{
	int kind;

	memset(out, 0, sizeof(*out));
	for (kind = 0; kind < FAULT_KINDS; kind++)
		histogram_add(out, kind_histogram_const(t, kind));
}

bool table_push(struct fault_table *t, const struct fault_row *row)
{
	struct fault_row *rows;
	size_t room;

	if (t->count == t->room) {
		room = t->room ? 2 * t->room : 64;
		rows = realloc(t->rows, room * sizeof(*rows));
		if (!rows)
			return false;
		t->rows = rows;
		t->room = room;
	}
	t->rows[t->count++] = *row;
	return true;
}

void table_free(struct fault_table *t)
{
	free(t->rows);
	memset(t, 0, sizeof(*t));
}

static int compare_numbers(__u64 a, __u64 b)
{
	return a < b ? -1 : a > b;
}

static int compare_keys(const void *a, const void *b)
{
	const struct fault_key *x = &((const struct fault_row *)a)->key;
	const struct fault_key *y = &((const struct fault_row *)b)->key;
	int order;

	order = compare_numbers(x->pid, y->pid);
	if (!order)
		order = compare_numbers(x->start_ns, y->start_ns);
	if (!order)
		order = compare_numbers(x->kind, y->kind);
	if (!order)
		order = memcmp(x->comm, y->comm, sizeof(x->comm));
	return order;
}

void table_sort_keys(struct fault_table *t)
{
	if (t->count)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_keys);
}

void table_merge(struct fault_table *t)
{
	size_t from, to = 0;

	if (!t->count)
		return;
	for (from = 1; from < t->count; from++) {
		if (compare_keys(&t->rows[to], &t->rows[from]))
			t->rows[++to] = t->rows[from];
		else
			counts_add(&t->rows[to].n, &t->rows[from].n);
	}
	t->count = to + 1;
}

bool table_diff(struct fault_table *out, const struct fault_table *now,
		const struct fault_table *then)
{
	struct fault_row row;
	size_t i, j = 0;
	int order = 1;

	out->count = 0;
	for (i = 0; i < now->count; i++) {
		row = now->rows[i];
		while (j < then->count) {
			order = compare_keys(&then->rows[j], &row);
			if (order >= 0)
				break;
			j++;
		}
		if (j < then->count && !order &&
		    attempts(&then->rows[j].n) <= attempts(&row.n))
			counts_sub(&row.n, &then->rows[j].n);
		if (attempts(&row.n) && !table_push(out, &row))
			return false;
	}
	return true;
}

static int compare_top(const void *a, const void *b)
{
	const struct fault_row *x = a, *y = b;
	int order = compare_numbers(attempts(&y->n), attempts(&x->n));

	return order ? order : compare_keys(a, b);
}

void table_sort_top(struct fault_table *t)
{
	if (t->count)
		qsort(t->rows, t->count, sizeof(*t->rows), compare_top);
}

static void format_power(char *buf, size_t size, unsigned int power)
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P", "E" };

	snprintf(buf, size, "%u%s", 1U << (power % 10), units[power / 10]);
}

void format_slot(char *buf, size_t size, unsigned int slot)
{
	char low[16], high[16];

	if (slot >= FAULT_SLOTS)
		slot = FAULT_SLOTS - 1;
	format_power(low, sizeof(low), slot);
	format_power(high, sizeof(high), slot + 1);
	if (slot == FAULT_SLOTS - 1)
		snprintf(buf, size, "[%s, ...)", low);
	else
		snprintf(buf, size, "[%s, %s)", slot ? low : "0", high);
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
