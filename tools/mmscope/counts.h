/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic of `mmscope faults`: readings of counters that only grow, and
 * the difference of two of them.  No I/O, no BPF.
 */
#ifndef MMSCOPE_COUNTS_H
#define MMSCOPE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "faults.h"
#include "table.h"

/* One process and kind; in the summary pid 0 stands for all that have exited. */
struct fault_row {
	struct fault_key key;
	struct fault_counts n;
};

struct fault_table {
	TABLE(struct fault_row);
};

extern const char *const kind_names[FAULT_KINDS];

/** kind_by_name() - number of a kind, -1 if there is none of that name */
int kind_by_name(const char *name);

/** attempts() - all attempts, however they ended */
__u64 attempts(const struct fault_counts *n);

/** totals_sum() - all kinds in one histogram */
void totals_sum(struct fault_histogram *out, struct fault_totals *t);

/** table_sort_keys() - the order table_diff() and table_merge() need */
void table_sort_keys(struct fault_table *t);

/** table_merge() - add up rows of equal keys in a table sorted by keys */
void table_merge(struct fault_table *t);

/**
 * table_diff() - what was counted between two readings
 * @out: rows with something in them, in the order of the keys
 * @now: later reading, sorted by keys
 * @then: earlier reading, sorted by keys
 *
 * A key that the earlier reading lacks counts from zero, and so does one whose
 * counters are smaller than before: it was removed and made again.
 *
 * Return: false when there is no memory.
 */
bool table_diff(struct fault_table *out, const struct fault_table *now,
		const struct fault_table *then);

/** table_sort_top() - most attempts first; equal ones by pid, kind and name */
void table_sort_top(struct fault_table *t);

#endif
