/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of rows that grow while they are filled. */
#ifndef MMSCOPE_TABLE_H
#define MMSCOPE_TABLE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/**
 * TABLE() - the members of a table: an array, how much of it is in use, and how
 * much there is room for
 *
 * A table begins as {} and ends with table_free().
 */
#define TABLE(type)   \
	type *rows;   \
	size_t count; \
	size_t room

/** table_push() - append a copy of a row; false when there is no memory */
#define table_push(table, row)                                           \
	({                                                               \
		__auto_type to = (table);                                \
		void *grown = table_grow(to->rows, to->count, &to->room, \
					 sizeof(*to->rows));             \
		if (grown) {                                             \
			to->rows = grown;                                \
			to->rows[to->count++] = *(row);                  \
		}                                                        \
		grown != NULL;                                           \
	})

/** table_free() - it is empty afterwards */
#define table_free(table)                   \
	({                                  \
		__auto_type of = (table);   \
		free(of->rows);             \
		memset(of, 0, sizeof(*of)); \
	})

/**
 * table_grow() - room for one element more
 * @items: the array, NULL at the beginning; the caller frees it
 * @count: how many elements are in use
 * @room: how many there is room for
 * @size: of an element
 *
 * Return: the array, perhaps at another place; NULL when there is no memory,
 * and then @items and @room are as they were.
 */
void *table_grow(void *items, size_t count, size_t *room, size_t size);

#endif
