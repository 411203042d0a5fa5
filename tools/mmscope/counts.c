// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "counters.h"
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

__u64 attempts(const struct fault_counts *n)
{
	return n->minor + n->major + n->retry + n->error;
}

void totals_sum(struct fault_histogram *out, struct fault_totals *t)
{
	int kind;

	memset(out, 0, sizeof(*out));
	for (kind = 0; kind < FAULT_KINDS; kind++)
		counters_add(out, fault_histogram_of(t, kind), sizeof(*out));
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
			counters_add(&t->rows[to].n, &t->rows[from].n,
				     sizeof(t->rows[to].n));
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
			counters_sub(&row.n, &then->rows[j].n, sizeof(row.n));
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
