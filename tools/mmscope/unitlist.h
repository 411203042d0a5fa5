/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own list of units, /sys/kernel/debug/scome/units, and readings of
 * the counters beside it. No BPF here.
 */
#ifndef MMSCOPE_UNITLIST_H
#define MMSCOPE_UNITLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>

#include "table.h"
#include "units.h"

#define UNIT_FILE_LEN 256

/**
 * struct unit_row - a unit: what it is now, and what happened to it
 * @unit: id, never used twice
 * @listed: the kernel lists it: the fields up to @file are valid
 * @tables: leaf tables it has
 * @views: those of them that processes have restricted parts of
 * @links: processes' mappings linked to it
 * @faults: in its linked ranges since it was created
 * @inode: of the file
 * @file: name of the file
 * @n: what was counted
 */
struct unit_row {
	__u64 unit;
	bool listed;
	__u64 tables;
	__u64 views;
	__u64 links;
	__u64 faults;
	__u64 inode;
	char file[UNIT_FILE_LEN];
	struct unit_counts n;
};

struct unit_table {
	TABLE(struct unit_row);
};

/** unit_table_sort() - by id, as the functions below need it */
void unit_table_sort(struct unit_table *t);

/** unit_table_find() - the row of a unit in a sorted table, or NULL */
struct unit_row *unit_table_find(const struct unit_table *t, __u64 unit);

/** unit_table_top() - most happened first, then most links, then oldest */
void unit_table_top(struct unit_table *t);

/** unit_events() - everything that was counted, a measure of how busy it is */
__u64 unit_events(const struct unit_counts *n);

/**
 * unit_list_read() - add the units of the kernel's list to a table
 *
 * The first line names the columns, so that their order does not matter and new
 * ones are no harm. Whitespace in a name is an octal escape.
 *
 * Return: 0, -ENOMEM, -EIO, or -EPROTO when the list makes no sense.
 */
int unit_list_read(FILE *list, struct unit_table *t);

#endif
