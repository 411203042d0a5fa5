// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "table.h"

#define FIRST_ROOM 64

void *table_grow(void *items, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : FIRST_ROOM;

	if (count < *room)
		return items;
	items = reallocarray(items, more, size);
	if (items)
		*room = more;
	return items;
}
