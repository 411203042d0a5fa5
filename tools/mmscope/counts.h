/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic of `mmscope faults`: readings of counters that only grow, the
 * difference of two of them, and how numbers are written.  No I/O, no BPF.
 */
#ifndef MMSCOPE_COUNTS_H
#define MMSCOPE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "faults.h"

/* One process and kind; in the summary pid 0 stands for all that have exited. */
struct fault_row {
	struct fault_key key;
	struct fault_counts n;
};

/**
 * struct fault_table - a growing array of rows
 * @rows: the rows, owned by the table; a table begins as {} and ends with
 *	  table_free()
 * @count: how many are in use
 * @room: how many there is room for
 */
struct fault_table {
	struct fault_row *rows;
	size_t count;
	size_t room;
};

extern const char *const kind_names[FAULT_KINDS];

/** kind_by_name() - number of a kind, -1 if there is none of that name */
int kind_by_name(const char *name);

/** kind_histogram() - the part of the totals that belongs to a kind */
struct fault_histogram *kind_histogram(struct fault_totals *t, int kind);

/** attempts() - all attempts, however they ended */
__u64 attempts(const struct fault_counts *n);

/** counts_add() - @sum += @n */
void counts_add(struct fault_counts *sum, const struct fault_counts *n);

/** totals_diff() - @out = @now - @then */
void totals_diff(struct fault_totals *out, const struct fault_totals *now,
		 const struct fault_totals *then);

/** totals_sum() - all kinds in one histogram */
void totals_sum(struct fault_histogram *out, const struct fault_totals *t);

/** table_push() - append a row; false when there is no memory */
bool table_push(struct fault_table *t, const struct fault_row *row);
void table_free(struct fault_table *t);

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

/**
 * format_slot() - the range of a slot, "[512, 1K)"; K, M, G are powers of 1024
 */
void format_slot(char *buf, size_t size, unsigned int slot);

/**
 * format_number() - a number in at most @width characters, four or more
 *
 * Whole where that fits, otherwise with k, M, G, T, P or E (powers of 1000).
 * What is below ten has one decimal when @decimal is set.
 */
void format_number(char *buf, size_t size, double value, int width,
		   bool decimal);

#endif
